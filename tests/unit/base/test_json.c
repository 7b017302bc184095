/* jansson and base/json.h use some of the same names; here jansson's get others while they are declared. */
#define JSON_OBJECT THEIR_OBJECT
#define JSON_ARRAY THEIR_ARRAY
#define JSON_STRING THEIR_STRING
#define JSON_NULL THEIR_NULL
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_NULL

#include "base/json.h"

#include <stdlib.h>
#include <unistd.h>

#include "fixture.h"
#include "json_cases.h"

/* Reads a copy that ends where the text ends, so that the address sanitizer sees a byte read too many. */
static bool accepts(struct ctx *cx, struct str text, const char **problem) {
    char *copy = malloc(text.n ? text.n : 1);
    struct json_reader r;
    struct str raw;
    if (text.n)
        memcpy(copy, text.p, text.n);
    json_begin(&r, cx->mem, (struct str){copy, text.n});
    bool good = json_skip(&r, &raw) && json_end(&r);
    *problem = r.problem;
    free(copy);
    return good;
}

static void cases_are_accepted_or_refused(void **state) {
    struct ctx *cx = *state;
    const char *problem;
    assert_true(COUNT(json_cases) >= 150);
    for (size_t i = 0; i < COUNT(json_cases); i++) {
        if (accepts(cx, json_cases[i].text, &problem) != json_cases[i].accepted)
            fail_msg("%s: %s", json_cases[i].name, problem ? problem : "accepted");
        assert_case(json_cases[i].name, json_cases[i].accepted == !problem);
    }
}

static void strings_are_unescaped(void **state) {
    struct ctx *cx = *state;
    static const struct {
        struct str json, text;
    } cases[] = {
        {S("\"\""), S("")},
        {S("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), S("\"\\/\b\f\n\r\t")},
        {S("\"\\u0041\\u00e4\\u20AC\\ud83d\\ude00\""), S("A\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80")},
        {S("\"abcdefghijkl\\nmnopqrstuvwxyz\\n0\""), S("abcdefghijkl\nmnopqrstuvwxyz\n0")},
        {S("\"\xC3\xA4\\n\xC3\xB6\""), S("\xC3\xA4\n\xC3\xB6")},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json_reader r;
        struct str s;
        json_begin(&r, cx->mem, cases[i].json);
        assert_true(json_string(&r, &s) && json_end(&r));
        assert_str(s, cases[i].text);
    }
}

static void a_reader_pulls(void **state) {
    struct ctx *cx = *state;
    struct json_reader r;
    struct str key, s;
    bool first = true, inner = true, b;
    json_begin(&r, cx->mem, S("{\"a\": [1, \"x\"], \"b\": true, \"c\": null, \"d\": {\"e\": [2]} }"));
    assert_true(json_enter(&r, JSON_OBJECT) && json_next(&r, &key, &first));
    assert_str(key, S("a"));
    assert_true(json_enter(&r, JSON_ARRAY) && json_next(&r, NULL, &inner) && json_number(&r, &s));
    assert_str(s, S("1"));
    assert_true(json_next(&r, NULL, &inner) && json_peek(&r) == JSON_STRING && json_string(&r, &s));
    assert_false(json_next(&r, NULL, &inner));
    assert_true(json_next(&r, &key, &first) && json_bool(&r, &b) && b);
    assert_true(json_next(&r, &key, &first) && json_peek(&r) == JSON_NULL && json_null(&r));
    assert_true(json_next(&r, &key, &first) && json_skip(&r, &s));
    assert_str(s, S("{\"e\": [2]}"));
    assert_false(json_next(&r, &key, &first));
    assert_true(json_end(&r) && r.depth == 0);
}

static void the_first_problem_stays(void **state) {
    struct ctx *cx = *state;
    struct json_reader r;
    struct str s;
    bool b, first = true;
    json_begin(&r, cx->mem, S("[1,2]"));
    assert_false(json_string(&r, &s));
    assert_string_equal(r.problem, "a string is expected");
    assert_true(!json_bool(&r, &b) && !json_null(&r) && !json_next(&r, NULL, &first) && !json_skip(&r, &s));
    assert_true(json_peek(&r) == JSON_BAD && !json_end(&r));
    assert_string_equal(r.problem, "a string is expected");
}

