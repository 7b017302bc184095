#include "base/instant.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

static const struct {
    const char *text;
    int64_t us; /* -1: not a time */
    const char *formatted;
} cases[] = {
    {"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"},
    {"1970-01-01T00:00:00.000001Z", 1, "1970-01-01T00:00:00.000001Z"},
    {"2026-11-20T10:00:00Z", INT64_C(1795168800000000), "2026-11-20T10:00:00Z"},
    {"2026-11-20t10:00:00z", INT64_C(1795168800000000), "2026-11-20T10:00:00Z"},
    {"2026-11-20T11:30:00+01:30", INT64_C(1795168800000000), "2026-11-20T10:00:00Z"},
    {"2026-11-20T00:00:00-10:00", INT64_C(1795168800000000), "2026-11-20T10:00:00Z"},
    {"2026-11-20T10:00:00-00:00", INT64_C(1795168800000000), "2026-11-20T10:00:00Z"},
    {"2026-11-20T10:00:00.5Z", INT64_C(1795168800500000), "2026-11-20T10:00:00.500000Z"},
    {"2026-11-20T10:00:00.123456789Z", INT64_C(1795168800123456), "2026-11-20T10:00:00.123456Z"},
    {"2000-02-29T00:00:00Z", INT64_C(951782400000000), "2000-02-29T00:00:00Z"},
    {"2024-02-29T12:00:00Z", INT64_C(1709208000000000), "2024-02-29T12:00:00Z"},
    {"2016-12-31T23:59:60Z", INT64_C(1483228799000000), "2016-12-31T23:59:59Z"},
    {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z"},
    {"1970-01-01T00:30:00+00:30", 0, "1970-01-01T00:00:00Z"},
    {"1970-01-01T00:00:00+00:01", -1, NULL},
    {"9999-12-31T23:59:59-00:01", -1, NULL},
    {"1969-12-31T23:59:59Z", -1, NULL},
    {"2023-02-29T00:00:00Z", -1, NULL},
    {"2100-02-29T00:00:00Z", -1, NULL},
    {"2026-04-31T00:00:00Z", -1, NULL},
    {"2026-00-01T00:00:00Z", -1, NULL},
    {"2026-13-01T00:00:00Z", -1, NULL},
    {"2026-01-00T00:00:00Z", -1, NULL},
    {"2026-11-20T24:00:00Z", -1, NULL},
    {"2026-11-20T10:60:00Z", -1, NULL},
    {"2026-11-20T10:00:61Z", -1, NULL},
    {"2026-11-20T10:00:00", -1, NULL},
    {"2026-11-20T10:00Z", -1, NULL},
    {"2026-11-20 10:00:00Z", -1, NULL},
    {"2026-11-20", -1, NULL},
    {"2026-11-20T10:00:00.Z", -1, NULL},
    {"2026-11-20T10:00:00.1234567890Z", -1, NULL},
    {"2026-11-20T10:00:00,5Z", -1, NULL},
    {"2026-11-20T10:00:00+1:00", -1, NULL},
    {"2026-11-20T10:00:00+0100", -1, NULL},
    {"2026-11-20T10:00:00+24:00", -1, NULL},
    {"2026-11-20T10:00:00+01:60", -1, NULL},
    {"2026-11-20T10:00:00ZZ", -1, NULL},
    {" 2026-11-20T10:00:00Z", -1, NULL},
    {"2026-11-20T10:00:00Z ", -1, NULL},
    {"20261120T100000Z", -1, NULL},
    {"-026-11-20T10:00:00Z", -1, NULL},
    {"2026-1 -20T10:00:00Z", -1, NULL},
    {"2026-11-20T10:00:00.5", -1, NULL},
    {"", -1, NULL},
};

static void rfc_3339(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char buf[32];
        struct instant t = {42};
        bool good = instant_parse(str_of(cases[i].text), &t);
        assert_case(cases[i].text, good == (cases[i].us >= 0));
        assert_case(cases[i].text, t.us == (good ? cases[i].us : 42));
        if (good)
            assert_str(instant_format(t, buf), str_of(cases[i].formatted));
    }
}

/* Every day of the years in question, against the C library. */
static void days_agree_with_the_library(void **state) {
    (void)state;
    for (int64_t day = 0; day < 2932896; day += day < 60000 ? 1 : 97) {
        char buf[32], wanted[32];
        time_t seconds = (time_t)(day * 86400 + day % 86400);
        struct tm tm;
        struct instant t;
        assert_non_null(gmtime_r(&seconds, &tm));
        strftime(wanted, sizeof wanted, "%Y-%m-%dT%H:%M:%SZ", &tm);
        struct str text = instant_format((struct instant){seconds * US_PER_S}, buf);
        assert_str(text, str_of(wanted));
        assert_true(instant_parse(text, &t) && t.us == seconds * US_PER_S);
    }
}

static void what_cannot_be_written_is_brought_into_range(void **state) {
    (void)state;
    char buf[32];
    assert_str(instant_format((struct instant){-1}, buf), S("1970-01-01T00:00:00Z"));
    assert_str(instant_format((struct instant){INT64_MAX}, buf), S("9999-12-31T23:59:59.999999Z"));
}

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Within a second: the wall clock itself goes on. */
static bool is_offset_by(const struct clock *moved, const struct clock *plain, int64_t seconds) {
    int64_t difference = clock_now(moved).us - clock_now(plain).us - seconds * US_PER_S;
    return difference > -US_PER_S && difference < US_PER_S;
}

static void a_file_moves_the_clock(void **state) {
    (void)state;
    char path[] = "/tmp/entrepot-clock-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_null(clock_new(path)); /* empty */
    assert_null(clock_new("/nonexistent/clock"));
    write_text(path, "3600\n");
    struct clock *moved = clock_new(path), *plain = clock_new(NULL);
    assert_non_null(moved);
    assert_true(is_offset_by(moved, plain, 3600));
    static const struct {
        const char *text;
        int64_t seconds;
    } steps[] = {{"-7200", -7200},         {"+10.5", 10}, {"nonsense", 10}, {"7300", 7300}, {"7400", 7400},
                 {"99999999999999", 7400}, {"", 7400},    {"0", 0}};
    for (size_t i = 0; i < COUNT(steps); i++) {
        write_text(path, steps[i].text);
        usleep(25000);
        assert_case(steps[i].text, is_offset_by(moved, plain, steps[i].seconds));
    }
    write_text(path, "500");
    usleep(25000);
    assert_true(is_offset_by(moved, plain, 500));
    unlink(path);
    usleep(25000);
    assert_true(is_offset_by(moved, plain, 500));
    clock_free(moved);
    clock_free(plain);
    clock_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(rfc_3339),
        TEST(days_agree_with_the_library),
        TEST(what_cannot_be_written_is_brought_into_range),
        TEST(a_file_moves_the_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
