#include "services/pacific.h"

#include <stdio.h>
#include <string.h>

#include "base/banned.h"

#define DAY_US (24 * HOUR_US)
#define HOUR_US (3600 * US_PER_S)
#define STANDARD_US (8 * HOUR_US)
#define SUMMER_US (7 * HOUR_US)

/* Midnight of the n-th Sunday of a month, all in local time. */
static int64_t sunday(const char year[static 4], const char *month, int n) {
    char text[32];
    struct instant first = {0};
    int length = snprintf(text, sizeof(text), "%.4s-%s-01T00:00:00Z", year, month);
    (void)instant_parse((struct str){text, (size_t)length}, &first);
    int64_t weekday = (first.us / DAY_US + 4) % 7; /* 1970 began on a Thursday; 0 is Sunday */
    return first.us + ((7 - weekday) % 7 + 7 * (n - 1)) * DAY_US;
}

/* Between 2:00 standard time and 2:00 summer time, for a local time without the one or the other. */
static int64_t offset_of(int64_t local, int64_t begins_after, int64_t ends_after) {
    char text[32];
    struct str year = instant_format((struct instant){local}, text);
    bool summer =
        local >= sunday(year.p, "03", 2) + begins_after && local < sunday(year.p, "11", 1) + ends_after;
    return summer ? SUMMER_US : STANDARD_US;
}

static bool has_offset(struct str s) {
    if (s.n && (s.p[s.n - 1] == 'Z' || s.p[s.n - 1] == 'z'))
        return true;
    return s.n > 6 + sizeof("yyyy-mm-dd") && s.p[s.n - 3] == ':' &&
           (s.p[s.n - 6] == '+' || s.p[s.n - 6] == '-');
}

bool pacific_parse(struct str s, struct instant *out) {
    char text[64];
    struct instant t;
    bool given = has_offset(s), date = s.n == sizeof("yyyy-mm-dd") - 1;
    int n = s.n > 40 ? -1
                     : snprintf(text, sizeof(text), "%.*s%s%s", STR_FMT(s), date ? "T00:00:00" : "",
                                given ? "" : "Z");
    if (n > 10 && text[10] == ' ')
        text[10] = 'T';
    if (n < 0 || !instant_parse((struct str){text, (size_t)n}, &t))
        return false;
    /* In the missing hour (2:00 to 3:00) it is still standard time; in the repeated one, still summer. */
    out->us = given ? t.us : t.us + offset_of(t.us, 3 * HOUR_US, 2 * HOUR_US);
    return true;
}

struct str pacific_format(struct arena *mem, struct instant t) {
    char text[32];
    /* Read as standard time, summer begins at 2:00 and ends at 1:00. */
    int64_t offset = offset_of(t.us - STANDARD_US, 2 * HOUR_US, HOUR_US);
    struct str local = instant_format((struct instant){t.us - offset}, text);
    struct str date = str_sub(local, 0, 10), time = str_sub(local, 11, 8);
    return str_printf(mem, "%.*s %.*s", STR_FMT(date), STR_FMT(time));
}
