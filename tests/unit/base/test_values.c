/* UUIDs, money and errors. */
#include "base/money.h"
#include "base/uuid.h"

#include "fixture.h"

static void uuids_ascend(void **state) {
    (void)state;
    struct uuid last = uuid_new((struct instant){INT64_C(1700000000000000)});
    for (int i = 0; i < 100000; i++) { /* more than fit into a millisecond, and a clock that goes back */
        struct uuid u = uuid_new((struct instant){INT64_C(1700000000000000) - (i % 2) * US_PER_S});
        assert_true(memcmp(last.b, u.b, sizeof u.b) < 0);
        assert_true(u.b[6] >> 4 == 7 && u.b[8] >> 6 == 2);
        last = u;
    }
    struct uuid u = uuid_new((struct instant){INT64_C(0x0223456789AB) * US_PER_MS});
    assert_memory_equal(u.b, "\x02\x23\x45\x67\x89\xAB", 6);
}

static void uuids_repeat(void **state) {
    (void)state;
    struct uuid first[3];
    struct instant long_ago = {INT64_C(1500000000000000)};
    for (int round = 0; round < 2; round++) {
        uuid_repeat(42);
        for (int i = 0; i < 3; i++) {
            struct uuid u = uuid_new(long_ago);
            assert_true(round == 0 || uuid_eq(u, first[i]));
            assert_true(i == 0 || memcmp(first[i - 1].b, u.b, sizeof u.b) < 0);
            assert_true(u.b[6] >> 4 == 7 && u.b[8] >> 6 == 2);
            first[i] = u;
        }
        assert_true(memcmp(first[0].b, uuid_first(long_ago).b, 6) == 0);
    }
    uuid_repeat(43);
    struct uuid other = uuid_new(long_ago);
    assert_false(uuid_eq(other, first[0]));
    uuid_repeat(0);
    assert_true(memcmp(first[2].b, uuid_new(long_ago).b, 6) < 0);
}

static void uuids_as_text(void **state) {
    (void)state;
    char buf[36];
    struct uuid u, v;
    assert_true(uuid_parse(S("0190f5d2-7A3C-7cde-8abc-0123456789AB"), &u));
    assert_str(uuid_format(u, buf), S("0190f5d2-7a3c-7cde-8abc-0123456789ab"));
    assert_true(uuid_parse(S("0190f5d2-7a3c-7cde-8abc-0123456789ab"), &v) && uuid_eq(u, v) &&
                !uuid_is_nil(u));
    assert_true(uuid_parse(S("00000000-0000-0000-0000-000000000000"), &u) && uuid_is_nil(u) &&
                !uuid_eq(u, v));
    static const char *const wrong[] = {
        "",
        "0190f5d27a3c7cde8abc0123456789ab",
        "{0190f5d2-7a3c-7cde-8abc-0123456789ab}",
        "0190f5d2-7a3c-7cde-8abc-0123456789a",
        "0190f5d2-7a3c-7cde-8abc-0123456789abc",
        "0190f5d2-7a3c-7cde-8abc-0123456789ag",
        "0190f5d27-a3c-7cde-8abc-0123456789ab",
        "0190f5d2-7a3c-7cde-8abc_0123456789ab",
        "0190f5d2-7a3c-7cde-8abc-0123456789\x01"
        "b",
        "0190f5d2-7a3c-7cde-8abc-0123456789@b",
    };
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_case(wrong[i], !uuid_parse(str_of(wrong[i]), &u));
}

static void currencies(void **state) {
    (void)state;
    static const struct {
        const char *code;
        int digits;
    } cases[] = {{"USD", 2}, {"EUR", 2},   {"JPY", 0}, {"KRW", 0},  {"BHD", 3},  {"TND", 3},
                 {"CLF", 4}, {"AED", 2},   {"ZWL", 2}, {"XTS", -1}, {"XAU", -1}, {"usd", -1},
                 {"US", -1}, {"USDX", -1}, {"", -1},   {"ABC", -1}};
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_case(cases[i].code, currency_digits(str_of(cases[i].code)) == cases[i].digits);
}

