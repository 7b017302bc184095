/* What a struct db consists of: the driver's hold on the database, the pool of readers (db.c), the lanes with
 * their threads (lane.c), and the hook that is called after commits. For the files of db/ only. */
#ifndef DB_STATE_H
#define DB_STATE_H

#include "base/metrics.h"
#include "db/driver.h"

#include <pthread.h>
#include <stdatomic.h>

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct db_conn *idle; /* the one given back last is taken first: its caches are warm */
    size_t open;
};

/* One writer: a queue, a thread, a connection. The thread starts with the first write. */
struct writer {
    struct db *db;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct write *head, **tail;
    size_t waiting;
    bool started, closing;
    pthread_t thread;
    /* Of the thread, once it runs: */
    struct db_conn *conn; /* NULL: lost, or not opened yet */
    int64_t retry_at;     /* of clock_steady: not before then is it opened again */
    int64_t backoff;
    int64_t time_at; /* when the database's time was asked last */
    char problem[sizeof(((struct db_conn *)0)->problem)];
};

struct db {
    const struct driver *driver;
    void *place; /* the driver's */
    struct metrics *metrics;
    struct pool pool;
    struct db_conn *watch;              /* of db_watch_begin; NULL: not open */
    struct writer writers[WRITERS_MAX]; /* the first is the main lane; the others, where there are, intake */
    _Atomic unsigned turn;              /* which of those gets the next write */
    _Atomic int64_t time_offset;        /* db_time less clock_steady */

    pthread_mutex_t hook_lock; /* held while the hook runs, so that it can be taken away */
    void (*hook)(void *arg, unsigned after);
    void *hook_arg;
    bool listening; /* the thread that hears of other processes' commits */
    pthread_t listener;
    int listener_stop;      /* an eventfd */
    unsigned long identity; /* tells this handle's announcements from others' */
};

enum { GROUPS, CLOSURES, GROUP_SIZES, COMMIT_SECONDS, RERUNS, POOL_WAITS, RECONNECTS, DB_METRICS };
extern const struct metric DB_METRIC[];

/* pool.c */
void pool_init(struct pool *p);
void pool_done(struct db *db);
/* A connection of the pool, opened when there is none and not too many are; waits a bounded time. */
MUST_USE enum err pool_take(struct ctx *cx, struct db *db, struct db_conn **out);
void pool_give(struct db *db, struct db_conn *c);

/* watch.c */
void watch_done(struct db *db);

/* lane.c */
void lane_init(struct writer *l, struct db *db);
void lane_done(struct writer *l); /* answers what waits, then ends the thread */
void time_set(struct db *db, struct instant now);

/* notice.c */
void notice_tell(struct db *db, struct db_conn *c, unsigned after);
void notice_done(struct db *db);

#endif
