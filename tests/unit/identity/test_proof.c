#include "identity_test.h"

#include "identity/proof.h"

#define STEADY INT64_C(5000000)

static struct proof proof_of(struct ctx *cx) {
    return (struct proof){.org = uuid_new(cx->now),
                          .user = uuid_new(cx->now),
                          .jti = uuid_new(cx->now),
                          .issued = cx->now,
                          .expires_at = {cx->now.us + 10 * US_PER_S}};
}

static void a_proof_stands_until_the_token_expires(void **state) {
    (void)state;
    struct ctx cx = test_ctx();
    struct proofs *p = proofs_new();
    struct proof in = proof_of(&cx), out;
    struct proof_key key = proofs_key(p, S("a.b.c")), other = proofs_key(p, S("a.b.d"));
    struct instant last = {in.expires_at.us - 1};
    assert_false(proofs_find(p, key, STEADY, cx.now, &out));
    proofs_add(p, key, STEADY, &in);
    assert_true(proofs_find(p, key, STEADY + 1, last, &out));
    assert_true(uuid_eq(out.org, in.org) && uuid_eq(out.user, in.user) && uuid_eq(out.jti, in.jti));
    assert_true(out.issued.us == in.issued.us && out.expires_at.us == in.expires_at.us);
    assert_false(proofs_find(p, key, STEADY, in.expires_at, &out));
    assert_false(proofs_find(p, other, STEADY, cx.now, &out));
    proofs_free(p);
    arena_free(cx.mem);
}

static void a_full_table_forgets_and_goes_on(void **state) {
    (void)state;
    struct ctx cx = test_ctx();
    struct proofs *p = proofs_new();
    struct proof in = proof_of(&cx), out, busy = proof_of(&cx);
    struct proof_key always = proofs_key(p, S("used all the time"));
    proofs_add(p, always, STEADY, &busy);
    for (int i = 1; i < 50000; i++) {
        char token[32];
        int n = snprintf(token, sizeof(token), "a.b.%d", i);
        struct proof_key key = proofs_key(p, (struct str){token, (size_t)n});
        in.issued.us = i;
        proofs_add(p, key, STEADY + i, &in);
        assert_true(proofs_find(p, key, STEADY + i, cx.now, &out));
        assert_int_equal(out.issued.us, i);
        assert_true(proofs_find(p, always, STEADY + i, cx.now, &out)); /* what is used stays */
        assert_true(uuid_eq(out.user, busy.user));
    }
    proofs_free(p);
    arena_free(cx.mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proof_stands_until_the_token_expires),
        cmocka_unit_test(a_full_table_forgets_and_goes_on),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
