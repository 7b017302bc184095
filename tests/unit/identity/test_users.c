#include "identity_db.h"

#include <string.h>

static struct world W;

static enum err create(const char *body, struct answer *an) {
    return world_send(&W, (struct sent){.handler = users_create, .in = &USER, .use = CREATE, .body = body},
                      an);
}

static enum err patch(struct str id, const char *body, struct answer *an) {
    return world_send(
        &W,
        (struct sent){
            .handler = users_patch, .in = &USER, .use = PATCH, .body = body, .param = str_z(W.cx.mem, id)},
        an);
}

static enum err removal(struct str id, struct answer *an) {
    return world_send(&W, (struct sent){.handler = users_delete, .param = str_z(W.cx.mem, id)}, an);
}

static enum err get(struct str id, struct answer *an) {
    return world_send(&W, (struct sent){.handler = users_get, .param = str_z(W.cx.mem, id), .read = true},
                      an);
}

static void slugs_are_unique(void **state) {
    (void)state;
    struct uuid a, b, c, d;
    assert_string_equal(str_z(W.cx.mem, world_organisation(&W, "Demo Company", &a)), "demo-company");
    assert_string_equal(str_z(W.cx.mem, world_organisation(&W, "Demo-Company", &b)), "demo-company-2");
    assert_string_equal(str_z(W.cx.mem, world_organisation(&W, "demo company!", &c)), "demo-company-3");
    assert_string_equal(str_z(W.cx.mem, world_organisation(&W, "Demo Company", &d)), "demo-company");
    assert_true(uuid_eq(a, d) && !uuid_eq(a, b) && !uuid_eq(b, c));
}

static void users_are_made_and_changed(void **state) {
    (void)state;
    struct uuid org;
    struct answer an;
    world_organisation(&W, "Users", &org);
    world_act(&W, org, uuid_new(W.cx.now), "owner@users.example", ROLE_OWNER);
    assert_int_equal(
        create("{\"email\":\"Clerk@Users.example\",\"role\":\"clerk\",\"password\":\"long enough 12\"}", &an),
        OK);
    assert_int_equal(an.status, 201);
    assert_true(str_eq(answered(&an, "email"), S("clerk@users.example")));
    assert_null(memmem(an.body.p, an.body.n, "assword", 7));
    struct str id = answered(&an, "id");
    assert_int_equal(create("{\"email\":\"clerk@users.EXAMPLE\",\"role\":\"viewer\"}", &an), ERR_CONFLICT);
    assert_int_equal(create("{\"email\":\"x@users.example\",\"role\":\"operator\"}", &an), ERR_INVALID);
    assert_int_equal(
        create("{\"email\":\"x@users.example\",\"role\":\"clerk\",\"password\":\"too short\"}", &an),
        ERR_INVALID);
    assert_int_equal(patch(id, "{\"role\":\"manager\",\"name\":\"Kim\"}", &an), OK);
    assert_true(str_eq(answered(&an, "role"), S("manager")));
    assert_int_equal(patch(id, "{\"role\":null}", &an), ERR_INVALID);
    assert_int_equal(patch(id, "{\"email\":\"y@users.example\"}", &an), ERR_INVALID);
    assert_int_equal(get(id, &an), OK);
    assert_true(str_eq(answered(&an, "name"), S("Kim")));
    assert_int_equal(patch(S("nonsense"), "{}", &an), ERR_NOT_FOUND);
    assert_int_equal(removal(id, &an), OK);
    assert_int_equal(get(id, &an), ERR_NOT_FOUND);
    assert_int_equal(removal(id, &an), ERR_NOT_FOUND);
}

static void an_owner_is_always_left(void **state) {
    (void)state;
    struct uuid org;
    struct answer an;
    world_organisation(&W, "Owners", &org);
    world_act(&W, org, uuid_new(W.cx.now), "operator", ROLE_OPERATOR);
    assert_int_equal(create("{\"email\":\"one@owners.example\",\"role\":\"owner\"}", &an), OK);
    struct str one = answered(&an, "id");
    assert_int_equal(patch(one, "{\"role\":\"clerk\"}", &an), ERR_CONFLICT);
    assert_int_equal(patch(one, "{\"disabled\":true}", &an), ERR_CONFLICT);
    assert_int_equal(removal(one, &an), ERR_CONFLICT);
    assert_int_equal(patch(one, "{\"name\":\"One\"}", &an), OK);
    assert_int_equal(create("{\"email\":\"two@owners.example\",\"role\":\"owner\"}", &an), OK);
    struct str two = answered(&an, "id");
    assert_int_equal(patch(two, "{\"disabled\":true}", &an), OK);
    assert_int_equal(removal(one, &an), ERR_CONFLICT);
    assert_int_equal(patch(two, "{\"disabled\":false}", &an), OK);
    struct uuid user;
    assert_true(uuid_parse(one, &user));
    world_act(&W, org, user, "one@owners.example", ROLE_OWNER);
    assert_int_equal(patch(one, "{\"role\":\"clerk\"}", &an), ERR_CONFLICT); /* his own */
    assert_int_equal(patch(two, "{\"role\":\"clerk\"}", &an), OK);
    assert_int_equal(removal(one, &an), ERR_CONFLICT);
}

