/* A run of the feeds for a date: merge, ingest, audit, cleanup, bucket by bucket. One run a date at a time,
 * by a lease; a run that was killed is gone on with by the next one of the same date and parameters, and ends
 * as if it had not been. A bucket that fails does not stop the others. */
#ifndef FEEDS_RUN_H
#define FEEDS_RUN_H

#include "feeds/run_state.h"
#include "jobs/jobs.h"

struct run_order {
    int64_t day; /* since 1970-01-01 */
    struct str bucket, store, from;
    bool dry;
};
/* Everything that happened, as JSON objects, one line each (F7). */
struct run_result {
    struct feed_run run;
    int status;         /* of a command: 0 all well, 1 some bucket failed, 2 nothing could run */
    struct list events; /* of struct json */
};
/* Outside a transaction, for cx's organisation. job, if set, shows progress and may be cancelled. line, if
 * set, gets each event as it happens. */
MUST_USE enum err run_feeds(struct ctx *cx, const struct run_order *order, const struct job *job,
                            void (*line)(struct str json), struct run_result *out);

extern const struct module RUN_MODULE;

#endif