static void strings_are_escaped(void **state) {
    struct ctx *cx = *state;
    static const struct {
        struct str text, json;
    } cases[] = {
        {S(""), S("\"\"")},
        {S("a\"b\\c/d"), S("\"a\\\"b\\\\c/d\"")},
        {S("\b\f\n\r\t\x01\x1F\0"), S("\"\\b\\f\\n\\r\\t\\u0001\\u001f\\u0000\"")},
        {S("\x7F\xC3\xA4\xE2\x80\xA8"), S("\"\x7F\xC3\xA4\xE2\x80\xA8\"")},
        {S("a\xFFz\xC3"), S("\"a\xEF\xBF\xBDz\xEF\xBF\xBD\"")},
        {S("12345678\"12345678\n"), S("\"12345678\\\"12345678\\n\"")},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf b = buf_new(cx->mem, 1000);
        json_put_string(&b, cases[i].text);
        assert_str(buf_str(&b), cases[i].json);
    }
    struct buf b = buf_new(cx->mem, 1000);
    bool first = true;
    json_put_key(&b, &first, S("a"));
    json_put_string(&b, (struct str){NULL, 0});
    json_put_key(&b, &first, S("b\""));
    assert_str(buf_str(&b), S("\"a\":null,\"b\\\"\":"));
}

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    return *seed ^= *seed << 17;
}
static unsigned below(uint64_t *seed, unsigned n) { return (unsigned)(next_random(seed) >> 33) % n; }

static void random_string(struct buf *b, uint64_t *seed) {
    static const char *const pieces[] = {
        "a",   "bc",      " ",           "\\n",     "\\\"", "\\\\",           "\xC3\xA4",
        "\\/", "\\u00e4", "longer_text", "\\u1234", "[{,:", "\\ud83d\\ude00", "\xF0\x9F\x98\x80"};
    buf_byte(b, '"');
    for (unsigned n = below(seed, 5); n > 0; n--)
        buf_add(b, str_of(pieces[below(seed, COUNT(pieces))]));
    buf_byte(b, '"');
}

static void random_value(struct buf *b, uint64_t *seed, int depth) {
    static const char *const scalars[] = {"null", "true", "false", "0",  "-1", "12.50",
                                          "1e3",  "-0",   "1E-2",  "[]", "{}", "1234567890123456789",
                                          " 7 "};
    unsigned kind = below(seed, depth > 0 ? 4 : 2);
    if (kind == 0) {
        buf_add(b, str_of(scalars[below(seed, COUNT(scalars))]));
    } else if (kind == 1) {
        random_string(b, seed);
    } else {
        buf_byte(b, kind == 2 ? '[' : '{');
        for (unsigned i = 0, n = below(seed, 5); i < n; i++) {
            if (i)
                buf_byte(b, ',');
            if (kind == 3) {
                random_string(b, seed);
                buf_byte(b, ':');
            }
            random_value(b, seed, depth - 1);
        }
        buf_byte(b, kind == 2 ? ']' : '}');
    }
}

/* Changes, removes or adds a byte here and there. */
static struct str mutated(struct ctx *cx, struct str text, uint64_t *seed) {
    static const char bytes[] = "[]{},:\"\\ \n0123456789.eE+-truefalsnu/\x01\x80\xC3\xED\xFF";
    struct buf b = buf_new(cx->mem, 1 << 20);
    unsigned one_in = 1 + (unsigned)text.n / (1 + below(seed, 3));
    for (size_t i = 0; i < text.n; i++) {
        unsigned what = below(seed, one_in) ? 3 : below(seed, 3);
        if (what == 1 || what == 2)
            buf_byte(&b, bytes[below(seed, COUNT(bytes) - 1)]);
        if (what != 1 && what != 0)
            buf_byte(&b, text.p[i]);
    }
    return buf_str(&b);
}

