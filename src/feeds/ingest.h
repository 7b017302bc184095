/* A merged file into the feed's table. First the whole file is looked over: every cell as a value of its
 * type, bad rows into the rejects file; then the rows that are good are upserted (db/bulk.h). What is decided
 * here of a row is the same each time and in a dry run. */
#ifndef FEEDS_INGEST_H
#define FEEDS_INGEST_H

#include "db/bulk.h"
#include "feeds/feed.h"
#include "feeds/reject.h"
#include "feeds/value.h"

/* The statements of a feed's table, which live as long as the process. */
MUST_USE enum err ingest_table(struct ctx *cx, struct arena *mem, const struct feed *feed,
                               struct bulk_table **out);

#define INGEST_SAMPLES 3
struct ingest {
    const struct feed *feed;
    const struct bulk_table *table;
    struct str merged; /* the file */
    /* Of the look-over: */
    enum date_order order;
    int64_t good, bad;
    struct json samples[INGEST_SAMPLES]; /* the first good rows, as objects */
    size_t n_samples;
};
/* Rows that are rejected go to rejects; rejected, if set, is told the store of each. */
MUST_USE enum err ingest_check(struct ctx *cx, struct ingest *in, struct rejects *rejects,
                               void (*rejected)(void *arg, struct str store_code), void *arg);
/* For a load whose look-over was done by a process before: what it found out about dates. */
MUST_USE enum err ingest_resume(struct ctx *cx, struct ingest *in);
/* The rest of bulk (from, decide, record, arg, dry) is the caller's. */
MUST_USE enum err ingest_load(struct ctx *cx, struct ingest *in, struct uuid run, struct bulk *bulk);

#endif
