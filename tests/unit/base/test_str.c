#include "fixture.h"

static void compares(void **state) {
    (void)state;
    assert_true(str_eq(S("a"), S("a")) && !str_eq(S("a"), S("b")) && !str_eq(S("a"), S("ab")));
    assert_true(str_eq(S(""), (struct str){NULL, 0}));
    assert_true(str_eq_nocase(S("aZ-9"), S("Az-9")) && !str_eq_nocase(S("\xC3\x84"), S("\xC3\xA4")));
    assert_true(str_cmp(S("a"), S("b")) < 0 && str_cmp(S("a"), S("a")) == 0 && str_cmp(S("ab"), S("a")) > 0);
    assert_true(str_cmp(S("\x80"), S("a")) > 0);
    assert_true(str_starts(S("abc"), S("ab")) && str_starts(S("abc"), S("")) && !str_starts(S("a"), S("ab")));
    assert_true(str_ends(S("abc"), S("bc")) && str_ends(S("abc"), S("")) && !str_ends(S("c"), S("bc")));
    assert_null(str_of(NULL).p);
}

static void takes_apart(void **state) {
    (void)state;
    struct str head = S("kept"), tail = S("kept");
    assert_str(str_trim(S(" \t a b\t ")), S("a b"));
    assert_str(str_trim(S(" \t ")), S(""));
    assert_false(str_cut(S("abc"), '=', &head, &tail));
    assert_str(head, S("kept"));
    assert_true(str_cut(S("a=b=c"), '=', &head, &tail));
    assert_str(head, S("a"));
    assert_str(tail, S("b=c"));
    assert_true(str_cut(S("="), '=', &head, &tail) && head.n == 0 && tail.n == 0);
    assert_str(str_sub(S("hello"), 1, 3), S("ell"));
    assert_str(str_sub(S("hello"), 3, 99), S("lo"));
    assert_str(str_sub(S("hello"), 9, 1), S(""));
}

