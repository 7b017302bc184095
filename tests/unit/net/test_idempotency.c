#include "toy.h"

#include "db/migrate.h"
#include "net/answer.h"
#include "net/idempotency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

struct world {
    struct ctx cx;
    struct clock *clock;
    struct db *db;
    char folder[64];
    int runs; /* of the handler */
    enum err outcome;
};

/* TEST_POSTGRES names an empty database to use in SQLite's place. */
static int open_world(void **state) {
    static struct world w;
    w = (struct world){.folder = "/tmp/entrepot-net-XXXXXX", .clock = clock_new(NULL)};
    w.cx = (struct ctx){.mem = arena_new(1 << 24), .now = clock_now(w.clock)};
    if (!mkdtemp(w.folder))
        return -1;
    const char *postgres = getenv("TEST_POSTGRES");
    struct str url = postgres ? str_of(postgres) : str_printf(w.cx.mem, "sqlite:///%s/test.db", w.folder);
    if (db_open(&w.cx, url, str_of(w.folder), &w.db))
        return -1;
    w.cx.database = w.db;
    w.cx.actor.org = (struct uuid){{1}};
    w.cx.app = &w;
    *state = &w;
    return (postgres && migrate_down(&w.cx, 0)) || migrate_up(&w.cx, -1) ? -1 : 0;
}

static int close_world(void **state) {
    struct world *w = *state;
    char command[100];
    db_close(w->db);
    clock_free(w->clock);
    arena_free(w->cx.mem);
    snprintf(command, sizeof(command), "rm -r %s", w->folder);
    return system(command);
}

static enum err count_and_answer(struct ctx *cx, struct request *rq, struct answer *an) {
    struct world *w = cx->app;
    struct toy t = {rq->body, ++w->runs};
    if (w->outcome)
        return (fail)(cx, w->outcome, "As the test wants it."); /* in parentheses: cmocka has a macro fail */
    return answer_object(cx, an, 0, &TOY, &t);
}

static const struct route ROUTE_OF_TEST =
    ROUTE(POST, "/api/v1/toys/{sku}/copy", WRITE, AREA_FLOOR, NEED_WRITE, count_and_answer, "Copies.",
          .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT);

struct sending {
    struct request rq;
    struct answer an;
    struct str key;
};

static enum err run(struct ctx *cx, void *arg) {
    struct sending *s = arg;
    answer_begin(cx, &s->an, s->rq.route);
    return idempotency_run(cx, &s->rq, &s->an, s->key);
}

/* The status of the answer; body gets it. */
static int post(struct world *w, const char *key, const char *target, const char *text, struct str *body) {
    struct sending s = {
        .rq = {.method = POST, .target = str_of(target), .body = str_of(text), .route = &ROUTE_OF_TEST},
        .key = str_of(key)};
    enum err e = db_write_wait(&w->cx, run, &s);
    if (body)
        *body = buf_str(&s.an.body);
    if (e)
        fault_clear(&w->cx);
    return e ? err_info(e)->status : s.an.status;
}

static void a_repeat_gets_the_first_answer(void **state) {
    struct world *w = *state;
    struct str first, again;
    assert_int_equal(post(w, "k1", "/api/v1/toys/A/copy", "{}", &first), 201);
    assert_int_equal(post(w, "k1", "/api/v1/toys/A/copy", "{}", &again), 200);
    assert_true(str_eq(first, again));
    assert_int_equal(w->runs, 1);
}

static void another_request_conflicts(void **state) {
    struct world *w = *state;
    assert_int_equal(post(w, "k2", "/api/v1/toys/A/copy", "{}", NULL), 201);
    assert_int_equal(post(w, "k2", "/api/v1/toys/A/copy", "{ }", NULL), 409);
    assert_int_equal(post(w, "k2", "/api/v1/toys/B/copy", "{}", NULL), 409);
    assert_int_equal(w->runs, 1);
    assert_int_equal(post(w, "k3", "/api/v1/toys/A/copy", "{ }", NULL), 201);
}

