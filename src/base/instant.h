/* Time: a moment is UTC microseconds since 1970-01-01T00:00:00Z; 0 stands for "none" in optional fields.
 * Durations are plain int64_t microseconds. The clock is a value that tests can replace or move. */
#ifndef BASE_INSTANT_H
#define BASE_INSTANT_H

#include "base/str.h"

struct instant {
    int64_t us;
};

#define US_PER_MS INT64_C(1000)
#define US_PER_S INT64_C(1000000)

struct clock;

/* offset_file: NULL, or a file that holds a signed decimal number of seconds added to the wall time; it is
 * read again whenever it changes (ENTREPOT_CLOCK). NULL when memory is out or the file cannot be read. */
struct clock *clock_new(const char *offset_file);
void clock_free(struct clock *c);
struct instant clock_now(const struct clock *c);
int64_t clock_steady(void); /* microseconds of the monotonic clock, for durations and leases */

/* RFC 3339 with a mandatory offset, 0 to 9 fraction digits (cut to microseconds), years 1970 to 9999, leap
 * second 60 taken as 59. Whole or not at all. */
bool instant_parse(struct str s, struct instant *out);
/* "2026-11-20T10:00:00.123456Z"; the fraction is left out when it is zero. buf takes at least 28 bytes. */
struct str instant_format(struct instant t, char buf[static 32]);

#endif
