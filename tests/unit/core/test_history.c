/* S5: a request that asks for an instant may have to wait, so it must never run where all others would wait
 * with it. */
#include "core/history.h"
#include "net/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct {
    struct str target;
    bool asked;
} TARGETS[] = {
    {S("/api/v1/stock?at=2026-01-01T00:00:00Z"), true},
    {S("/api/v1/stock?sku=A&at=2026-01-01T00:00:00Z"), true},
    {S("/api/v1/stock?sku=A&filter[at]=2026-01-01T00:00:00Z"), true},
    {S("/api/v1/stock?sku=A&filter%5Bat%5D=2026-01-01T00:00:00Z"), true},
    {S("/api/v1/stock?sku=A&%61t=2026-01-01T00:00:00Z&place=b"), true},
    {S("/api/v1/stock?at"), true},
    {S("/api/v1/stock"), false},
    {S("/api/v1/stock?"), false},
    {S("/api/v1/stock?sku=at=&place=at"), false},
    {S("/api/v1/stock?cat=1&filter[cat]=2"), false},
    {S("/api/v1/stock?sku=%zz&at=2026-01-01T00:00:00Z"), false}, /* refused, whatever it asks for */
};

static void finds_the_instant_wherever_it_stands(void **state) {
    (void)state;
    struct ctx cx = {.mem = arena_new(1 << 20)};
    assert_non_null(cx.mem);
    for (size_t i = 0; i < sizeof(TARGETS) / sizeof(*TARGETS); i++) {
        struct request rq = {.target = TARGETS[i].target};
        if (history_asked(&cx, &rq) != TARGETS[i].asked)
            fail_msg("%.*s", STR_FMT(TARGETS[i].target));
        assert_int_equal(cx.fault.code, OK);
    }
    arena_free(cx.mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_the_instant_wherever_it_stands)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
