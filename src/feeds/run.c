#include "feeds/run_parts.h"

#include "base/date.h"
#include "feeds/run_files.h"
#include "feeds/store.h"
#include "identity/identity.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/banned.h"

#define BEAT_US (10 * US_PER_S)
#define BEAT_MEM ((size_t)1 << 20)

/* The lease is renewed while a phase takes long; a thread of its own, so that nothing holds it up. */
static enum err renew(struct ctx *cx, void *arg) {
    return run_lease_renew(cx, &((struct running *)arg)->lease);
}

static void *beat(void *arg) {
    struct running *r = arg;
    struct ctx cx = *r->cx;
    cx.mem = arena_new(BEAT_MEM);
    cx.fault = (struct fault){0};
    pthread_mutex_lock(&r->lock);
    while (cx.mem && !r->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += BEAT_US / US_PER_S;
        (void)pthread_cond_timedwait(&r->stop, &r->lock, &until);
        if (r->stopping)
            break;
        pthread_mutex_unlock(&r->lock);
        arena_reset(cx.mem);
        cx.fault = (struct fault){0};
        if (db_write_wait(&cx, renew, r) == ERR_LEASE_LOST)
            atomic_store(&r->lost, true);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    arena_free(cx.mem);
    return NULL;
}

static enum err begin_beat(struct running *r) {
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->stop, NULL);
    return pthread_create(&r->heart, NULL, beat, r)
               ? fail(r->cx, ERR_UNAVAILABLE, "There is no thread to keep the run's lease.")
               : OK;
}

static void end_beat(struct running *r) {
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_signal(&r->stop);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->heart, NULL);
}

/* What the run is about: stores, folders. */
static enum err read_scope(struct ctx *cx, struct running *r) {
    struct list stores;
    enum err e = stores_to_ingest(cx, &stores);
    if (e || (e = files_work(cx, &r->work)))
        return e;
    struct store *s = stores.items;
    struct str *codes = NEW_N(cx->mem, struct str, stores.n);
    if (!codes)
        return fail(cx, ERR_MEMORY, "The stores do not fit in memory.");
    for (size_t i = 0; i < stores.n; i++)
        if (!r->order->store.p || str_eq(s[i].store_code, r->order->store)) {
            codes[r->scope.n] = s[i].store_code;
            s[r->scope.n++] = s[i];
        }
    r->scope.items = codes;
    r->stores = (struct list){s, r->scope.n};
    if (r->scope.n == 0)
        return fail(cx, ERR_USAGE, "%.*s is no store that is to be taken in (etl_flag).",
                    STR_FMT(r->order->store));
    return OK;
}

static enum err find_slug(struct ctx *cx, struct running *r) {
    struct list all;
    enum err e = organisation_list(cx, &all);
    const struct organisation *o = all.items;
    for (size_t i = 0; !e && i < all.n; i++)
        if (uuid_eq(o[i].id, cx->actor.org))
            r->slug = o[i].slug;
    return e;
}

static enum err find_scope(struct running *r) {
    struct ctx *cx = r->cx;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = read_scope(cx, r);
    if (!e)
        e = find_slug(cx, r);
    db_read_end(cx);
    r->folder =
        str_printf(cx->mem, "%.*s/%.*s", STR_FMT(r->work), STR_FMT(files_yyyymmdd(cx, r->order->day)));
    return e;
}

static enum err take_lease(struct ctx *cx, void *arg) {
    return run_lease_take(cx, &((struct running *)arg)->lease);
}

static enum err begin_run(struct ctx *cx, void *arg) {
    struct running *r = arg;
    return run_begin(cx, &r->lease, &r->run);
}

static enum err end_run(struct ctx *cx, void *arg) {
    const struct running *r = arg;
    return run_end(cx, &r->lease, &r->run);
}

static enum err leave_lease(struct ctx *cx, void *arg) {
    return run_lease_leave(cx, &((struct running *)arg)->lease);
}

struct opening {
    struct running *r;
    struct str name;
    struct run_bucket *b;
};
static enum err open_bucket(struct ctx *cx, void *arg) {
    const struct opening *o = arg;
    return run_bucket_begin(cx, &o->r->lease, o->r->run.id, o->name, o->b);
}

static bool wanted(const struct running *r, const struct feed *f) {
    return !r->order->bucket.p || str_eq(r->order->bucket, f->name);
}

/* Each bucket from where it stands. */
static enum err go_through(struct running *r, struct run_bucket *buckets, size_t *n) {
    struct ctx *cx = r->cx;
    enum err e = OK;
    for (size_t i = 0; !e && i < r->feeds->n; i++) {
        const struct feed *f = &r->feeds->v[i];
        struct run_bucket *b = &buckets[*n];
        if (!wanted(r, f))
            continue;
        *b = (struct run_bucket){.bucket = f->name, .phase = S("merge"), .state = S("running")};
        b->run_id = r->run.id;
        if (r->job)
            job_progress(r->job, (int64_t)i, (int64_t)r->feeds->n, f->name);
        if (!r->order->dry)
            e = db_write_wait(cx, open_bucket, &(struct opening){r, f->name, b});
        if (!e)
            e = run_bucket(r, f, b);
        ++*n;
        if (!e && (atomic_load(&r->lost) || (r->job && job_cancelled(r->job))))
            e = fail(cx, ERR_UNAVAILABLE,
                     "The run was broken off; it is gone on with by the next one of its date.");
    }
    return e;
}