static void organisations_do_not_share_keys(void **state) {
    struct world *w = *state;
    assert_int_equal(post(w, "k", "/api/v1/toys/A/copy", "{}", NULL), 201);
    w->cx.actor.org = (struct uuid){{2}};
    assert_int_equal(post(w, "k", "/api/v1/toys/A/copy", "{}", NULL), 201);
    assert_int_equal(w->runs, 2);
}

static void a_failure_leaves_the_key_free(void **state) {
    struct world *w = *state;
    w->outcome = ERR_CONFLICT;
    assert_int_equal(post(w, "k", "/api/v1/toys/A/copy", "{}", NULL), 409);
    w->outcome = OK;
    assert_int_equal(post(w, "k", "/api/v1/toys/A/copy", "{}", NULL), 201);
    assert_int_equal(w->runs, 2);
}

static void a_day_later_it_is_new(void **state) {
    struct world *w = *state;
    assert_int_equal(post(w, "k", "/api/v1/toys/A/copy", "{}", NULL), 201);
    w->cx.now.us += IDEMPOTENCY_US - 1;
    assert_int_equal(post(w, "k", "/api/v1/toys/A/copy", "{}", NULL), 200);
    w->cx.now.us += 1;
    assert_int_equal(post(w, "k", "/api/v1/toys/A/copy", "{}", NULL), 201);
    assert_int_equal(w->runs, 2);
}

struct count {
    int64_t n;
};
static const struct field COUNT_FIELDS[] = {FIELD(struct count, n, ROW, "How many.")};
static const struct schema COUNT = SCHEMA(struct count, "count", COUNT_FIELDS);
static const struct stmt KEPT = {"count_kept", TENANT,
                                 "SELECT count(*) AS n FROM idempotency WHERE org_id = $org", NULL, &COUNT};

static enum err count(struct ctx *cx, void *arg) {
    bool found;
    return db_get(cx, &KEPT, ARGS(), arg, &found);
}

static void old_answers_go(void **state) {
    struct world *w = *state;
    struct count kept = {0};
    char key[32], body[32];
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "old %d", i);
        assert_int_equal(post(w, key, "/api/v1/toys/A/copy", "{}", NULL), 201);
    }
    w->cx.now.us += IDEMPOTENCY_US;
    for (int i = 0; i < 1000; i++) { /* about one in 64 sweeps; none does with a chance of 1 in 7 million */
        snprintf(key, sizeof(key), "new %d", i);
        snprintf(body, sizeof(body), "{\"n\":%d}", i);
        assert_int_equal(post(w, key, "/api/v1/toys/A/copy", body, NULL), 201);
    }
    assert_int_equal(db_write_wait(&w->cx, count, &kept), OK);
    assert_int_equal(kept.n, 1000);
}

static void keys(void **state) {
    (void)state;
    char longest[IDEMPOTENCY_KEY_MAX + 1];
    for (size_t i = 0; i < sizeof(longest); i++)
        longest[i] = 'k';
    assert_true(idempotency_key_valid((struct str){longest, IDEMPOTENCY_KEY_MAX}));
    assert_false(idempotency_key_valid((struct str){longest, IDEMPOTENCY_KEY_MAX + 1}));
    assert_false(idempotency_key_valid(S("")));
    assert_false(idempotency_key_valid(S("a b")));
    assert_false(idempotency_key_valid(S("\xc3\xbc")));
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_WORLD(a_repeat_gets_the_first_answer),
        WITH_WORLD(another_request_conflicts),
        WITH_WORLD(organisations_do_not_share_keys),
        WITH_WORLD(a_failure_leaves_the_key_free),
        WITH_WORLD(a_day_later_it_is_new),
        WITH_WORLD(old_answers_go),
        cmocka_unit_test(keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
