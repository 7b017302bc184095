#include "identity_db.h"

#include <string.h>

static struct world W;
static struct uuid ORG;

static enum err login(const char *email, const char *password, const char *peer, struct answer *an) {
    char body[512];
    snprintf(body, sizeof(body), "{\"email\":\"%s\",\"password\":\"%s\"}", email, password);
    return world_send(
        &W, (struct sent){.handler = auth_login, .in = &LOGIN, .use = CREATE, .body = body, .peer = peer},
        an);
}

static struct str add_user(const char *email, const char *role) {
    char body[512];
    struct answer an;
    world_act(&W, ORG, uuid_new(W.cx.now), "owner@login.example", ROLE_OWNER);
    snprintf(body, sizeof(body), "{\"email\":\"%s\",\"role\":\"%s\",\"password\":\"the right one\"}", email,
             role);
    assert_int_equal(
        world_send(&W, (struct sent){.handler = users_create, .in = &USER, .use = CREATE, .body = body}, &an),
        OK);
    world_act(&W, (struct uuid){{0}}, (struct uuid){{0}}, NULL, ROLE_NONE);
    return answered(&an, "id");
}

static void change_user(struct str id, const char *body) {
    struct answer an;
    world_act(&W, ORG, uuid_new(W.cx.now), "owner@login.example", ROLE_OWNER);
    struct sent s = {
        .handler = users_patch, .in = &USER, .use = PATCH, .body = body, .param = str_z(W.cx.mem, id)};
    assert_int_equal(world_send(&W, s, &an), OK);
    world_act(&W, (struct uuid){{0}}, (struct uuid){{0}}, NULL, ROLE_NONE);
}

static enum err prove(const char *authorization) {
    struct header h = {S("authorization"), str_of(authorization)};
    struct request rq = {.headers = &h, .n_headers = 1};
    fault_clear(&W.cx);
    W.cx.actor = (struct actor){0};
    return identity_authenticate(&W.cx, &rq, W.state[0]);
}

static const char *token_of(const char *email) {
    struct answer an;
    assert_int_equal(login(email, "the right one", NULL, &an), OK);
    return str_z(W.cx.mem, str_printf(W.cx.mem, "Bearer %.*s", STR_FMT(answered(&an, "token"))));
}

static void a_good_password_gives_a_token(void **state) {
    (void)state;
    struct answer an;
    add_user("good@login.example", "clerk");
    assert_int_equal(login("Good@Login.example", "the right one", NULL, &an), OK);
    assert_true(str_eq(answered(&an, "email"), S("good@login.example")));
    assert_true(str_eq(answered(&an, "slug"), S("login")));
    const char *bearer = token_of("good@login.example");
    for (int i = 0; i < 2; i++) { /* read, then kept */
        assert_int_equal(prove(bearer), OK);
        assert_true(uuid_eq(W.cx.actor.org, ORG) && W.cx.actor.role == ROLE_CLERK);
        assert_true(str_eq(W.cx.actor.name, S("good@login.example")));
    }
    assert_int_equal(world_send(&W, (struct sent){.handler = auth_me, .read = true}, &an), OK);
    assert_true(str_eq(answered(&an, "role"), S("clerk")));
}

static void nobody_learns_who_is_there(void **state) {
    (void)state;
    struct answer an;
    struct str disabled = add_user("disabled@login.example", "clerk");
    change_user(disabled, "{\"disabled\":true}");
    add_user("here@login.example", "clerk");
    static const char *const NAMES[] = {"here@login.example", "nobody@login.example", "no address"};
    struct str message = {0};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(login(NAMES[i], "the wrong one", NULL, &an), ERR_UNAUTHENTICATED);
        assert_true(!message.p || str_eq(message, W.cx.fault.message));
        message = W.cx.fault.message;
    }
    assert_int_equal(login("disabled@login.example", "the right one", NULL, &an), ERR_UNAUTHENTICATED);
    assert_true(str_eq(message, W.cx.fault.message));
}

static void failures_are_throttled(void **state) {
    (void)state;
    struct answer an;
    add_user("slow@login.example", "clerk");
    for (int i = 0; i < 10; i++)
        assert_int_equal(login("slow@login.example", "the wrong one", "198.51.100.1", &an),
                         ERR_UNAUTHENTICATED);
    assert_int_equal(login("SLOW@login.example", "the right one", "198.51.100.2", &an), ERR_RATE);
    assert_int_equal(an.n_headers, 1);
    assert_true(str_eq(an.headers[0].name, S("Retry-After")));
}

