/* Group commit. A lane's thread takes all writes that wait, runs each closure inside a savepoint of one
 * transaction, and commits once; only then are they answered. A closure that fails is taken back to its
 * savepoint and the others go on. When the transaction itself fails (disk full, deadlock, lost connection, a
 * constraint that is checked at the end), everything in it was in vain through no fault of most: each closure
 * is run again in a transaction of its own.
 *
 * A connection that is lost during COMMIT leaves it open whether that happened; the driver finds out, and
 * where it cannot, the closures are answered so and not run again. */
#include "db/state.h"

#include "base/instant.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "base/banned.h"

#define WAITING_MAX 4096
#define GROUP_MAX 256
#define TRIES 3
#define LOT_SMALL 8              /* one that fails is not halved any more: each goes by itself */
#define GROUP_US (3 * US_PER_MS) /* then it is committed, and what is left goes into the next */
#define BACKOFF_LEAST (50 * US_PER_MS)
#define BACKOFF_MOST US_PER_S
#define TIME_PERIOD (5 * US_PER_S)

struct group {
    struct write *write[GROUP_MAX];
    enum err outcome[GROUP_MAX];
    size_t n;
    /* When it could not be committed: */
    enum err error;
    bool again;
    bool undecided;
};

void lane_init(struct writer *l, struct db *db) {
    pthread_condattr_t attr;
    l->db = db;
    l->tail = &l->head;
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->wake, &attr);
    pthread_condattr_destroy(&attr);
}

static void count(struct writer *l, size_t metric, struct str label, int64_t by) {
    metrics_add(l->db->metrics, &DB_METRIC[metric], label, by);
}

static struct str size_label(size_t n) {
    return n == 1 ? S("1") : n <= 4 ? S("2-4") : n <= 16 ? S("5-16") : n <= 64 ? S("17-64") : S("65-256");
}

static void drop(struct writer *l) {
    if (l->conn)
        l->db->driver->close(l->conn);
    l->conn = NULL;
}

/* Opens the connection if there is none; between failures it waits longer and longer, and meanwhile says no
 * at once. */
static bool connected(struct writer *l) {
    if (l->conn && !l->db->driver->alive(l->conn))
        drop(l);
    if (l->conn)
        return true;
    if (clock_steady() < l->retry_at)
        return false;
    count(l, RECONNECTS, (struct str){0}, 1);
    if (l->db->driver->open(l->db->place, CONN_WRITE, &l->conn, l->problem) == OK) {
        l->backoff = 0;
        return true;
    }
    l->backoff = l->backoff ? l->backoff * 2 : BACKOFF_LEAST;
    if (l->backoff > BACKOFF_MOST)
        l->backoff = BACKOFF_MOST;
    l->retry_at = clock_steady() + l->backoff;
    return false;
}

/* A closure that goes on after a statement of its has failed does not get away with it. Its "now" is when it
 * runs, not when it was asked for: what one lane records is recorded in the order of its instants. */
static enum err run_closure(struct db_conn *c, struct write *w) {
    if (w->cx->clock)
        w->cx->now = clock_now(w->cx->clock);
    w->cx->db = c;
    enum err e = w->run(w->cx, w->arg);
    w->cx->db = NULL;
    return !e && c->failed ? conn_report(w->cx, c, c->failed) : e;
}

static enum err run_in_savepoint(struct db_conn *c, struct write *w) {
    const struct driver *d = c->driver;
    enum err e = d->savepoint(c);
    if (e)
        return e;
    if ((e = run_closure(c, w))) {
        if (!c->gone && !c->again && d->rollback_to(c))
            c->gone = true;
        return e;
    }
    if ((e = d->release(c)))
        c->gone = true;
    return e;
}

