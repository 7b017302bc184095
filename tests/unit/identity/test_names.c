#include "identity_test.h"

#include "identity/email.h"
#include "identity/slug.h"

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10

static const struct {
    const char *name, *slug;
} SLUGS[] = {
    {"Demo Company", "demo-company"},
    {"Default", "default"},
    {"  A & B,  Ltd. ", "a-b-ltd"},
    {"--x--", "x"},
    {"42", "42"},
    {"Caf\xc3\xa9 Noir", "caf-noir"},
    {"\xe5\x85\xac\xe5\x8f\xb8", "organisation"},
    {"", "organisation"},
    {"!!!", "organisation"},
    {A60 A60, A60},
};

static void slugs_of_names(void **state) {
    (void)state;
    struct ctx cx = test_ctx();
    for (size_t i = 0; i < sizeof(SLUGS) / sizeof(SLUGS[0]); i++) {
        struct str slug = slug_make(cx.mem, str_of(SLUGS[i].name));
        assert_true(slug.n <= SLUG_MAX && !str_ends(slug, S("-")));
        if (SLUGS[i].slug != SLUGS[9].slug)
            assert_string_equal(str_z(cx.mem, slug), SLUGS[i].slug);
        else
            assert_true(str_starts(str_of(A60), slug) && slug.n >= SLUG_MAX - 1);
    }
    arena_free(cx.mem);
}

static const struct {
    const char *address;
    bool good;
} ADDRESSES[] = {
    {"a@b.example", true},
    {"First.Last+tag@sub.example.com", true},
    {"admin@localhost", true},
    {"o'neil@example.org", true},
    {"a@1.example", true},
    {"a@xn--bcher-kva.example", true},
    {A60 "aaaa@b.example", true},
    {A60 "aaaaa@b.example", false},
    {"", false},
    {"a", false},
    {"@", false},
    {"a@", false},
    {"@b.example", false},
    {"a@b@c.example", false},
    {"a b@c.example", false},
    {"a@b c.example", false},
    {" a@b.example", false},
    {"a@b.example ", false},
    {"a@b.example\n", false},
    {".a@b.example", false},
    {"a.@b.example", false},
    {"a..b@c.example", false},
    {"a@.example", false},
    {"a@b..example", false},
    {"a@b.example.", false},
    {"a@-b.example", false},
    {"a@b-.example", false},
    {"a@b_c.example", false},
    {"a@[127.0.0.1]", false},
    {"\"a\"@b.example", false},
    {"a@b.example,c@d.example", false},
    {"a<b>@c.example", false},
    {"\xc3\xa9@b.example", false},
    {"a@\xc3\xa9.example", false},
    {"a@" A60 "aaaa.example", false},
    {"a@" A60 "." A60 "." A60 "." A60 "." A60, false},
};

static void addresses(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(ADDRESSES) / sizeof(ADDRESSES[0]); i++)
        if (email_valid(str_of(ADDRESSES[i].address)) != ADDRESSES[i].good)
            fail_msg("%s should be %s", ADDRESSES[i].address, ADDRESSES[i].good ? "good" : "refused");
    assert_false(email_valid((struct str){"a\0b@c.example", 13}));
}

static void addresses_in_lower_case(void **state) {
    (void)state;
    struct ctx cx = test_ctx();
    assert_true(str_eq(email_normal(cx.mem, S("First.LAST@Example.ORG")), S("first.last@example.org")));
    assert_true(str_eq(email_normal(cx.mem, S("")), S("")));
    arena_free(cx.mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slugs_of_names),
        cmocka_unit_test(addresses),
        cmocka_unit_test(addresses_in_lower_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
