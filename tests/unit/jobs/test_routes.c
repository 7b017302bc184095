/* Jobs over their routes and commands: an organisation sees its own only, the operator all. */
#include "jobs_test.h"

#include "base/metrics.h"
#include "identity/identity.h"
#include "jobs/routes.h"
#include "net/server.h"

static const struct setting SETTINGS[] = {
    {.name = "SECRET_KEY", .type = SETTING_TEXT, .fallback = "a secret of the tests", .doc = "A secret."},
    {.name = "ENVIRONMENT", .type = SETTING_TEXT, .fallback = "local", .doc = "Where it runs."},
};

static struct world world;
static struct router *router;
static struct organisation org;

static enum err refuse_all(struct ctx *cx, const struct request *rq, void *arg) {
    (void)rq, (void)arg;
    return (fail)(cx, ERR_UNAUTHENTICATED, "Log in.");
}

static enum err make_org(struct ctx *cx, void *arg) {
    bool created;
    return organisation_ensure(cx, S("Demo Company"), arg, &created);
}

static int open_world(void **state) {
    (void)state;
    world_open(&world, NULL);
    const struct setting *const tables[] = {NET_MODULE.settings, SETTINGS};
    const size_t counts[] = {NET_MODULE.n_settings, 2};
    static char *const environ_of_test[] = {NULL};
    static const struct module *modules[] = {&NET_MODULE, &JOBS_MODULE};
    struct settings *settings;
    MUST(&world,
         settings_load(&world.cx, tables, counts, 2, environ_of_test, str_of(world.folder), &settings));
    struct router_setup setup = {.modules = modules,
                                 .n_modules = 2,
                                 .authenticate = refuse_all,
                                 .settings = settings,
                                 .db = world.db,
                                 .log = world.log,
                                 .clock = world.clock};
    MUST(&world, router_new(&world.cx, &setup, &router));
    world_do(&world, make_org, &org);
    world.cx.actor.org = org.id;
    return 0;
}

static int close_world(void **state) {
    router_free(router);
    (void)state;
    world_close(&world);
    return 0;
}

/* The answer's body, or "" with the error's code in e. */
static struct str call(enum role role, enum method method, const char *target, const char *body,
                       enum err *e) {
    struct ctx cx = world.cx;
    struct answer an = {0};
    cx.now = clock_now(world.clock);
    cx.actor.role = role;
    cx.actor.org = role == ROLE_OPERATOR ? (struct uuid){0} : world.cx.actor.org;
    *e = router_call(router, &cx, method, str_of(target), body ? str_of(body) : S(""), &an);
    return *e ? S("") : buf_str(&an.body);
}

static bool has(struct str body, const char *text) { return memmem(body.p, body.n, text, strlen(text)); }

static const char *job_path(const char *prefix, const char *name, const char *suffix) {
    struct job job;
    char id[36];
    assert_true(world_job(&world, name, &job));
    return str_printf(world.cx.mem, "%s/%.36s%s%c", prefix, uuid_format(job.id, id).p, suffix, 0).p;
}

static enum err bury(struct ctx *cx, void *arg) {
    return (JOB_DRIVER_DB.fail)(cx, arg, S("invalid: Wrong."), (struct instant){0});
}

static void enqueue_for(struct uuid owner, const char *name) {
    struct uuid before = world.cx.actor.org;
    world.cx.actor.org = owner;
    world_enqueue(&world, (struct job_new){.name = name, .args = {S("{\"a\":1}")}});
    world.cx.actor.org = before;
}

