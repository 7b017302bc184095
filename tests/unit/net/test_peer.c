#include "net/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    struct str peer, forwarded[2], client;
} CASES[] = {
    {S("203.0.113.9"), {S("198.51.100.1")}, S("203.0.113.9")}, /* not from a proxy of ours */
    {S("10.1.2.3"), {S("198.51.100.1")}, S("198.51.100.1")},
    {S("10.1.2.3"),
     {S("1.1.1.1, 198.51.100.1, 10.9.9.9")},
     S("198.51.100.1")}, /* the first is the client's own claim */
    {S("10.1.2.3"), {S("1.1.1.1"), S("198.51.100.1")}, S("198.51.100.1")},
    {S("10.1.2.3"), {S("198.51.100.1, unknown")}, S("10.1.2.3")},
    {S("10.1.2.3"), {S("10.4.4.4")}, S("10.4.4.4")}, /* proxies all the way */
    {S("10.1.2.3"), {{0}}, S("10.1.2.3")},
    {S("2001:db8::1"), {S("2001:db8:ffff::7")}, S("2001:db8:ffff::7")},
    {S("2001:db9::1"), {S("2001:db8:ffff::7")}, S("2001:db9::1")},
};

static void last_untrusted(void **state) {
    (void)state;
    struct network nets[2];
    assert_true(network_parse(S("10.0.0.0/8"), &nets[0]));
    assert_true(network_parse(S("2001:db8::/48"), &nets[1]));
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct header headers[2];
        size_t n = 0;
        for (; n < 2 && CASES[i].forwarded[n].p; n++)
            headers[n] = (struct header){S("x-forwarded-for"), CASES[i].forwarded[n]};
        struct str got = peer_client((struct list){nets, 2}, CASES[i].peer, headers, n);
        if (!str_eq(got, CASES[i].client))
            fail_msg("case %zu: got %.*s", i, STR_FMT(got));
    }
}

static void networks(void **state) {
    (void)state;
    struct network net;
    assert_true(network_parse(S("127.0.0.1"), &net));
    assert_int_equal(net.bits, 128);
    assert_true(network_parse(S("0.0.0.0/0"), &net));
    assert_int_equal(net.bits, 96);
    assert_true(network_parse(S("::/0"), &net));
    assert_false(network_parse(S("10.0.0.0/33"), &net));
    assert_false(network_parse(S("10.0.0"), &net));
    assert_false(network_parse(S("::1/129"), &net));
    assert_false(network_parse(S("10.0.0.0/"), &net));
    assert_false(network_parse(S(""), &net));
}

static void one_key_a_customer(void **state) {
    (void)state;
    char a[16], b[16];
    assert_true(str_eq(peer_limit_key(S("2001:db8::1"), a), peer_limit_key(S("2001:db8::ffff:2"), b)));
    assert_false(str_eq(peer_limit_key(S("2001:db8::1"), a), peer_limit_key(S("2001:db8:0:1::1"), b)));
    assert_false(str_eq(peer_limit_key(S("192.0.2.1"), a), peer_limit_key(S("192.0.2.2"), b)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_untrusted),
        cmocka_unit_test(networks),
        cmocka_unit_test(one_key_a_customer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