/* Brings those that go with the i-th to stand behind it: what waits together has no order. */
static size_t gather(struct group *g, size_t i) {
    const struct write *first = g->write[i];
    size_t end = i + 1;
    for (size_t k = end; first->lot && k < g->n && end < i + LOT_MAX; k++) {
        struct write *w = g->write[k];
        if (w->lot != first->lot || w->kind != first->kind || w->lane != first->lane ||
            !uuid_eq(w->cx->actor.org, first->cx->actor.org))
            continue;
        g->write[k] = g->write[end];
        g->write[end++] = w;
    }
    return end - i;
}

static enum err run_lot(struct db_conn *c, struct write *const *w, size_t n) {
    struct ctx *cx = w[0]->cx;
    for (size_t i = 0; i < n; i++)
        if (w[i]->cx->clock)
            w[i]->cx->now = i ? cx->now : clock_now(cx->clock);
    cx->db = c;
    enum err e = w[0]->lot(w, n);
    cx->db = NULL;
    return !e && c->failed ? conn_report(cx, c, c->failed) : e;
}

/* From the i-th of the group on. False: the transaction is gone. */
static bool run_together(struct db_conn *c, struct group *g, size_t i, size_t n) {
    const struct driver *d = c->driver;
    if (n == 1) {
        g->outcome[i] = g->n > 1 ? run_in_savepoint(c, g->write[i]) : run_closure(c, g->write[i]);
        return !c->gone && !c->again;
    }
    if (d->savepoint(c))
        return false;
    enum err e = run_lot(c, g->write + i, n);
    if (c->gone || c->again || (e ? d->rollback_to(c) : d->release(c)))
        return false;
    for (size_t k = i; k < i + n; k++) {
        g->outcome[k] = OK;
        if (!e)
            continue;
        fault_clear(g->write[k]->cx);
        g->write[k]->cx->after = 0;
    }
    if (e && n > LOT_SMALL)
        return run_together(c, g, i, n / 2) && run_together(c, g, i + n / 2, n - n / 2);
    bool good = true;
    for (size_t k = i; e && good && k < i + n; k++)
        good = run_together(c, g, k, 1);
    return good;
}

static bool give_up(struct writer *l, struct group *g) {
    g->error = l->conn->failed ? l->conn->failed : ERR_DATABASE;
    g->again = l->conn->again;
    g->undecided = l->conn->undecided;
    l->db->driver->rollback(l->conn);
    return false;
}

static bool commit(struct writer *l, struct group *g) {
    int64_t start = clock_steady();
    if (l->db->driver->commit(l->conn))
        return give_up(l, g);
    metrics_observe(l->db->metrics, &DB_METRIC[COMMIT_SECONDS], (struct str){0}, clock_steady() - start);
    count(l, GROUPS, (struct str){0}, 1);
    count(l, CLOSURES, (struct str){0}, (int64_t)g->n);
    count(l, GROUP_SIZES, size_label(g->n), 1);
    return true;
}

/* Those from i on wait again, at the head of the queue: a group ends in time, so that its answers do not wait
 * for all that happened to wait with them. */
static void put_back(struct writer *l, struct group *g, size_t i) {
    pthread_mutex_lock(&l->lock);
    if (!l->head)
        l->tail = &g->write[g->n - 1]->next;
    g->write[g->n - 1]->next = l->head;
    for (size_t k = g->n - 1; k > i; k--)
        g->write[k - 1]->next = g->write[k];
    l->head = g->write[i];
    l->waiting += g->n - i;
    g->n = i;
    pthread_mutex_unlock(&l->lock);
}

/* One transaction. False: nothing of it is left, and error and again say why. */
static bool attempt(struct writer *l, struct group *g) {
    struct db_conn *c = l->conn;
    bool any = false;
    int64_t start = clock_steady();
    if (c->driver->begin(c))
        return give_up(l, g);
    for (size_t i = 0, n; i < g->n; i += n) {
        if (i > 0 && clock_steady() - start > GROUP_US) {
            put_back(l, g, i);
            break;
        }
        n = gather(g, i);
        if (!run_together(c, g, i, n))
            return give_up(l, g);
        for (size_t k = i; k < i + n; k++)
            any = any || g->outcome[k] == OK;
    }
    if (any)
        return commit(l, g);
    c->driver->rollback(c);
    return true;
}