static void what_is_no_bearer(void **state) {
    (void)state;
    static const char *const VALUES[] = {"",         "Bearer",       "Bearer ", "Basic YTpi",
                                         "Bearer x", "Bearer a.b.c", "Token x"};
    for (size_t i = 0; i < sizeof(VALUES) / sizeof(VALUES[0]); i++)
        assert_int_equal(prove(VALUES[i]), ERR_UNAUTHENTICATED);
    struct request none = {0};
    assert_int_equal(identity_authenticate(&W.cx, &none, W.state[0]), ERR_UNAUTHENTICATED);
    struct str good = str_of(token_of("good@login.example"));
    struct header twice[] = {{S("Authorization"), good}, {S("authorization"), good}};
    struct request both = {.headers = twice, .n_headers = 2};
    assert_int_equal(identity_authenticate(&W.cx, &both, W.state[0]), ERR_UNAUTHENTICATED);
    assert_true(uuid_is_nil(W.cx.actor.user));
}

static void changes_are_felt_at_once(void **state) {
    (void)state;
    struct str id = add_user("changing@login.example", "clerk");
    const char *bearer = token_of("changing@login.example");
    assert_int_equal(prove(bearer), OK);
    change_user(id, "{\"role\":\"viewer\"}");
    assert_int_equal(prove(bearer), OK);
    assert_int_equal(W.cx.actor.role, ROLE_VIEWER);
    change_user(id, "{\"disabled\":true}");
    assert_int_equal(prove(bearer), ERR_UNAUTHENTICATED);
    assert_true(uuid_is_nil(W.cx.actor.org));
    change_user(id, "{\"disabled\":false}");
    assert_int_equal(prove(bearer), OK);
    W.cx.now.us += 2 * US_PER_S;
    change_user(id, "{\"password\":\"another long one\"}");
    assert_int_equal(prove(bearer), ERR_UNAUTHENTICATED);
}

static void log_out_ends_one_token(void **state) {
    (void)state;
    struct answer an;
    add_user("leaving@login.example", "clerk");
    const char *one = token_of("leaving@login.example"), *two = token_of("leaving@login.example");
    assert_int_equal(prove(two), OK);
    assert_int_equal(prove(one), OK);
    struct sent s = {.handler = auth_logout, .bearer = one + strlen("Bearer ")};
    assert_int_equal(world_send(&W, s, &an), OK);
    assert_int_equal(prove(one), ERR_UNAUTHENTICATED);
    assert_int_equal(prove(two), OK);
}

static void a_new_password_of_ones_own(void **state) {
    (void)state;
    struct answer an;
    add_user("own@login.example", "clerk");
    const char *bearer = token_of("own@login.example");
    W.cx.now.us += 2 * US_PER_S;
    assert_int_equal(prove(bearer), OK);
    struct sent s = {.handler = auth_password,
                     .in = &PASSWORD_CHANGE,
                     .use = CREATE,
                     .body = "{\"current\":\"the wrong one\",\"new\":\"another long one\"}"};
    assert_int_equal(world_send(&W, s, &an), ERR_INVALID);
    s.body = "{\"current\":\"the right one\",\"new\":\"short\"}";
    assert_int_equal(world_send(&W, s, &an), ERR_INVALID);
    s.body = "{\"current\":\"the right one\",\"new\":\"another long one\"}";
    assert_int_equal(world_send(&W, s, &an), OK);
    struct str fresh = answered(&an, "token");
    assert_int_equal(prove(bearer), ERR_UNAUTHENTICATED);
    assert_int_equal(prove(str_z(W.cx.mem, str_printf(W.cx.mem, "Bearer %.*s", STR_FMT(fresh)))), OK);
    assert_int_equal(login("own@login.example", "the right one", NULL, &an), ERR_UNAUTHENTICATED);
    assert_int_equal(login("own@login.example", "another long one", NULL, &an), OK);
}

static int open_world(void **state) {
    (void)state;
    world_open(&W);
    world_organisation(&W, "Login", &ORG);
    return 0;
}

static int close_world(void **state) {
    (void)state;
    world_close(&W);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_password_gives_a_token), cmocka_unit_test(nobody_learns_who_is_there),
        cmocka_unit_test(failures_are_throttled),        cmocka_unit_test(what_is_no_bearer),
        cmocka_unit_test(changes_are_felt_at_once),      cmocka_unit_test(log_out_ends_one_token),
        cmocka_unit_test(a_new_password_of_ones_own),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
