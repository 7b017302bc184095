/* Inside a run: what it holds, its events, and one bucket's way. For run*.c only. */
#ifndef FEEDS_RUN_PARTS_H
#define FEEDS_RUN_PARTS_H

#include "feeds/feed.h"
#include "feeds/ingest.h"
#include "feeds/run.h"
#include "feeds/source.h"

#include <pthread.h>
#include <stdatomic.h>

struct running {
    struct ctx *cx;
    const struct run_order *order;
    const struct job *job;
    void (*line)(struct str json);
    const struct feeds *feeds;
    struct list scope;  /* of struct str: store codes, sorted */
    struct list stores; /* of struct store, the same */
    struct str slug;    /* the organisation's */
    struct sessions *sessions;
    struct feed_run run;
    struct run_lease lease;
    struct str work, folder; /* folder: of the date */
    size_t n_events, cap_events;
    struct json *events;
    /* The lease is renewed by a thread of its own. */
    pthread_t heart;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
    _Atomic bool lost;
};

struct run_event {
    const char *phase, *status;
    const struct run_bucket *bucket;
    struct str store_code, message;
    int64_t duration_us;
    struct json extras; /* an object; no value: {} */
};
/* One JSON line (F7): kept for the result, and told to whoever listens. */
void run_tell(struct running *r, const struct run_event *e);

/* One bucket from where it stands to its end. What fails is in b's state and message; an error is only
 * returned where the whole run cannot go on: the lease is lost, it is cancelled, the database is gone. */
MUST_USE enum err run_bucket(struct running *r, const struct feed *feed, struct run_bucket *b);
bool run_in_scope(const struct running *r, struct str store_code);

/* The statements of the feeds' tables, made at the start. */
const struct bulk_table *run_table(const struct ctx *cx, const struct feed *feed);

#endif
