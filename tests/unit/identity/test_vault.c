#include "identity_test.h"

#include <string.h>

#include "identity/vault.h"

static const struct vault KEY = {.key = {1, 2, 3}}, OTHER = {.key = {3, 2, 1}};
#define ABOUT S("org:42")

static void what_is_sealed_opens_with_its_key_and_purpose_alone(void **state) {
    (void)state;
    struct ctx cx = test_ctx();
    struct bytes one, two;
    assert_int_equal(vault_seal(&cx, &KEY, ABOUT, S("a shared secret"), &one), OK);
    assert_int_equal(vault_seal(&cx, &KEY, ABOUT, S("a shared secret"), &two), OK);
    assert_memory_not_equal(one.p, two.p, one.n);
    assert_true(str_eq(vault_open(cx.mem, &KEY, ABOUT, one), S("a shared secret")));
    assert_null(memmem(one.p, one.n, "secret", 6));
    assert_null(vault_open(cx.mem, &OTHER, ABOUT, one).p);
    assert_null(vault_open(cx.mem, &KEY, S("org:43"), one).p);
    assert_null(vault_open(cx.mem, &KEY, ABOUT, (struct bytes){0}).p);
    for (size_t n = 0; n < one.n; n++)
        assert_null(vault_open(cx.mem, &KEY, ABOUT, (struct bytes){one.p, n}).p);
    arena_free(cx.mem);
}

static void a_changed_byte_anywhere_is_noticed(void **state) {
    (void)state;
    struct ctx cx = test_ctx();
    struct bytes sealed;
    assert_int_equal(vault_seal(&cx, &KEY, ABOUT, S("x"), &sealed), OK);
    for (size_t i = 0; i < sealed.n; i++) {
        unsigned char copy[128];
        memcpy(copy, sealed.p, sealed.n);
        copy[i] ^= 1;
        assert_null(vault_open(cx.mem, &KEY, ABOUT, (struct bytes){copy, sealed.n}).p);
    }
    arena_free(cx.mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_opens_with_its_key_and_purpose_alone),
        cmocka_unit_test(a_changed_byte_anywhere_is_noticed),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