static enum err refuse(struct writer *l, struct ctx *cx) {
    fault_clear(cx);
    return fail_cause(cx, ERR_UNAVAILABLE, "no connection to the database: %s", l->problem);
}

/* Neither done nor not done, for all that can be known: the caller has to look. */
static enum err not_known(struct ctx *cx) {
    fault_clear(cx);
    cx->after = 0;
    return fail(cx, ERR_UNAVAILABLE,
                "The database went away at the last moment; whether the change was made is not"
                " known. Look before you send it again.");
}

static enum err run_alone(struct writer *l, struct write *w) {
    for (int try = 1;; try++) {
        if (!connected(l))
            return refuse(l, w->cx);
        struct group g = {.write = {w}, .n = 1};
        if (attempt(l, &g))
            return g.outcome[0];
        if (g.undecided)
            return not_known(w->cx);
        fault_clear(w->cx);
        w->cx->after = 0;
        if (!g.again || try == TRIES)
            return fail_cause(w->cx, g.again ? ERR_UNAVAILABLE : g.error, "%s", l->conn->problem);
        count(l, RERUNS, (struct str){0}, 1);
    }
}

static void run_group(struct writer *l, struct group *g) {
    if (!connected(l)) {
        for (size_t i = 0; i < g->n; i++)
            g->outcome[i] = refuse(l, g->write[i]->cx);
        return;
    }
    bool tried = g->n > 1;
    if (tried && attempt(l, g))
        return;
    for (size_t i = 0; i < g->n && tried && g->undecided; i++)
        g->outcome[i] = not_known(g->write[i]->cx);
    if (tried && g->undecided)
        return;
    for (size_t i = 0; i < g->n; i++) {
        if (tried) {
            count(l, RERUNS, (struct str){0}, 1);
            fault_clear(g->write[i]->cx);
            g->write[i]->cx->after = 0;
        }
        g->outcome[i] = run_alone(l, g->write[i]);
    }
}

/* The one that is answered may be gone at once. */
static void answer(struct writer *l, struct group *g) {
    unsigned after = 0;
    for (size_t i = 0; i < g->n; i++)
        if (!g->outcome[i])
            after |= g->write[i]->cx->after;
    for (size_t i = 0; i < g->n; i++)
        g->write[i]->done(g->write[i], g->outcome[i]);
    if (after)
        notice_tell(l->db, l->conn, after);
}

static void keep_time(struct writer *l) {
    struct instant now;
    if (!l->db->driver->shared || !l->conn || clock_steady() - l->time_at < TIME_PERIOD)
        return;
    l->time_at = clock_steady();
    if (l->db->driver->time(l->conn, &now) == OK)
        time_set(l->db, now);
}

static int64_t upkeep(struct writer *l, bool idle) {
    keep_time(l);
    return l->conn && !l->conn->lost ? l->db->driver->upkeep(l->conn, idle) : 0;
}

static struct timespec from_now(int64_t us) {
    int64_t at = clock_steady() + us;
    return (struct timespec){.tv_sec = at / US_PER_S, .tv_nsec = at % US_PER_S * 1000};
}

/* Waits until there is something, or the lane closes; a pause of quiet_us is used for upkeep. False: it
 * closes. */