static void integers_whole_or_not_at_all(void **state) {
    (void)state;
    static const struct {
        struct str text;
        bool good;
        int64_t value;
    } cases[] = {
        {S("0"), true, 0},
        {S("7"), true, 7},
        {S("-1"), true, -1},
        {S("9223372036854775807"), true, INT64_MAX},
        {S("-9223372036854775808"), true, INT64_MIN},
        {S("9223372036854775808"), false, 0},
        {S("-9223372036854775809"), false, 0},
        {S("99999999999999999999"), false, 0},
        {S("18446744073709551617"), false, 0},
        {S(""), false, 0},
        {S("-"), false, 0},
        {S("-0"), false, 0},
        {S("01"), false, 0},
        {S("-01"), false, 0},
        {S("+1"), false, 0},
        {S(" 1"), false, 0},
        {S("1 "), false, 0},
        {S("1.0"), false, 0},
        {S("1e3"), false, 0},
        {S("0x1"), false, 0},
        {S("1\0"), false, 0},
        {S("\xD9\xA1"), false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t v = 42;
        assert_case(cases[i].text.p, str_int(cases[i].text, &v) == cases[i].good);
        assert_case(cases[i].text.p, v == (cases[i].good ? cases[i].value : 42));
    }
}

static void utf8_of_rfc_3629(void **state) {
    (void)state;
    static const struct {
        struct str text;
        size_t count; /* 0: not valid */
    } cases[] = {
        {S("abcdefghijklmnop"), 16},
        {S("\xC3\xA4"), 1},
        {S("\xE2\x82\xAC"), 1},
        {S("\xF0\x9F\x98\x80"), 1},
        {S("\xF4\x8F\xBF\xBF"), 1},
        {S("\xEF\xBB\xBF"), 1},
        {S("12345678\xC3\xA4"), 9},
        {S("\0"), 1},
        {S("\x80"), 0},
        {S("\xC3"), 0},
        {S("\xC0\x80"), 0},
        {S("\xC1\xBF"), 0},
        {S("\xE0\x80\x80"), 0},
        {S("\xE0\x9F\xBF"), 0},
        {S("\xED\xA0\x80"), 0},
        {S("\xED\xBF\xBF"), 0},
        {S("\xF0\x80\x80\x80"), 0},
        {S("\xF0\x8F\xBF\xBF"), 0},
        {S("\xF4\x90\x80\x80"), 0},
        {S("\xF5\x80\x80\x80"), 0},
        {S("\xFF"), 0},
        {S("\xE2\x82"), 0},
        {S("\xF0\x9F\x98"), 0},
        {S("\xE2\x28\xA1"), 0},
        {S("abcdefgh\xFF"), 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(str_utf8_valid(cases[i].text), cases[i].count > 0);
        if (cases[i].count)
            assert_int_equal(str_utf8_count(cases[i].text), cases[i].count);
    }
    assert_true(str_utf8_valid(S("")));
    assert_int_equal(str_utf8_next(S("")), 0);
    assert_int_equal(str_utf8_next(S("\xE2\x82\xAC!")), 3);
}

static struct bytes bytes_of(struct str s) { return (struct bytes){(const unsigned char *)s.p, s.n}; }
static struct str text_of(struct bytes b) { return (struct str){(const char *)b.p, b.n}; }

static void hexadecimal(void **state) {
    struct ctx *cx = *state;
    struct bytes b;
    assert_str(hex_encode(cx->mem, bytes_of(S("\x00\x7F\xAB\xFF"))), S("007fabff"));
    assert_true(hex_decode(cx->mem, S("007FabFf"), &b));
    assert_str(text_of(b), S("\x00\x7F\xAB\xFF"));
    assert_true(hex_decode(cx->mem, S(""), &b) && b.n == 0);
    static const struct str wrong[] = {S("0"), S("0g"), S(" 0"), S("0x"), S("00 "), S("\xFF\xFF")};
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_case(wrong[i].p, !hex_decode(cx->mem, wrong[i], &b));
}

static void base64_for_urls(void **state) {
    struct ctx *cx = *state;
    static const struct {
        struct str plain, coded;
    } cases[] = {
        /* RFC 4648 section 10, and the two letters that differ */
        {S(""), S("")},
        {S("f"), S("Zg")},
        {S("fo"), S("Zm8")},
        {S("foo"), S("Zm9v")},
        {S("foob"), S("Zm9vYg")},
        {S("fooba"), S("Zm9vYmE")},
        {S("foobar"), S("Zm9vYmFy")},
        {S("\xFB\xFF"), S("-_8")},
    };
    struct bytes b;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_str(base64url_encode(cx->mem, bytes_of(cases[i].plain)), cases[i].coded);
        assert_true(base64url_decode(cx->mem, cases[i].coded, &b));
        assert_str(text_of(b), cases[i].plain);
    }
    static const struct str wrong[] = {S("Z"), S("Zg=="), S("Zh"), S("Zm9"), S("+/8"), S("Zg\n"), S("Zm9vY")};
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_case(wrong[i].p, !base64url_decode(cx->mem, wrong[i], &b));
}

static void copies(void **state) {
    struct ctx *cx = *state;
    assert_null(str_dup(cx->mem, (struct str){NULL, 0}).p);
    assert_non_null(str_dup(cx->mem, S("")).p);
    assert_string_equal(str_z(cx->mem, str_sub(S("hello"), 0, 4)), "hell");
    assert_str(str_printf(cx->mem, "%s-%d", "a", 7), S("a-7"));
    struct str wide = str_printf(cx->mem, "%300d", 1);
    assert_true(wide.n == 300 && wide.p[299] == '1');
}

static void a_buffer_has_a_ceiling(void **state) {
    struct ctx *cx = *state;
    struct buf b = buf_new(cx->mem, 10);
    assert_str(buf_str(&b), S(""));
    buf_add(&b, S("12345"));
    buf_printf(&b, "%s", "67890");
    assert_false(b.failed);
    assert_str(buf_str(&b), S("1234567890"));
    buf_byte(&b, 'x');
    assert_true(b.failed);
    buf_int(&b, 1);
    assert_true(b.failed && b.n == 10);
}

static void a_buffer_grows(void **state) {
    struct ctx *cx = *state;
    struct buf b = buf_new(cx->mem, 1 << 20), other = buf_new(cx->mem, 100);
    for (int i = 0; i < 5000; i++) {
        buf_printf(&b, "%d,", i % 10);
        if (i % 100 == 0)
            buf_byte(&other, 'x'); /* takes the place behind b, so that b has to move */
    }
    assert_false(b.failed || other.failed);
    assert_int_equal(b.n, 10000);
    for (size_t i = 0; i < b.n; i++)
        assert_true(b.p[i] == (i % 2 ? ',' : (char)('0' + i / 2 % 10)));
    struct buf n = buf_new(cx->mem, 100);
    buf_int(&n, INT64_MIN);
    buf_int(&n, 0);
    buf_int(&n, INT64_MAX);
    assert_str(buf_str(&n), S("-922337203685477580809223372036854775807"));
}

static void an_arena_ends(void **state) {
    (void)state;
    struct arena *a = arena_new(100000);
    char *first = arena_alloc(a, 100);
    assert_non_null(first);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(first[i], 0);
    assert_null(arena_alloc(a, 100001));
    volatile size_t most = SIZE_MAX; /* the compiler refuses such a call when it sees the size */
    assert_null(arena_alloc(a, most));
    assert_null(arena_alloc_n(a, SIZE_MAX / 2, 3));
    size_t n = 0;
    for (char *p; (p = arena_alloc(a, 1000)); n++) {
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, 'x', 1000);
    }
    assert_true(n >= 90 && n <= 99);
    assert_true(arena_used(a) >= n * 1000 && arena_used(a) <= 100100);
    arena_reset(a);
    assert_int_equal(arena_used(a), 0);
    char *again = arena_alloc(a, 2000);
    for (size_t i = 0; i < 2000; i++)
        assert_int_equal(again[i], 0);
    assert_non_null(arena_alloc(a, 90000));
    arena_free(a);
    arena_free(NULL);
}

static void the_last_piece_extends(void **state) {
    (void)state;
    struct arena *a = arena_new(1000);
    char *volatile p = arena_alloc(a, 10); /* else the compiler holds on to the size that it was made with */
    char *volatile q;
    memset(p, 'x', 10);
    assert_true(arena_extend(a, p, 10, 500));
    assert_true(p[9] == 'x' && p[10] == 0 && p[499] == 0);
    assert_false(arena_extend(a, p, 500, 2000));
    q = arena_alloc(a, 10);
    assert_false(arena_extend(a, p, 500, 510 + 16));
    assert_true(arena_extend(a, q, 10, 100));
    arena_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(compares),
        TEST(takes_apart),
        TEST(integers_whole_or_not_at_all),
        TEST(utf8_of_rfc_3629),
        TEST(hexadecimal),
        TEST(base64_for_urls),
        TEST(copies),
        TEST(a_buffer_has_a_ceiling),
        TEST(a_buffer_grows),
        TEST(an_arena_ends),
        TEST(the_last_piece_extends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
