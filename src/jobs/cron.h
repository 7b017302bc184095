/* Cron: five fields, minute hour day-of-month month day-of-week, as Debian's cron reads them: *, numbers,
 * names (jan, mon), lists, ranges, steps; Sunday is 0 or 7; where day-of-month and day-of-week both say
 * something, either will do. @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually stand for
 * their usual five. An expression that never comes (30 February) is refused.
 *
 * When a wall clock is set forward or back, as with Debian's cron: an expression whose minute or hour begins
 * with * goes by the passing of time, so it comes at every instant whose wall clock fits: not in an hour that
 * is left out, twice in one that is repeated. Any other one names times of day, and each of them comes once:
 * in an hour that is left out, at the instant of the change (several of them together once); in one that is
 * repeated, the first time. */
#ifndef JOBS_CRON_H
#define JOBS_CRON_H

#include "base/zone.h"

struct cron {
    uint64_t minutes;
    uint32_t hours, days, months, weekdays; /* bit n: n; Sunday is bit 0 */
    bool either_day;                        /* day-of-month or day-of-week; else both */
    bool by_time;                           /* goes by the passing of time */
};

#define CRON_MAX 200
/* problem: what is wrong with it, for people; static. */
bool cron_parse(struct str text, struct cron *out, const char **problem);

/* The first instant after a moment; 0 when there is none within ten years of the clock's range. */
struct instant cron_next(const struct cron *c, const struct zone *z, struct instant after);

#endif
