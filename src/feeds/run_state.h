/* What is written down of a run: its row, its buckets and stores, and the lease on its date. Every function
 * needs a transaction; those that change something check the lease inside it, so that a process that was held
 * up past its lease records nothing any more (ERR_LEASE_LOST). */
#ifndef FEEDS_RUN_STATE_H
#define FEEDS_RUN_STATE_H

#include "db/bulk.h"
#include "db/db.h"

#define RUN_LEASE_US (60 * US_PER_S)

struct feed_run {
    struct uuid id;
    struct str run_date, bucket, store, origin, state, message;
    struct instant started_at, finished_at;
    struct str actor;
    struct list buckets; /* of struct run_bucket; only where one run is shown */
};
extern const struct schema FEED_RUN; /* OUT, ROW */

struct run_bucket {
    struct uuid run_id;
    struct str bucket, phase, state, message, merged_file;
    int64_t files_read, files_failed;
    int64_t rows_read, merged_rows, rejected_rows, duplicate_rows, skipped_rows;
    int64_t inserted_rows, updated_rows, unchanged_rows;
    bool decided;
    struct str approved_by;
    struct instant finished_at;
    struct list stores; /* of struct run_store */
};
extern const struct schema RUN_BUCKET;

struct run_store {
    struct str store_code;
    int64_t rows_read, merged_rows, rejected_rows, duplicate_rows, skipped_rows;
};
extern const struct schema RUN_STORE;

struct run_lease {
    struct str run_date, holder;
    int64_t token;
};

/* Takes the lease if it is free, run out, or of the same holder; else ERR_CONFLICT. */
MUST_USE enum err run_lease_take(struct ctx *cx, struct run_lease *lease);
MUST_USE enum err run_lease_renew(struct ctx *cx, const struct run_lease *lease);
MUST_USE enum err run_lease_leave(struct ctx *cx, const struct run_lease *lease);

/* The unfinished run of the same date and parameters, or a new row. */
MUST_USE enum err run_open(struct ctx *cx, struct feed_run *run);
/* The unfinished run of the same date and parameters, or a new row; others that were not finished end. */
MUST_USE enum err run_begin(struct ctx *cx, const struct run_lease *lease, struct feed_run *run);
MUST_USE enum err run_end(struct ctx *cx, const struct run_lease *lease, const struct feed_run *run);
MUST_USE enum err run_find(struct ctx *cx, struct uuid id, struct feed_run *out);

/* The bucket's row, made when it is not there. */
MUST_USE enum err run_bucket_begin(struct ctx *cx, const struct run_lease *lease, struct uuid run,
                                   struct str bucket, struct run_bucket *out);
MUST_USE enum err run_bucket_save(struct ctx *cx, const struct run_lease *lease, const struct run_bucket *b);
MUST_USE enum err run_stores_save(struct ctx *cx, const struct run_bucket *b); /* replaces those there are */
/* How many rows the feed's last good run before this one had; 0: there was none. */
MUST_USE enum err run_last_rows(struct ctx *cx, const struct run_bucket *b, int64_t *out);
/* Lets a bucket that a guard has stopped go on with the next run of its date. */
MUST_USE enum err run_approve(struct ctx *cx, struct uuid run, struct str bucket);

extern const struct module RUN_STATE_MODULE;

#endif
