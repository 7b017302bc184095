#include "identity_test.h"

#include <time.h>

#include "identity/password.h"

static void hashes_verify(void **state) {
    (void)state;
    struct ctx cx = test_ctx();
    struct str one, two;
    assert_int_equal(password_hash(&cx, S("correct horse battery"), &one), OK);
    assert_int_equal(password_hash(&cx, S("correct horse battery"), &two), OK);
    assert_false(str_eq(one, two));
    assert_true(str_starts(one, S("$argon2id$v=19$m=19456,t=2,p=1$")));
    assert_true(password_verify(S("correct horse battery"), one));
    assert_false(password_verify(S("correct horse batterz"), one));
    assert_false(password_verify(S("correct horse battery "), one));
    assert_false(password_verify(S(""), one));
    assert_false(password_verify((struct str){0}, one));
    arena_free(cx.mem);
}

static void what_is_no_hash(void **state) {
    (void)state;
    static const char *const HASHES[] = {"", "x", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA",
                                         "$argon2i$v=19$m=19456,t=2,p=1$AAAA$AAAA"};
    for (size_t i = 0; i < sizeof(HASHES) / sizeof(HASHES[0]); i++)
        assert_false(password_verify(S("correct horse battery"), str_of(HASHES[i])));
    assert_false(password_verify(S("correct horse battery"), (struct str){0}));
}

/* Without a hash to compare with, the same work is done. Measured in processor time, so that a busy machine
 * does not matter much, and only for the order of magnitude. */
static void nobody_takes_as_long_as_somebody(void **state) {
    (void)state;
    struct ctx cx = test_ctx();
    struct str hash;
    assert_int_equal(password_hash(&cx, S("correct horse battery"), &hash), OK);
    clock_t a = clock();
    for (int i = 0; i < 4; i++)
        assert_false(password_verify(S("not the password"), hash));
    clock_t b = clock();
    for (int i = 0; i < 4; i++)
        assert_false(password_verify(S("not the password"), (struct str){0}));
    clock_t c = clock();
    assert_true((c - b) * 4 > b - a);
    arena_free(cx.mem);
}

static void made_passwords_are_good_ones(void **state) {
    (void)state;
    struct ctx cx = test_ctx();
    struct str one = password_random(&cx), two = password_random(&cx);
    assert_true(one.n >= PASSWORD_MIN && !str_eq(one, two));
    arena_free(cx.mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_verify),
        cmocka_unit_test(what_is_no_hash),
        cmocka_unit_test(nobody_takes_as_long_as_somebody),
        cmocka_unit_test(made_passwords_are_good_ones),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
