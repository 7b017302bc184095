/* Pacific times, by a table that was made with the tz database (America/Los_Angeles). */
#include "services/pacific.h"

#include "../base/fixture.h"

static const struct {
    const char *text, *utc;
} TIMES[] = {
    {"2015-06-29T13:05:13.4930000", "2015-06-29T20:05:13.493Z"},
    {"2017-01-16T06:58:26.05", "2017-01-16T14:58:26.05Z"},
    {"2015-06-29", "2015-06-29T07:00:00Z"},
    {"2015-12-29", "2015-12-29T08:00:00Z"},
    {"2026-03-02 09:15:00", "2026-03-02T17:15:00Z"},
    {"2026-03-02T09:15:00Z", "2026-03-02T09:15:00Z"},
    {"2024-01-02T03:04:05-00:00", "2024-01-02T03:04:05Z"},
    {"2024-01-02T03:04:05.1234567+02:00", "2024-01-02T01:04:05.123456Z"},
    {"2026-03-08T01:59:59", "2026-03-08T09:59:59Z"}, /* the last second of winter */
    {"2026-03-08T03:00:00", "2026-03-08T10:00:00Z"},
    {"2026-03-08T02:30:00", "2026-03-08T10:00:00Z"}, /* never was: the change */
    {"2026-03-08T02:30:00.25", "2026-03-08T10:00:00.25Z"},
    {"2026-11-01T00:59:59", "2026-11-01T07:59:59Z"},
    {"2026-11-01T01:30:00", "2026-11-01T08:30:00Z"}, /* was twice: the first */
    {"2026-11-01T02:00:00", "2026-11-01T10:00:00Z"},
    {"2027-03-14T01:59:59", "2027-03-14T09:59:59Z"},
    {"2027-03-14T03:00:00", "2027-03-14T10:00:00Z"},
    {"2027-11-07T02:00:00", "2027-11-07T10:00:00Z"},
};

static const char *const REFUSED[] = {"",
                                      "yesterday",
                                      "2026-13-01",
                                      "2026-03-02T",
                                      "2026-03-02T25:00:00",
                                      "2026-03-02T09:15:00 PST",
                                      "2026-03-02T09:15:00.",
                                      "2026-03-02T09:15:00.000000000000000000000000000000000"};

static void reading(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(TIMES); i++) {
        struct instant found = {0}, wanted = {0};
        assert_true(instant_parse(str_of(TIMES[i].utc), &wanted));
        assert_case(TIMES[i].text, pacific_parse(str_of(TIMES[i].text), &found));
        assert_case(TIMES[i].text, found.us == wanted.us);
    }
    for (size_t i = 0; i < COUNT(REFUSED); i++) {
        struct instant untouched = {7};
        assert_case(REFUSED[i], !pacific_parse(str_of(REFUSED[i]), &untouched) && untouched.us == 7);
    }
}

/* Every quarter of an hour of two years: written and read again it is the same, but for the repeated hour,
 * which reads as an hour earlier. */
static void writing(void **state) {
    struct ctx *cx = *state;
    struct instant t = {0};
    int repeated = 0;
    assert_true(instant_parse(S("2026-01-01T00:00:00Z"), &t));
    for (int i = 0; i < 2 * 365 * 96; i++, t.us += 900 * US_PER_S) {
        struct instant back = {0};
        struct str text = pacific_format(cx->mem, t);
        assert_true(text.n == 19 && pacific_parse(text, &back));
        if (back.us != t.us) {
            assert_int_equal(t.us - back.us, 3600 * US_PER_S);
            repeated++;
        }
    }
    assert_int_equal(repeated, 2 * 4);
    assert_true(instant_parse(S("2026-03-02T17:15:00Z"), &t));
    assert_str(pacific_format(cx->mem, t), S("2026-03-02 09:15:00"));
}

int main(void) {
    const struct CMUnitTest tests[] = {TEST(reading), TEST(writing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
