#include "net/limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static void gives_its_count_and_then_its_rate(void **state) {
    (void)state;
    struct limiter *l = limiter_new((struct rate){10, US_PER_S});
    int64_t now = 1000 * US_PER_S;
    for (int i = 0; i < 10; i++)
        assert_int_equal(limiter_take(l, S("a"), now), 0);
    int64_t wait = limiter_take(l, S("a"), now);
    assert_int_equal(wait, US_PER_S / 10);
    assert_int_equal(limiter_take(l, S("b"), now), 0);
    assert_int_not_equal(limiter_take(l, S("a"), now + wait - 1), 0);
    assert_int_equal(limiter_take(l, S("a"), now + wait), 0);
    assert_int_not_equal(limiter_take(l, S("a"), now + wait), 0);
    /* After a whole period it is full again, and no fuller. */
    for (int i = 0; i < 10; i++)
        assert_int_equal(limiter_take(l, S("a"), now + 60 * US_PER_S), 0);
    assert_int_not_equal(limiter_take(l, S("a"), now + 60 * US_PER_S), 0);
    limiter_free(l);
}

static void zero_is_off(void **state) {
    (void)state;
    struct limiter *l = limiter_new((struct rate){0, US_PER_S});
    for (int i = 0; i < 1000; i++)
        assert_int_equal(limiter_take(l, S("a"), 1), 0);
    limiter_free(l);
}

/* Made-up keys push one another out, not the one that is being refused. */
static void many_keys_do_not_free_a_busy_one(void **state) {
    (void)state;
    struct limiter *l = limiter_new((struct rate){5, 3600 * US_PER_S});
    int64_t now = US_PER_S;
    for (int i = 0; i < 5; i++)
        assert_int_equal(limiter_take(l, S("busy"), now), 0);
    for (int i = 0; i < 100000; i++) {
        char key[32];
        int n = snprintf(key, sizeof(key), "key %d", i);
        assert_int_equal(limiter_take(l, (struct str){key, (size_t)n}, now), 0);
    }
    assert_int_not_equal(limiter_take(l, S("busy"), now), 0);
    limiter_free(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_its_count_and_then_its_rate),
        cmocka_unit_test(zero_is_off),
        cmocka_unit_test(many_keys_do_not_free_a_busy_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
