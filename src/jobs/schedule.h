/* Schedules: types of jobs that are run by themselves (job_type.schedule), one row for each organisation, or
 * one for the server. A row holds the next instant; to fire is to move that on and to enqueue the job in one
 * transaction, guarded by the old value, so that an instant comes once however many processes try and
 * whenever they die. The scheduler's lease only keeps them from all trying.
 *
 * next_at is always the first instant of the expression after now and after last_at, or is due. So what was
 * missed comes once, for the first of the instants that were missed; a clock that is set back by less than
 * SCHEDULE_BACK_US fires nothing twice, and one that was ahead for longer starts over from what it shows
 * now, with last_at forgotten. */
#ifndef JOBS_SCHEDULE_H
#define JOBS_SCHEDULE_H

#include "base/metrics.h"
#include "jobs/cron.h"
#include "jobs/jobs.h"

#define SCHEDULE_KEY "schedule" /* the unique key of what is enqueued: no second one beside a live one */
#define SCHEDULE_BACK_US (3 * 3600 * US_PER_S)

struct schedule {
    struct uuid org_id; /* nil: the server's */
    struct str name;
    struct str cron, time_zone;         /* what next_at was worked out by */
    struct str own_cron, own_time_zone; /* what the organisation wants in place of the type's */
    bool paused;
    struct instant next_at, last_at;
    int64_t fired, skipped;
};
extern const struct schema SCHEDULE;

/* What a schedule goes by. */
struct timing {
    struct str cron, time_zone;
    struct cron parsed;
    const struct zone *zone;
};
/* row may be NULL. ERR_INVALID, with the field named, where the expression or the time zone is none. */
MUST_USE enum err schedule_timing(struct ctx *cx, const struct job_type *type, const struct schedule *row,
                                  struct timing *out);
/* What next_at is to be; 0: never. */
struct instant schedule_next(const struct timing *t, struct instant now, struct instant last_at);

/* Outside a transaction: adds rows that are missing and puts right those that do not hold (a clock that was
 * set back, another expression or time zone). */
MUST_USE enum err schedule_check(struct ctx *cx);

/* Whether this holder has the lease, which it takes if it can. Needs a transaction. */
MUST_USE enum err schedule_lead(struct ctx *cx, struct uuid holder, bool *leads);
MUST_USE enum err schedule_leave(struct ctx *cx, struct uuid holder);
/* A closure: fires what is due, a bounded part of it. */
struct firing {
    struct uuid holder;
    bool leads, more;
};
MUST_USE enum err schedule_fire(struct ctx *cx, void *firing);
/* Needs a transaction: when the next one is due; 0: none. */
MUST_USE enum err schedule_next_due(struct ctx *cx, struct instant *out);

/* In a transaction, for cx's organisation. found false: there is no row yet. */
MUST_USE enum err schedule_get(struct ctx *cx, struct str name, struct schedule *out, bool *found);
/* changed false: another has changed it since it was as in was, and nothing happened. */
MUST_USE enum err schedule_set(struct ctx *cx, const struct schedule *was, const struct schedule *row,
                               bool *changed);

/* For listings: an organisation's by name, and the operator's by organisation and name. */
enum { SCHEDULE_PAGE, SCHEDULE_PAGE_ALL, SCHEDULE_STMTS_N = 14 };
extern const struct stmt SCHEDULE_STMTS[SCHEDULE_STMTS_N];
enum { SCHEDULES_FIRED, SCHEDULES_SKIPPED, SCHEDULES_LATE, SCHEDULES_LEADER, SCHEDULE_METRICS_N };
extern const struct metric SCHEDULE_METRICS[SCHEDULE_METRICS_N];

#endif
