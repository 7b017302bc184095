/* The connections that read: opened as they are needed, up to the driver's limit. */
#include "db/state.h"

#include <errno.h>

#include "base/banned.h"

#define WAIT_S 5

void pool_init(struct pool *p) {
    pthread_condattr_t attr;
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->freed, &attr);
    pthread_condattr_destroy(&attr);
}

void pool_done(struct db *db) {
    struct pool *p = &db->pool;
    for (struct db_conn *c = p->idle, *next; c; c = next) {
        next = c->next;
        db->driver->close(c);
    }
    pthread_cond_destroy(&p->freed);
    pthread_mutex_destroy(&p->lock);
}

/* One that is idle, or leave to open one: true with *out NULL. */
static bool wait_for_one(struct db *db, struct db_conn **out) {
    struct pool *p = &db->pool;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_S;
    int rc = 0;
    pthread_mutex_lock(&p->lock);
    if (!p->idle && p->open >= db->driver->readers_max)
        metrics_add(db->metrics, &DB_METRIC[POOL_WAITS], (struct str){0}, 1);
    while (!p->idle && p->open >= db->driver->readers_max && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&p->freed, &p->lock, &until);
    bool good = p->idle || p->open < db->driver->readers_max;
    *out = p->idle;
    if (p->idle)
        p->idle = p->idle->next;
    else if (good)
        p->open++;
    pthread_mutex_unlock(&p->lock);
    return good;
}

static void forget_one(struct pool *p) {
    pthread_mutex_lock(&p->lock);
    p->open--;
    pthread_cond_signal(&p->freed);
    pthread_mutex_unlock(&p->lock);
}

/* When one is lost, the idle ones most likely are as well. */
static void discard(struct db *db, struct db_conn *lost) {
    struct pool *p = &db->pool;
    pthread_mutex_lock(&p->lock);
    struct db_conn *c = p->idle;
    p->open--;
    p->idle = NULL;
    for (struct db_conn *i = c; i; i = i->next)
        p->open--;
    pthread_cond_broadcast(&p->freed);
    pthread_mutex_unlock(&p->lock);
    db->driver->close(lost);
    for (struct db_conn *next; c; c = next) {
        next = c->next;
        db->driver->close(c);
    }
}

enum err pool_take(struct ctx *cx, struct db *db, struct db_conn **out) {
    char problem[sizeof((*out)->problem)] = "no memory";
    for (;;) {
        if (!wait_for_one(db, out))
            return fail_cause(cx, ERR_UNAVAILABLE, "no connection became free within %d s", WAIT_S);
        if (!*out)
            break;
        if (db->driver->alive(*out))
            return OK;
        discard(db, *out);
    }
    enum err e = db->driver->open(db->place, CONN_READ, out, problem);
    if (!e)
        return OK;
    forget_one(&db->pool);
    return fail_cause(cx, e, "%s", problem);
}

void pool_give(struct db *db, struct db_conn *c) {
    if (c->lost) {
        discard(db, c);
        return;
    }
    pthread_mutex_lock(&db->pool.lock);
    c->next = db->pool.idle;
    db->pool.idle = c;
    pthread_cond_signal(&db->pool.freed);
    pthread_mutex_unlock(&db->pool.lock);
}
