/* A driver is where jobs wait: it keeps them and hands out leases; the runner above it does the rest. Every
 * function is called inside a transaction (cx->db) unless it says otherwise, so that a job's coming and going
 * commits or vanishes with its effect. A driver promises:
 *
 *   - A claim gives a job to one claimer until its lease ends, and makes the lease number larger than any
 * before.
 *   - What is fenced (hold, finish, fail, give_back) does something only for the claimer whose lease number
 * is current while the job is running; otherwise it is ERR_LEASE_LOST and the caller's transaction rolls
 * back.
 *   - Among claimers of one queue smaller priorities go first, then earlier due times, then earlier ids; rows
 * that another transaction has its hands on are passed over, never waited for.
 *   - Nothing is kept outside: after a crash at any instruction, sweep finds what was running.
 *
 * Lease ends are moments of db_time; due times are moments of the context's clock. */
#ifndef JOBS_DRIVER_H
#define JOBS_DRIVER_H

#include "jobs/jobs.h"

#define JOB_QUEUE_DEFAULT "default"
#define JOB_ATTEMPTS_DEFAULT 12
#define JOB_KEEP_US (7 * 24 * 3600 * US_PER_S)

/* Whose jobs: those of one queue that run as closures, or those that want a thread. */
struct job_claim {
    struct str queue;
    bool threaded;
    int64_t max;
    struct instant lease_end;
};

/* What was said about a queue, by an organisation for its own jobs or, with org nil, by the operator. */
struct job_rule {
    struct uuid org_id;
    struct str name, state; /* open, paused, resuming */
    struct optional_int concurrency;
};

/* A job that a runner holds. */
struct job_hold {
    struct uuid org, id;
    int64_t lease;
};

struct job_driver {
    /* As a step of the caller's transaction, for cx's organisation. Nothing happens when the unique key is
     * taken. */
    enum err (*enqueue)(struct ctx *cx, const struct job *job, bool threaded, struct step *out);

    /* For all organisations, at most max, in the order in which they are to run. attempts counts this one. */
    enum err (*claim)(struct ctx *cx, const struct job_claim *claim, struct list *jobs);
    /* Moves the lease ends of those that are still held, or a part of them: kept gets their ids (struct
     * uuid). */
    enum err (*extend)(struct ctx *cx, const struct job_hold *holds, size_t n, struct instant lease_end,
                       struct list *kept);
    /* Fenced, for cx's organisation. hold: nobody else takes the job before this transaction ends. finish:
     * all n of them are gone, or with keep_until are done and kept till then. fail: goes again at due, or
     * with due 0 to the dead letters. give_back: as if it had not been claimed, but for the lease number. Of
     * these two, one that somebody has asked to cancel is cancelled instead. set_aside: as give_back, but
     * paused. progress: writes down how far it is. */
    enum err (*hold)(struct ctx *cx, const struct job *job);
    enum err (*finish)(struct ctx *cx, const struct job *jobs, size_t n, struct instant keep_until);
    enum err (*fail)(struct ctx *cx, const struct job *job, struct str error, struct instant due);
    enum err (*give_back)(struct ctx *cx, const struct job *jobs, size_t n);
    enum err (*set_aside)(struct ctx *cx, const struct job *job);
    enum err (*progress)(struct ctx *cx, const struct job *job);
    /* Of all organisations: those that are running and are to break off (struct uuid). */
    enum err (*cancel_asked)(struct ctx *cx, struct list *ids);

    /* rules: all that there are. running: how many of a queue are being run anywhere; whoever asks is alone
     * with the queue until its transaction ends, if the operator has a rule for it. release: makes ready a
     * part of what was set aside; more says that there is more, else the rule is open again. */
    enum err (*rules)(struct ctx *cx, struct list *rules);
    enum err (*running)(struct ctx *cx, struct str queue, int64_t *n);
    enum err (*release)(struct ctx *cx, const struct job_rule *rule, bool *more);

    /* Before the first claim: where no other process can hold a job, all that are running become ready. */
    enum err (*recover)(struct ctx *cx);
    /* Makes ready what is due and what was running when its lease ended, the latter to the dead letters if
     * that was its last attempt; drops what was done or cancelled long ago. A bounded part of each; more says
     * that there is more. */
    enum err (*sweep)(struct ctx *cx, bool *more);
    enum err (*next_due)(struct ctx *cx, struct instant *due);             /* of those waiting; 0: none */
    enum err (*count_ready)(struct ctx *cx, struct str queue, int64_t *n); /* counts to JOB_COUNT_MAX */

    /* For cx's organisation. retry: a dead, cancelled or waiting one is ready at once with all its attempts
     * before it; drop: it is gone; change: its arguments, priority and due time. These ERR_CONFLICT for one
     * that is running, ERR_NOT_FOUND for none. cancel: what has not begun is cancelled, what runs is asked
     * to break off. */
    enum err (*get)(struct ctx *cx, struct uuid id, struct job *out, bool *found);
    enum err (*retry)(struct ctx *cx, struct uuid id);
    enum err (*drop)(struct ctx *cx, struct uuid id);
    enum err (*change)(struct ctx *cx, const struct job *job);
    enum err (*cancel)(struct ctx *cx, struct uuid id);
};
#define JOB_COUNT_MAX 10000

/* The embedded one: the table `job`. */
extern const struct job_driver JOB_DRIVER_DB;

#endif