/* The worst of its buckets. */
static void conclude(struct running *r, const struct run_bucket *b, size_t n, struct run_result *out) {
    static const char *const STATES[] = {"empty", "done", "warned", "stopped", "failed"};
    static const char *const MESSAGES[] = {"There are no files of any feed.", NULL,
                                           "Rows were rejected or files are kept.",
                                           "A guard wants an approval.", "A bucket or a file failed."};
    size_t worst = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t s = worst; s < 5; s++)
            if (str_eq(b[i].state, str_of(STATES[s])))
                worst = s;
    r->run.state = worst == 0 ? S("failed") : str_of(STATES[worst]);
    r->run.message = str_of(MESSAGES[worst]);
    out->status = worst == 0 ? 2 : worst >= 3 ? 1 : 0;
}

static enum err run_held(struct running *r, struct run_bucket *buckets, size_t *n, struct run_result *out) {
    enum err e = r->order->dry ? OK : db_write_wait(r->cx, begin_run, r);
    if (e || (e = files_make_folder(r->cx, r->folder)))
        return e;
    if (!(e = go_through(r, buckets, n))) {
        conclude(r, buckets, *n, out);
        e = r->order->dry ? OK : db_write_wait(r->cx, end_run, r);
    }
    return e;
}

/* A dry run leaves nothing behind: its files have a folder of their own, which goes. */
static enum err run_dry(struct running *r, struct run_bucket *buckets, size_t *n, struct run_result *out) {
    struct str own = str_printf(r->cx->mem, "%.*s/.dry_%d", STR_FMT(r->work), (int)getpid());
    struct str folder = r->folder;
    const struct run_order *asked = r->order;
    struct run_order order = *asked;
    if (!order.from.p)
        order.from = folder;
    r->order = &order;
    r->folder = own;
    enum err e = run_held(r, buckets, n, out);
    r->order = asked;
    struct fault f = r->cx->fault;
    enum err gone = files_remove(r->cx, own);
    if (e)
        r->cx->fault = f;
    return e ? e : gone;
}

static enum err run_real(struct running *r, struct run_bucket *buckets, size_t *n, struct run_result *out) {
    struct ctx *cx = r->cx;
    int lock = -1;
    enum err e = files_lock(cx, r->work, r->run.run_date, &lock, &r->lease.holder);
    if (!e && !(e = db_write_wait(cx, take_lease, r)) && !(e = begin_beat(r))) {
        e = run_held(r, buckets, n, out);
        end_beat(r);
        if (e) { /* the next one need not wait */
            struct fault f = cx->fault;
            if (db_write_wait(cx, leave_lease, r) == OK || cx->fault.code)
                cx->fault = f;
        }
    }
    if (lock >= 0)
        close(lock);
    return e;
}

enum err run_feeds(struct ctx *cx, const struct run_order *order, const struct job *job,
                   void (*line)(struct str json), struct run_result *out) {
    struct date d = date_of(order->day);
    struct running r = {.cx = cx, .order = order, .job = job, .line = line, .feeds = feeds_of(cx)};
    struct run_bucket *buckets = NEW_N(cx->mem, struct run_bucket, r.feeds->n + 1);
    size_t n = 0;
    if (!buckets)
        return fail(cx, ERR_MEMORY, "The buckets do not fit in memory.");
    if (order->bucket.p && !feed_find(r.feeds, order->bucket))
        return fail(cx, ERR_USAGE, "There is no feed %.*s.", STR_FMT(order->bucket));
    r.run =
        (struct feed_run){.id = uuid_new(cx->now),
                          .run_date = str_printf(cx->mem, "%04" PRId64 "-%02d-%02d", d.year, d.month, d.day),
                          .bucket = order->bucket,
                          .store = order->store,
                          .origin = order->from,
                          .state = S("running"),
                          .started_at = cx->now,
                          .actor = cx->actor.name};
    r.lease.run_date = r.run.run_date;
    enum err e = find_scope(&r);
    if (!e && !(r.sessions = sessions_new()))
        e = fail(cx, ERR_MEMORY, "There is no memory for the sessions.");
    if (!e)
        e = order->dry ? run_dry(&r, buckets, &n, out) : run_real(&r, buckets, &n, out);
    if (r.sessions)
        sessions_free(r.sessions);
    out->run = r.run;
    out->run.buckets = (struct list){buckets, n};
    out->events = (struct list){r.events, r.n_events};
    return e;
}
