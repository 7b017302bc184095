#include "net/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct ctx *new_ctx(struct ctx *cx) {
    *cx = (struct ctx){.mem = arena_new(1 << 20)};
    assert_non_null(cx->mem);
    return cx;
}

static const struct {
    struct str path;
    enum err expected;
    struct str segments[4]; /* those that follow one another without a gap */
} PATHS[] = {
    {S("/"), OK, {{0}}},
    {S("/a"), OK, {S("a")}},
    {S("/a/b/c"), OK, {S("a"), S("b"), S("c")}},
    {S("/a/"), OK, {S("a"), S("")}},
    {S("//a"), OK, {S(""), S("a")}},
    {S("/a%2Fb/c"), OK, {S("a/b"), S("c")}},
    {S("/%2e%2E/x"), OK, {S(".."), S("x")}},
    {S("/a+b"), OK, {S("a+b")}},
    {S("/%41%7a"), OK, {S("Az")}},
    {S("/gr%C3%BCn"), OK, {S("gr\xc3\xbcn")}},
    {S("/a%252Fb"), OK, {S("a%2Fb")}},
    {S("/a%00b"), ERR_MALFORMED, {{0}}},
    {S("/a%"), ERR_MALFORMED, {{0}}},
    {S("/a%4"), ERR_MALFORMED, {{0}}},
    {S("/a%4g"), ERR_MALFORMED, {{0}}},
    {S("/a%-1"), ERR_MALFORMED, {{0}}},
    {S("/%C3"), ERR_MALFORMED, {{0}}},
    {S("/%C0%AF"), ERR_MALFORMED, {{0}}},
    {S("/%ED%A0%80"), ERR_MALFORMED, {{0}}},
    {S("/%FF"), ERR_MALFORMED, {{0}}},
    {S(""), ERR_MALFORMED, {{0}}},
    {S("a/b"), ERR_MALFORMED, {{0}}},
    {S("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"), ERR_NOT_FOUND, {{0}}},
};

static void splits_before_it_decodes(void **state) {
    (void)state;
    struct ctx cx;
    new_ctx(&cx);
    for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++) {
        struct str segments[PATH_SEGMENTS_MAX];
        size_t n, expected = 0;
        enum err e = path_split(&cx, PATHS[i].path, segments, &n);
        if (e != PATHS[i].expected)
            fail_msg("%.*s: got %d, expected %d", STR_FMT(PATHS[i].path), e, PATHS[i].expected);
        while (expected < 4 && PATHS[i].segments[expected].p)
            expected++;
        for (size_t k = 0; !e && k < expected; k++)
            if (n != expected || !str_eq(segments[k], PATHS[i].segments[k]))
                fail_msg("%.*s: segment %zu of %zu is %.*s", STR_FMT(PATHS[i].path), k, n,
                         STR_FMT(segments[k]));
    }
    arena_free(cx.mem);
}

static void iterates_queries(void **state) {
    (void)state;
    struct ctx cx;
    new_ctx(&cx);
    struct str path, query, name, value;
    enum err e;
    target_cut(S("/x?a=1&&b=%26+c&filter%5Bd%5D=&e"), &path, &query);
    assert_true(str_eq(path, S("/x")));
    const struct str expected[][2] = {
        {S("a"), S("1")}, {S("b"), S("& c")}, {S("filter[d]"), S("")}, {S("e"), S("")}};
    for (size_t i = 0; i < 4; i++) {
        assert_true(query_next(&cx, &query, &name, &value, &e));
        assert_true(str_eq(name, expected[i][0]));
        assert_true(str_eq(value, expected[i][1]));
    }
    assert_false(query_next(&cx, &query, &name, &value, &e));
    assert_int_equal(e, OK);
    query = S("a=%zz");
    assert_false(query_next(&cx, &query, &name, &value, &e));
    assert_int_equal(e, ERR_MALFORMED);
    target_cut(S("/x"), &path, &query);
    assert_null(query.p);
    assert_false(query_next(&cx, &query, &name, &value, &e));
    arena_free(cx.mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_before_it_decodes),
        cmocka_unit_test(iterates_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
