/* What the tests of identity share: a context at a known moment, and tokens of any content. Our headers stand
 * before cmocka's, which has a macro named fail. */
#ifndef TESTS_UNIT_IDENTITY_IDENTITY_TEST_H
#define TESTS_UNIT_IDENTITY_IDENTITY_TEST_H

#include "base/ctx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <sodium.h>
#include <cmocka.h>

#define TEST_NOW_S INT64_C(1800000000)
#define TEST_SECRET "a secret of the tests that is long enough"

static inline struct ctx test_ctx(void) {
    return (struct ctx){.mem = arena_new(64 << 20), .now = {TEST_NOW_S * US_PER_S}};
}

#endif
