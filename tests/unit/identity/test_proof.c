#include "identity_test.h"

#include "identity/proof.h"

#define STEADY INT64_C(5000000)

static struct proof proof_of(struct ctx *cx) {
    return (struct proof){.org = uuid_new(cx->now),
                          .user = uuid_new(cx->now),
                          .role = ROLE_CLERK,
                          .email = S("a@b.example"),
                          .expires_at = {cx->now.us + 10 * US_PER_S}};
}

static void a_proof_stands_for_a_second(void **state) {
    (void)state;
    struct ctx cx = test_ctx();
    struct proofs *p = proofs_new();
    struct proof in = proof_of(&cx), out;
    struct proof_key key = proofs_key(p, S("a.b.c")), other = proofs_key(p, S("a.b.d"));
    assert_false(proofs_find(p, key, STEADY, cx.now, cx.mem, &out));
    proofs_add(p, key, STEADY, proofs_era(p), &in);
    assert_true(proofs_find(p, key, STEADY + PROOF_LIFE_US - 1, cx.now, cx.mem, &out));
    assert_true(uuid_eq(out.org, in.org) && uuid_eq(out.user, in.user) && out.role == ROLE_CLERK);
    assert_true(str_eq(out.email, in.email) && out.email.p != in.email.p);
    assert_false(proofs_find(p, key, STEADY + PROOF_LIFE_US, cx.now, cx.mem, &out));
    assert_false(proofs_find(p, key, STEADY, in.expires_at, cx.mem, &out));
    assert_false(proofs_find(p, other, STEADY, cx.now, cx.mem, &out));
    proofs_free(p);
    arena_free(cx.mem);
}

static void a_change_ends_all_proofs(void **state) {
    (void)state;
    struct ctx cx = test_ctx();
    struct proofs *p = proofs_new();
    struct proof in = proof_of(&cx), out;
    struct proof_key key = proofs_key(p, S("a.b.c"));
    uint64_t era = proofs_era(p);
    proofs_add(p, key, STEADY, era, &in);
    proofs_forget(p);
    assert_false(proofs_find(p, key, STEADY, cx.now, cx.mem, &out));
    proofs_add(p, key, STEADY, era, &in); /* read before the change */
    assert_false(proofs_find(p, key, STEADY, cx.now, cx.mem, &out));
    proofs_add(p, key, STEADY, proofs_era(p), &in);
    assert_true(proofs_find(p, key, STEADY, cx.now, cx.mem, &out));
    proofs_free(p);
    arena_free(cx.mem);
}

static void a_full_table_forgets_and_goes_on(void **state) {
    (void)state;
    struct ctx cx = test_ctx();
    struct proofs *p = proofs_new();
    struct proof in = proof_of(&cx), out;
    for (int i = 0; i < 50000; i++) {
        char token[32];
        int n = snprintf(token, sizeof(token), "a.b.%d", i);
        struct proof_key key = proofs_key(p, (struct str){token, (size_t)n});
        in.role = i % 2 ? ROLE_OWNER : ROLE_VIEWER;
        proofs_add(p, key, STEADY + i, proofs_era(p), &in);
        assert_true(proofs_find(p, key, STEADY + i, cx.now, cx.mem, &out));
        assert_int_equal(out.role, in.role);
    }
    proofs_free(p);
    arena_free(cx.mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proof_stands_for_a_second),
        cmocka_unit_test(a_change_ends_all_proofs),
        cmocka_unit_test(a_full_table_forgets_and_goes_on),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
