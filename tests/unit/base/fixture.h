/* What the tests of base share: cmocka with the headers that it wants, and a context over an arena. */
#ifndef TEST_BASE_FIXTURE_H
#define TEST_BASE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* base/err.h has a function of that name, which is meant wherever the tested code calls it. */
#undef fail
#undef fail_msg
#define fail_msg(...) (print_error(__VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__))

#include "base/ctx.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static inline int begin(void **state) {
    struct arena *mem = arena_new(64 << 20);
    struct ctx *cx = mem ? NEW(mem, struct ctx) : NULL;
    if (!cx)
        return -1;
    cx->mem = mem;
    *state = cx;
    return 0;
}

static inline int end(void **state) {
    arena_free(((struct ctx *)*state)->mem);
    return 0;
}
#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

/* Equal slices; on failure both are shown, with what was tested. */
#define assert_str(found, wanted)                                                        \
    do {                                                                                 \
        struct str found_ = (found), wanted_ = (wanted);                                 \
        if (!str_eq(found_, wanted_))                                                    \
            fail_msg("found \"%.*s\", not \"%.*s\"", STR_FMT(found_), STR_FMT(wanted_)); \
    } while (0)

/* A case of a table is named when it fails. */
#define assert_case(name, condition)                \
    do {                                            \
        if (!(condition))                           \
            fail_msg("%s: %s", (name), #condition); \
    } while (0)

#endif