/* The same value, seen by both. Fractions are compared by kind only: jansson has doubles, we have text. */
static bool same_value(struct json_reader *r, const json_t *j) {
    struct str s;
    bool b, first = true;
    int64_t n;
    size_t count = 0;
    if (!j)
        return false;
    switch (json_peek(r)) {
    case JSON_NULL:
        return json_typeof(j) == THEIR_NULL && json_null(r);
    case JSON_BOOL:
        return json_bool(r, &b) && b == (json_typeof(j) == JSON_TRUE) && (b || json_typeof(j) == JSON_FALSE);
    case JSON_STRING:
        return json_string(r, &s) && json_typeof(j) == THEIR_STRING &&
               str_eq(s, (struct str){json_string_value(j), json_string_length(j)});
    case JSON_NUMBER:
        if (!json_number(r, &s) || !(json_typeof(j) == JSON_INTEGER))
            return json_typeof(j) == JSON_REAL;
        return str_eq(s, S("-0")) ? json_integer_value(j) == 0 : str_int(s, &n) && n == json_integer_value(j);
    case JSON_ARRAY:
        for (json_enter(r, JSON_ARRAY); json_next(r, NULL, &first); count++)
            if (!same_value(r, json_array_get(j, count)))
                return false;
        return count == json_array_size(j) && json_typeof(j) == THEIR_ARRAY;
    case JSON_OBJECT:
        for (json_enter(r, JSON_OBJECT); json_next(r, &s, &first); count++)
            if (!same_value(r, json_object_getn(j, s.p, s.n)))
                return false;
        return count == json_object_size(j) && json_typeof(j) == THEIR_OBJECT;
    default:
        return false;
    }
}

static void compare_with_jansson(struct ctx *cx, struct str text, size_t *accepted) {
    const char *problem;
    json_error_t error;
    bool ours = accepts(cx, text, &problem);
    json_t *theirs = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    /* Numbers that do not fit are jansson's to refuse while reading, and ours when a field is filled. */
    bool too_large = !theirs && json_error_code(&error) == json_error_numeric_overflow;
    if (ours != (theirs != NULL) && !too_large)
        fail_msg("%.*s\nours: %s, theirs: %s", STR_FMT(text), problem ? problem : "good",
                 theirs ? "good" : error.text);
    if (ours && theirs) {
        struct json_reader r;
        json_begin(&r, cx->mem, text);
        if (!same_value(&r, theirs) || !json_end(&r))
            fail_msg("%.*s\nread as another value", STR_FMT(text));
        ++*accepted;
    }
    json_decref(theirs);
}

static void jansson_agrees(void **state) {
    struct ctx *cx = *state;
    const char *given = getenv("SEED");
    int64_t seed_given = getpid();
    size_t accepted = 0, total = 20000;
    if (given && !str_int(str_of(given), &seed_given))
        fail_msg("SEED is no integer");
    uint64_t seed = (uint64_t)seed_given * UINT64_C(0x9E3779B97F4A7C15) | 1;
    print_message("SEED=%lld\n", (long long)seed_given);
    for (size_t i = 0; i < total; i++) {
        struct arena *mem = arena_new(1 << 20);
        struct ctx one = {.mem = mem};
        struct buf b = buf_new(mem, 1 << 19);
        random_value(&b, &seed, 5);
        compare_with_jansson(&one, i % 4 ? mutated(&one, buf_str(&b), &seed) : buf_str(&b), &accepted);
        arena_free(mem);
    }
    assert_true(accepted > total / 10 && accepted < total);
    for (size_t i = 0; i < COUNT(json_cases); i++)
        if (strncmp(json_cases[i].name, "i_", 2) != 0)
            compare_with_jansson(cx, json_cases[i].text, &accepted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(cases_are_accepted_or_refused), TEST(strings_are_unescaped), TEST(a_reader_pulls),
        TEST(the_first_problem_stays),       TEST(strings_are_escaped),   TEST(jansson_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