static void j5_an_organisation_sees_and_changes_its_own_jobs_only(void **state) {
    (void)state;
    enum err e;
    enqueue_for(org.id, "ours");
    enqueue_for(ORG_B, "theirs");
    struct str list = call(ROLE_MANAGER, GET, "/api/v1/jobs", NULL, &e);
    assert_int_equal(e, OK);
    assert_true(has(list, "\"ours\"") && !has(list, "theirs"));
    assert_true(
        has(call(ROLE_MANAGER, GET, job_path("/api/v1/jobs", "ours", ""), NULL, &e), "\"args\":{\"a\":"));
    call(ROLE_MANAGER, GET, job_path("/api/v1/jobs", "theirs", ""), NULL, &e);
    assert_int_equal(e, ERR_NOT_FOUND);
    call(ROLE_MANAGER, DELETE, job_path("/api/v1/jobs", "theirs", ""), NULL, &e);
    assert_int_equal(e, ERR_NOT_FOUND);
    call(ROLE_MANAGER, POST, job_path("/api/v1/jobs", "theirs", "/retry"), NULL, &e);
    assert_int_equal(e, ERR_NOT_FOUND);
    call(ROLE_MANAGER, DELETE, "/api/v1/jobs/none", NULL, &e);
    assert_int_equal(e, ERR_NOT_FOUND);
    call(ROLE_MANAGER, GET, "/operator/jobs", NULL, &e);
    assert_int_not_equal(e, OK);
}

static void j5_a_running_job_is_left_alone_a_dead_one_is_retried_and_dropped(void **state) {
    (void)state;
    enum err e;
    enqueue_for(org.id, "ours");
    struct list jobs = world_claim(&world, 1);
    call(ROLE_OWNER, DELETE, job_path("/api/v1/jobs", "ours", ""), NULL, &e);
    assert_int_equal(e, ERR_CONFLICT);
    call(ROLE_OWNER, POST, job_path("/api/v1/jobs", "ours", "/retry"), NULL, &e);
    assert_int_equal(e, ERR_CONFLICT);
    world_do(&world, bury, jobs.items);
    struct str dead = call(ROLE_OWNER, GET, "/api/v1/jobs?filter[state]=dead", NULL, &e);
    assert_true(has(dead, "\"invalid: Wrong.\""));
    assert_false(has(call(ROLE_OWNER, GET, "/api/v1/jobs?filter[state]=ready", NULL, &e), "ours"));
    struct str ready = call(ROLE_OWNER, POST, job_path("/api/v1/jobs", "ours", "/retry"), NULL, &e);
    assert_int_equal(e, OK);
    assert_true(has(ready, "\"state\":\"ready\""));
    call(ROLE_OWNER, DELETE, job_path("/api/v1/jobs", "ours", ""), NULL, &e);
    assert_int_equal(e, OK);
    assert_int_equal(world_count(&world, &COUNT_NAME, "ours"), 0);
}

static void j5_the_operator_sees_and_changes_all(void **state) {
    (void)state;
    enum err e;
    enqueue_for(org.id, "ours");
    enqueue_for((struct uuid){0}, "the server's");
    struct str list = call(ROLE_OPERATOR, GET, "/operator/jobs", NULL, &e);
    assert_int_equal(e, OK);
    assert_true(has(list, "\"ours\"") && has(list, "\"the server's\"") && has(list, "\"organisation\":null"));
    const char *const names[] = {"ours", "the server's"};
    for (size_t i = 0; i < 2; i++) {
        call(ROLE_OPERATOR, POST, job_path("/operator/jobs", names[i], "/retry"), NULL, &e);
        assert_int_equal(e, ERR_CONFLICT); /* ready already */
        call(ROLE_OPERATOR, DELETE, job_path("/operator/jobs", names[i], ""), NULL, &e);
        assert_int_equal(e, OK);
        assert_int_equal(world_count(&world, &COUNT_NAME, names[i]), 0);
    }
}

static void j5_pages_of_all_organisations_go_on_to_the_servers_own(void **state) {
    (void)state;
    enum err e;
    for (int i = 0; i < 3; i++) {
        enqueue_for(org.id, "ours");
        enqueue_for((struct uuid){0}, "the server's");
    }
    int64_t seen = 0;
    struct str cursor = S("");
    for (int page = 0; page < 6; page++) {
        struct str target = str_printf(world.cx.mem, "/operator/jobs?page_size=1%.*s%c", STR_FMT(cursor), 0);
        struct str list = call(ROLE_OPERATOR, GET, target.p, NULL, &e);
        assert_int_equal(e, OK);
        assert_true(has(list, page < 3 ? "\"ours\"" : "\"the server's\""));
        seen++;
        const char *next = memmem(list.p, list.n, "\"next_cursor\":\"", 15);
        assert_true((next != NULL) == (page < 5));
        if (next)
            cursor = str_printf(world.cx.mem, "&cursor=%.*s", (int)(strchr(next + 15, '"') - next - 15),
                                next + 15);
    }
    assert_int_equal(seen, 6);
}

