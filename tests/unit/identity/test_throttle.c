#include "identity_test.h"

#include "identity/throttle.h"

static int64_t take(struct throttle *t, enum throttle_by by, const char *who, int64_t at) {
    return throttle_take(t, by, str_of(who), at);
}

static void ten_failures_and_an_account_waits(void **state) {
    (void)state;
    struct throttle *t = throttle_new();
    for (int i = 0; i < 10; i++)
        assert_int_equal(take(t, BY_ACCOUNT, "a@b.example", 1000 + i), 0);
    assert_int_equal(take(t, BY_ACCOUNT, "a@b.example", 2000), THROTTLE_WINDOW_US - 1000);
    assert_int_equal(take(t, BY_ACCOUNT, "c@d.example", 2000), 0);
    assert_int_equal(take(t, BY_ADDRESS, "a@b.example", 2000), 0);
    assert_int_equal(take(t, BY_ACCOUNT, "a@b.example", 1000 + THROTTLE_WINDOW_US - 1), 1);
    assert_int_equal(take(t, BY_ACCOUNT, "a@b.example", 1000 + THROTTLE_WINDOW_US), 0);
    throttle_free(t);
}

static void a_good_log_in_starts_again(void **state) {
    (void)state;
    struct throttle *t = throttle_new();
    for (int i = 0; i < 10; i++)
        assert_int_equal(take(t, BY_ACCOUNT, "a@b.example", 1), 0);
    throttle_give_back(t, BY_ACCOUNT, S("a@b.example"), 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(take(t, BY_ACCOUNT, "a@b.example", 1), 0);
    assert_true(take(t, BY_ACCOUNT, "a@b.example", 1) > 0);
    throttle_give_back(t, BY_ACCOUNT, S("nobody@b.example"), 1);
    throttle_free(t);
}

static void a_hundred_failures_and_an_address_waits(void **state) {
    (void)state;
    struct throttle *t = throttle_new();
    for (int i = 0; i < 100; i++)
        assert_int_equal(take(t, BY_ADDRESS, "192.0.2.1", 1), 0);
    assert_true(take(t, BY_ADDRESS, "192.0.2.1", 1) > 0);
    throttle_give_back(t, BY_ADDRESS, S("192.0.2.1"), 1);
    assert_int_equal(take(t, BY_ADDRESS, "192.0.2.1", 1), 0);
    assert_true(take(t, BY_ADDRESS, "192.0.2.1", 1) > 0);
    throttle_free(t);
}

/* Whoever has one IPv6 address has the 2^64 of its network; an IPv4 address in mapped form is one address. */
static void networks(void **state) {
    (void)state;
    struct throttle *t = throttle_new();
    for (int i = 0; i < 100; i++)
        assert_int_equal(take(t, BY_ADDRESS, i % 2 ? "2001:db8:1:2::1" : "2001:db8:1:2:ffff::9", 1), 0);
    assert_true(take(t, BY_ADDRESS, "2001:0DB8:1:2::77", 1) > 0);
    assert_int_equal(take(t, BY_ADDRESS, "2001:db8:1:3::1", 1), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(take(t, BY_ADDRESS, "::ffff:192.0.2.1", 1), 0);
    assert_true(take(t, BY_ADDRESS, "::ffff:192.0.2.1", 1) > 0);
    assert_int_equal(take(t, BY_ADDRESS, "::ffff:192.0.2.2", 1), 0);
    throttle_free(t);
}

/* A flood of names does not wash away the account that is under attack. */
static void the_guilty_are_kept(void **state) {
    (void)state;
    struct throttle *t = throttle_new();
    for (int i = 0; i < 10; i++)
        take(t, BY_ACCOUNT, "a@b.example", 1);
    for (int i = 0; i < 100000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "user%d@b.example", i);
        assert_int_equal(take(t, BY_ACCOUNT, name, 2), 0);
    }
    assert_true(take(t, BY_ACCOUNT, "a@b.example", 3) > 0);
    throttle_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_failures_and_an_account_waits),
        cmocka_unit_test(a_good_log_in_starts_again),
        cmocka_unit_test(a_hundred_failures_and_an_address_waits),
        cmocka_unit_test(networks),
        cmocka_unit_test(the_guilty_are_kept),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
