#include "net/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const unsigned char KEY[CURSOR_KEY_BYTES] = {1, 2, 3};

static void there_and_back(void **state) {
    (void)state;
    struct arena *mem = arena_new(1 << 20);
    const struct uuid id = {{9, 8, 7}};
    struct cursor in = {.page = 7,
                        .key = {.kind = ARG_INSTANT, .i = INT64_C(1700000000123456)},
                        .tie = {.kind = ARG_UUID, .u = id}},
                  out = {0};
    struct str text = cursor_format(mem, KEY, S("org/path/sort"), &in);
    assert_non_null(text.p);
    assert_true(cursor_parse(mem, KEY, S("org/path/sort"), text, &out));
    assert_int_equal(out.page, 7);
    assert_int_equal(out.key.kind, ARG_INSTANT);
    assert_int_equal(out.key.i, INT64_C(1700000000123456));
    assert_true(uuid_eq(out.tie.u, id));
    in = (struct cursor){
        .page = 2, .key = {.kind = ARG_STR, .s = S("SKU \xc3\xbc")}, .tie = {.kind = ARG_NULL}};
    text = cursor_format(mem, KEY, S("x"), &in);
    assert_true(cursor_parse(mem, KEY, S("x"), text, &out));
    assert_true(str_eq(out.key.s, S("SKU \xc3\xbc")));
    assert_int_equal(out.tie.kind, ARG_NULL);
    in.key = (struct arg){.kind = ARG_INT, .i = INT64_MIN};
    text = cursor_format(mem, KEY, S("x"), &in);
    assert_true(cursor_parse(mem, KEY, S("x"), text, &out));
    assert_true(out.key.i == INT64_MIN);
    arena_free(mem);
}

static void refuses_what_it_did_not_make(void **state) {
    (void)state;
    struct arena *mem = arena_new(1 << 20);
    struct cursor in = {.page = 2, .key = {.kind = ARG_STR, .s = S("A-1")}}, out = {.page = 99};
    struct str text = cursor_format(mem, KEY, S("binding"), &in);
    static const unsigned char other[CURSOR_KEY_BYTES] = {2};
    assert_false(cursor_parse(mem, KEY, S("bindinG"), text, &out));
    assert_false(cursor_parse(mem, KEY, S(""), text, &out));
    assert_false(cursor_parse(mem, other, S("binding"), text, &out));
    for (size_t i = 0; i < text.n; i++) {
        char changed[256];
        assert_true(text.n < sizeof(changed));
        memcpy(changed, text.p, text.n);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        /* The last character has bits that mean nothing; a decoder that is strict refuses them as well. */
        if (cursor_parse(mem, KEY, S("binding"), (struct str){changed, text.n}, &out))
            fail_msg("a changed character %zu of %zu was taken", i, text.n);
        assert_false(cursor_parse(mem, KEY, S("binding"), (struct str){text.p, i}, &out));
    }
    assert_false(cursor_parse(mem, KEY, S("binding"), S("not a cursor!"), &out));
    assert_int_equal(out.page, 99);
    arena_free(mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(refuses_what_it_did_not_make),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