static bool take(struct writer *l, struct group *g, int64_t quiet_us) {
    struct timespec until = from_now(quiet_us);
    pthread_mutex_lock(&l->lock);
    while (!l->head && !l->closing) {
        if (quiet_us == 0) {
            pthread_cond_wait(&l->wake, &l->lock);
        } else if (pthread_cond_timedwait(&l->wake, &l->lock, &until) == ETIMEDOUT && !l->head &&
                   !l->closing) {
            pthread_mutex_unlock(&l->lock);
            until = from_now(quiet_us = upkeep(l, true));
            pthread_mutex_lock(&l->lock);
        }
    }
    for (g->n = 0; l->head && g->n < l->db->driver->group_max; l->head = l->head->next)
        g->write[g->n++] = l->head;
    if (!l->head)
        l->tail = &l->head;
    l->waiting -= g->n;
    pthread_mutex_unlock(&l->lock);
    return g->n > 0;
}

static void *lane_thread(void *arg) {
    struct writer *l = arg;
    struct group g;
    int64_t quiet = 0;
    assert(l->db->driver->group_max <= GROUP_MAX);
    while (take(l, &g, quiet)) {
        run_group(l, &g);
        answer(l, &g);
        quiet = upkeep(l, false);
    }
    return NULL;
}

/* The queue's end is where the next one goes: write->next is the queue's while it waits. */
static bool push(struct writer *l, struct write *w) {
    if (l->closing || l->waiting >= WAITING_MAX)
        return false;
    if (!l->started && pthread_create(&l->thread, NULL, lane_thread, l) != 0)
        return false;
    l->started = true;
    w->next = NULL;
    *l->tail = w;
    l->tail = &w->next;
    if (l->waiting++ == 0)
        pthread_cond_signal(&l->wake);
    return true;
}

/* Several take the intake in turn: while one waits for its answer, the others' work is under way. */
static struct writer *writer_for(struct db *db, enum lane lane) {
    size_t others = db->driver->writers - 1;
    return lane == LANE_MAIN || others == 0
               ? &db->writers[0]
               : &db->writers[1 + atomic_fetch_add_explicit(&db->turn, 1, memory_order_relaxed) % others];
}

enum err db_write(struct db *db, struct write *w) {
    struct writer *l = writer_for(db, w->lane);
    assert(!w->cx->db);
    pthread_mutex_lock(&l->lock);
    bool pushed = push(l, w);
    pthread_mutex_unlock(&l->lock);
    return pushed ? OK : fail(w->cx, ERR_UNAVAILABLE, "The server is busy; try again.");
}

void lane_done(struct writer *l) {
    pthread_mutex_lock(&l->lock);
    l->closing = true;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
    if (l->started)
        pthread_join(l->thread, NULL);
    drop(l);
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->lock);
}

/* A caller that waits for its write. */
struct waiter {
    struct write write;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
    enum err outcome;
};

static void wake_waiter(struct write *w, enum err outcome) {
    struct waiter *waiter = (struct waiter *)w;
    pthread_mutex_lock(&waiter->lock);
    waiter->outcome = outcome;
    waiter->is_done = true;
    pthread_cond_signal(&waiter->done);
    pthread_mutex_unlock(&waiter->lock);
}

static bool on_lane(struct writer *l) {
    pthread_mutex_lock(&l->lock);
    bool on = l->started && pthread_equal(l->thread, pthread_self());
    pthread_mutex_unlock(&l->lock);
    return on;
}

enum err db_write_wait(struct ctx *cx, enum err (*run)(struct ctx *cx, void *arg), void *arg) {
    struct db *db = cx->database;
    struct waiter w = {.write = {.cx = cx, .run = run, .arg = arg, .done = wake_waiter, .lane = LANE_MAIN}};
    for (size_t i = 0; i < db->driver->writers; i++)
        assert(!on_lane(&db->writers[i])); /* it would wait for itself */
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.done, NULL);
    enum err e = db_write(db, &w.write);
    if (!e) {
        pthread_mutex_lock(&w.lock);
        while (!w.is_done)
            pthread_cond_wait(&w.done, &w.lock);
        pthread_mutex_unlock(&w.lock);
        e = w.outcome;
    }
    pthread_cond_destroy(&w.done);
    pthread_mutex_destroy(&w.lock);
    return e;
}
