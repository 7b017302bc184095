#include "identity_db.h"

#include <string.h>
#include <sys/stat.h>

static struct world W;

static enum err add(const char *body, struct answer *an) {
    world_act(&W, (struct uuid){{0}}, (struct uuid){{0}}, "operator", ROLE_OPERATOR);
    return world_send(
        &W, (struct sent){.handler = operator_user_add, .in = &USER_ADD, .use = CREATE, .body = body}, an);
}

static enum err login(const char *email, struct str password, struct answer *an) {
    struct str body =
        str_printf(W.cx.mem, "{\"email\":\"%s\",\"password\":\"%.*s\"}", email, STR_FMT(password));
    return world_send(
        &W, (struct sent){.handler = auth_login, .in = &LOGIN, .use = CREATE, .body = str_z(W.cx.mem, body)},
        an);
}

static void the_command_asks_the_route(void **state) {
    (void)state;
    struct command_line line = {
        .words = (struct str[]){S("a@\"b")}, .n_words = 1, .option = {S("Demo Company"), S("clerk")}};
    struct str target, body;
    assert_int_equal(user_add_request(&W.cx, &line, &target, &body), OK);
    assert_true(str_eq(target, S("/operator/users")));
    assert_string_equal(str_z(W.cx.mem, body), "{\"email\":\"a@\\\"b\",\"organisation\":\"Demo Company\","
                                               "\"role\":\"clerk\",\"password\":null}");
}

static void a_user_with_a_password_that_is_made(void **state) {
    (void)state;
    struct answer an;
    struct uuid org;
    world_organisation(&W, "Demo Company", &org);
    assert_int_equal(add("{\"email\":\"A@demo.example\",\"organisation\":\"Demo Company\",\"role\":\"owner\","
                         "\"password\":null}",
                         &an),
                     OK);
    struct str password = answered(&an, "password");
    assert_true(str_eq(answered(&an, "organisation"), S("demo-company")));
    assert_true(uuid_is_nil(W.cx.actor.org));
    assert_int_equal(login("a@demo.example", password, &an), OK);
}

static void a_user_with_a_given_password(void **state) {
    (void)state;
    struct answer an;
    static const char BODY[] =
        "{\"email\":\"b@demo.example\",\"organisation\":\"demo-company\",\"role\":\"clerk\","
        "\"password\":\"the given one\"}";
    assert_int_equal(add(BODY, &an), OK);
    assert_null(memmem(an.body.p, an.body.n, "the given one", 13));
    assert_int_equal(login("b@demo.example", S("the given one"), &an), OK);
    assert_int_equal(add(BODY, &an), ERR_CONFLICT);
    assert_int_equal(
        add("{\"email\":\"c@demo.example\",\"organisation\":\"nowhere\",\"role\":\"clerk\"}", &an),
        ERR_NOT_FOUND);
}

/* A local server makes its secret once, for its eyes only; tokens outlive the process. */
static void the_local_secret_stays(void **state) {
    (void)state;
    struct answer an;
    struct stat st;
    assert_int_equal(login("b@demo.example", S("the given one"), &an), OK);
    struct str bearer = str_printf(W.cx.mem, "Bearer %.*s", STR_FMT(answered(&an, "token")));
    struct header h = {S("authorization"), bearer};
    struct request rq = {.headers = &h, .n_headers = 1};
    IDENTITY_MODULE.stop(W.state[0]);
    assert_int_equal(IDENTITY_MODULE.start(&W.cx, &W.state[0]), OK);
    assert_int_equal(identity_authenticate(&W.cx, &rq, W.state[0]),
                     ERR_UNAVAILABLE); /* nobody is known yet */
    fault_clear(&W.cx);
    assert_int_equal(db_read_begin(&W.cx), OK);
    assert_int_equal(IDENTITY_MODULE.refresh(&W.cx, W.state[0]), OK);
    db_read_end(&W.cx);
    assert_int_equal(identity_authenticate(&W.cx, &rq, W.state[0]), OK);
    struct str path = str_printf(W.cx.mem, "%s/secret.key", W.folder);
    assert_int_equal(stat(str_z(W.cx.mem, path), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static int open_world(void **state) {
    (void)state;
    world_open(&W);
    return 0;
}

static int close_world(void **state) {
    (void)state;
    world_close(&W);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_asks_the_route),
        cmocka_unit_test(a_user_with_a_password_that_is_made),
        cmocka_unit_test(a_user_with_a_given_password),
        cmocka_unit_test(the_local_secret_stays),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