static void nobody_reaches_into_another_organisation(void **state) {
    (void)state;
    struct uuid ours, theirs;
    struct answer an;
    world_organisation(&W, "Ours", &ours);
    world_organisation(&W, "Theirs", &theirs);
    world_act(&W, theirs, uuid_new(W.cx.now), "owner@theirs.example", ROLE_OWNER);
    assert_int_equal(create("{\"email\":\"u@theirs.example\",\"role\":\"clerk\"}", &an), OK);
    struct str id = answered(&an, "id");
    world_act(&W, ours, uuid_new(W.cx.now), "owner@ours.example", ROLE_OWNER);
    assert_int_equal(get(id, &an), ERR_NOT_FOUND);
    assert_int_equal(patch(id, "{\"name\":\"x\"}", &an), ERR_NOT_FOUND);
    assert_int_equal(removal(id, &an), ERR_NOT_FOUND);
}

static enum err found(const char *body, struct answer *an) {
    return world_send(
        &W,
        (struct sent){.handler = organisations_create, .in = &ORGANISATION_NEW, .use = CREATE, .body = body},
        an);
}

static size_t hooked;

static enum err count_hook(struct ctx *cx, const struct organisation *org) {
    assert_true(uuid_eq(cx->actor.org, org->id));
    hooked++;
    return OK;
}

static enum err refuse_hook(struct ctx *cx, const struct organisation *org) {
    (void)org;
    return fail_cause(cx, ERR_UNAVAILABLE, "the hook refuses");
}

static void the_oldest_makes_organisations(void **state) {
    (void)state;
    static const char BODY[] = "{\"name\":\"Made\",\"owner\":{\"email\":\"o@made.example\","
                               "\"password\":\"long enough 12\"}}";
    struct uuid other;
    struct answer an;
    struct list all;
    world_organisation(&W, "Other", &other);
    assert_int_equal(db_read_begin(&W.cx), OK);
    assert_int_equal(organisation_list(&W.cx, &all), OK);
    db_read_end(&W.cx);
    struct uuid oldest = ((const struct organisation *)all.items)->id;
    world_act(&W, other, uuid_new(W.cx.now), "owner@other.example", ROLE_OWNER);
    assert_int_equal(found(BODY, &an), ERR_FORBIDDEN);
    world_act(&W, oldest, uuid_new(W.cx.now), "owner@oldest.example", ROLE_OWNER);
    identity_on_organisation(W.state[0], refuse_hook);
    assert_int_equal(found(BODY, &an), ERR_UNAVAILABLE);
    identity_on_organisation(W.state[0], count_hook);
    assert_int_equal(found(BODY, &an), OK);
    assert_true(hooked >= 1);
    assert_true(uuid_eq(W.cx.actor.org, oldest));
    assert_true(str_eq(answered(&an, "slug"), S("made")));
    assert_int_equal(found(BODY, &an), ERR_CONFLICT);
    assert_int_equal(found("{\"name\":\"New\",\"owner\":{\"email\":\"nobody\",\"password\":\"short\"}}", &an),
                     ERR_INVALID);
    assert_int_equal(W.cx.fault.n, 2);
    assert_true(str_eq(W.cx.fault.problems[0].field, S("owner.email")));
}

static void the_statements_fit_their_rows(void **state) {
    (void)state;
    assert_int_equal(db_check_stmts(&W.cx, IDENTITY_MODULE.stmts, IDENTITY_MODULE.n_stmts), OK);
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
        cmocka_unit_test(the_statements_fit_their_rows),
        cmocka_unit_test(slugs_are_unique),
        cmocka_unit_test(users_are_made_and_changed),
        cmocka_unit_test(an_owner_is_always_left),
        cmocka_unit_test(nobody_reaches_into_another_organisation),
        cmocka_unit_test(the_oldest_makes_organisations),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