static void j5_a_job_is_run_by_hand(void **state) {
    (void)state;
    enum err e;
    struct str ran = call(ROLE_OPERATOR, POST, "/operator/jobs/run",
                          "{\"name\":\"noop\",\"organisation\":\"demo-company\"}", &e);
    assert_int_equal(e, OK);
    assert_true(has(ran, "\"name\":\"noop\""));
    call(ROLE_OPERATOR, POST, "/operator/jobs/run", "{\"name\":\"none\"}", &e);
    assert_int_equal(e, ERR_INVALID);
    call(ROLE_OPERATOR, POST, "/operator/jobs/run", "{\"name\":\"noop\",\"organisation\":\"nobody\"}", &e);
    assert_int_equal(e, ERR_NOT_FOUND);
    call(ROLE_OPERATOR, POST, "/operator/jobs/run", "{\"name\":\"noop\",\"args\":[1]}", &e);
    assert_int_equal(e, ERR_INVALID);
}

static const struct command *command_named(const char *name) {
    for (size_t i = 0; i < JOB_COMMANDS_N; i++)
        if (!strcmp(JOB_COMMANDS[i].name, name))
            return &JOB_COMMANDS[i];
    return NULL;
}

static void j5_commands_make_requests_that_their_routes_take(void **state) {
    (void)state;
    enum err e;
    struct str target, body = {0};
    enqueue_for(org.id, "ours");
    struct command_line line = {.option = {S("ready"), S("default")}};
    const struct command *list = command_named("jobs list");
    MUST(&world, list->request(&world.cx, &line, &target, &body));
    assert_true(has(call(ROLE_OPERATOR, GET, str_z(world.cx.mem, target), NULL, &e), "\"ours\""));
    line = (struct command_line){
        .words = (struct str[]){S("noop")}, .n_words = 1, .option = {S("{}"), S("Demo Company")}};
    MUST(&world, command_named("jobs run")->request(&world.cx, &line, &target, &body));
    call(ROLE_OPERATOR, POST, str_z(world.cx.mem, target), str_z(world.cx.mem, body), &e);
    assert_int_equal(e, OK);
    line = (struct command_line){.words = (struct str[]){S("noop")}, .n_words = 1};
    MUST(&world, command_named("jobs run")->request(&world.cx, &line, &target, &body));
    call(ROLE_OPERATOR, POST, str_z(world.cx.mem, target), str_z(world.cx.mem, body), &e);
    assert_int_equal(e, OK);
    line.words[0] = S("not-an-id");
    assert_int_equal(command_named("jobs drop")->request(&world.cx, &line, &target, &body), ERR_USAGE);
    const char *path = job_path("", "ours", "");
    line.words[0] = str_of(path + 1);
    MUST(&world, command_named("jobs drop")->request(&world.cx, &line, &target, &body));
    call(ROLE_OPERATOR, DELETE, str_z(world.cx.mem, target), NULL, &e);
    assert_int_equal(e, OK);
    assert_int_equal(world_count(&world, &COUNT_NAME, "ours"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

static int run(void) {
    const struct CMUnitTest tests[] = {
        TEST(j5_an_organisation_sees_and_changes_its_own_jobs_only),
        TEST(j5_a_running_job_is_left_alone_a_dead_one_is_retried_and_dropped),
        TEST(j5_the_operator_sees_and_changes_all),
        TEST(j5_pages_of_all_organisations_go_on_to_the_servers_own),
        TEST(j5_a_job_is_run_by_hand),
        TEST(j5_commands_make_requests_that_their_routes_take),
    };
    return cmocka_run_group_tests_name(postgres_url[0] ? "job routes, PostgreSQL" : "job routes, SQLite",
                                       tests, NULL, NULL);
}

int main(void) { return run_on_both(run); }