static void amounts(void **state) {
    (void)state;
    static const struct {
        const char *amount, *currency;
        bool good;
        int64_t minor;
        const char *formatted;
    } cases[] = {
        {"12.50", "USD", true, 1250, "12.50"},
        {"12.5", "USD", true, 1250, "12.50"},
        {"12", "USD", true, 1200, "12.00"},
        {"0", "USD", true, 0, "0.00"},
        {"-0.05", "USD", true, -5, "-0.05"},
        {"-0", "USD", true, 0, "0.00"},
        {"1200", "JPY", true, 1200, "1200"},
        {"1.234", "BHD", true, 1234, "1.234"},
        {"1.2345", "CLF", true, 12345, "1.2345"},
        {"92233720368547758.07", "USD", true, INT64_MAX, "92233720368547758.07"},
        {"-92233720368547758.08", "USD", true, INT64_MIN, "-92233720368547758.08"},
        {"92233720368547758.08", "USD", false, 0, NULL},
        {"-92233720368547758.09", "USD", false, 0, NULL},
        {"99999999999999999999999", "USD", false, 0, NULL},
        {"12.505", "USD", false, 0, NULL},
        {"1.0", "JPY", false, 0, NULL},
        {".5", "USD", false, 0, NULL},
        {"5.", "USD", false, 0, NULL},
        {"", "USD", false, 0, NULL},
        {"-", "USD", false, 0, NULL},
        {"--1", "USD", false, 0, NULL},
        {"+1", "USD", false, 0, NULL},
        {"01", "USD", false, 0, NULL},
        {"1e2", "USD", false, 0, NULL},
        {"1,50", "USD", false, 0, NULL},
        {" 1", "USD", false, 0, NULL},
        {"1.2.3", "USD", false, 0, NULL},
        {"1", "usd", false, 0, NULL},
        {"1", "", false, 0, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct money m = {.minor = 42};
        char buf[32];
        assert_case(cases[i].amount,
                    money_parse(str_of(cases[i].amount), str_of(cases[i].currency), &m) == cases[i].good);
        assert_case(cases[i].amount, m.minor == (cases[i].good ? cases[i].minor : 42));
        if (!cases[i].good)
            continue;
        assert_string_equal(m.currency, cases[i].currency);
        assert_str(money_amount(m, buf), str_of(cases[i].formatted));
    }
}

static void a_fault_says_what_went_wrong(void **state) {
    struct ctx *cx = *state;
    assert_int_equal(fail(cx, ERR_NOT_FOUND, "No item has the SKU %s.", "A-1"), ERR_NOT_FOUND);
    assert_str(cx->fault.message, S("No item has the SKU A-1."));
    assert_int_equal(fail_cause(cx, ERR_NOT_FOUND, "row %d", 7), ERR_NOT_FOUND);
    assert_str(cx->fault.message, S("No item has the SKU A-1."));
    assert_str(cx->fault.cause, S("row 7"));
    assert_int_equal(fail_cause(cx, ERR_NOT_FOUND, "table"), ERR_NOT_FOUND);
    assert_str(cx->fault.cause, S("table; row 7"));
    assert_int_equal(fail_cause(cx, ERR_DATABASE, "disk"), ERR_DATABASE);
    assert_str(cx->fault.message, S("The database failed or cannot be reached."));
    assert_str(cx->fault.cause, S("disk"));
    fault_clear(cx);
    assert_int_equal(fail_field(cx, S("sku"), "is %s", "wrong"), ERR_INVALID);
    assert_int_equal(cx->fault.code, ERR_INVALID);
    assert_str(cx->fault.problems[0].problem, S("is wrong"));
    fail(cx, ERR_MALFORMED, "Not at all.");
    assert_int_equal(cx->fault.n, 0);
}

static void errors_are_one_list(void **state) {
    (void)state;
    for (int e = 1; e < ERR_COUNT; e++) {
        const struct err_info *info = err_info((enum err)e);
        assert_true(info->status >= 400 && info->status < 600 && info->exit >= 1 && info->exit <= 2);
        assert_true(info->code[0] && info->doc[0]);
    }
    assert_string_equal(err_info(ERR_STALE)->code, "stale");
    assert_string_equal(err_info(ERR_USAGE)->name, "ERR_USAGE");
    assert_int_equal(err_info(ERR_RATE)->retry, RETRY);
}

static void a_fault_needs_little_memory(void **state) {
    (void)state;
    struct arena *mem = arena_new(64);
    struct ctx cx = {.mem = mem};
    assert_int_equal(fail(&cx, ERR_CONFLICT, "%0100d", 1), ERR_CONFLICT);
    assert_str(cx.fault.message, S("There is no memory left to say what."));
    assert_int_equal(fail_field(&cx, S("a"), "%s", "b"), ERR_INVALID);
    arena_free(mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(uuids_ascend),
        TEST(uuids_repeat),
        TEST(uuids_as_text),
        TEST(currencies),
        TEST(amounts),
        TEST(a_fault_says_what_went_wrong),
        TEST(errors_are_one_list),
        TEST(a_fault_needs_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
