#include "jobs/work.h"

#include "base/log.h"

#include "base/banned.h"

#define WATCH_US (500 * US_PER_MS)

/* What one round has to write down, copied: the works go on meanwhile. */
struct round {
    struct runner *r;
    struct job *shown, *late;
    size_t n_shown, n_late, cap;
    bool lost; /* the row is not ours any more */
};

static int64_t hard_limit(const struct work *w) {
    return w->type->hard_limit_us ? w->type->hard_limit_us : work_time_limit(w) * 2;
}

static bool is_watched(const struct work *w) {
    return w->type && w->type->mode == JOB_THREAD && w->begun && !w->given_up;
}

/* With the lock: a thread for the one that does not come back. */
static void replace_worker(struct runner *r) {
    r->n_given_up++;
    if (r->n_workers < r->workers_max && !pthread_create(&r->workers[r->n_workers], NULL, worker_main, r))
        r->n_workers++;
}

static struct job copy_of(struct arena *mem, const struct job *job) {
    struct job copy = *job;
    copy.name = str_dup(mem, job->name);
    copy.queue = str_dup(mem, job->queue);
    copy.request_id = job->request_id.p ? str_dup(mem, job->request_id) : job->request_id;
    return copy;
}

/* With the lock. */
static void gather(struct round *o, struct arena *mem, int64_t now) {
    for (struct work *w = o->r->held; w; w = w->next) {
        if (!is_watched(w) || o->n_shown == o->cap || o->n_late == o->cap)
            continue;
        if (w->shown.fresh) {
            struct job *j = &o->shown[o->n_shown++];
            *j = copy_of(mem, w->jobs);
            j->progress_done = (struct optional_int){w->shown.done, true};
            j->progress_total = (struct optional_int){w->shown.total, w->shown.total > 0};
            j->progress_text = str_dup(mem, (struct str){w->shown.text, w->shown.text_n});
            w->shown.fresh = false;
        }
        if (now - w->begun > hard_limit(w)) {
            o->late[o->n_late++] = copy_of(mem, w->jobs);
            w->given_up = true;
            atomic_store(&w->cancelled, true);
            replace_worker(o->r);
        }
    }
}

/* A row that is not ours any more fails alone. */
static enum err write_closure(struct ctx *cx, void *arg) {
    struct round *o = arg;
    const struct job_driver *driver = o->r->driver;
    enum err e = OK;
    for (size_t i = 0; !e && i < o->n_shown; i++) {
        cx->actor.org = o->shown[i].org_id;
        e = driver->progress(cx, &o->shown[i]);
    }
    for (size_t i = 0; !e && i < o->n_late; i++) {
        const struct job *j = &o->late[i];
        struct instant again = {cx->now.us + work_backoff(j)};
        cx->actor.org = j->org_id;
        e = driver->fail(cx, j,
                         S("time-limit: It was past its hard limit; its thread goes on without effect."),
                         j->attempts >= j->attempts_max ? (struct instant){0} : again);
    }
    cx->after |= o->n_late ? AFTER_WAKE_JOBS : 0;
    return e;
}

/* One by one, so that a row which somebody else has by now does not keep the others from theirs. */
static void write_down(struct round *all, struct arena *mem) {
    struct runner *r = all->r;
    struct ctx cx;
    for (size_t i = 0; i < all->n_shown + all->n_late; i++) {
        bool late = i >= all->n_shown;
        struct round one = {.r = r};
        if (late)
            one.late = &all->late[i - all->n_shown], one.n_late = 1;
        else
            one.shown = &all->shown[i], one.n_shown = 1;
        runner_context(r, mem, &cx);
        cx.request_id = late ? one.late->request_id : one.shown->request_id;
        enum err e = db_write_wait(&cx, write_closure, &one);
        if (late) {
            metrics_add(r->setup.metrics, &JOB_METRICS[FAILED], one.late->queue, 1);
            LOG(&cx, LOG_ERROR, "jobs", S("job is past its hard limit"), LOG_STR("job", one.late->name));
        }
        if (e && e != ERR_LEASE_LOST)
            log_fault(&cx, LOG_WARN, "jobs", S("progress was not written down"));
    }
}

/* With the lock. */
static void cancel(struct runner *r, const struct list *asked) {
    const struct uuid *ids = asked->items;
    for (struct work *w = r->held; w; w = w->next)
        for (size_t i = 0; i < asked->n; i++)
            if (is_watched(w) && uuid_eq(w->jobs->id, ids[i]))
                atomic_store(&w->cancelled, true);
}

static void look_round(struct runner *r, struct arena *mem) {
    struct round o = {.r = r};
    struct ctx cx;
    struct list asked = {NULL, 0};
    runner_context(r, mem, &cx);
    pthread_mutex_lock(&r->lock);
    o.cap = r->n_held[THREADS];
    o.shown = NEW_N(mem, struct job, o.cap + 1);
    o.late = NEW_N(mem, struct job, o.cap + 1);
    if (o.shown && o.late)
        gather(&o, mem, clock_steady());
    pthread_mutex_unlock(&r->lock);
    write_down(&o, mem);
    enum err e = db_read_begin(&cx);
    if (!e)
        e = r->driver->cancel_asked(&cx, &asked);
    db_read_end(&cx);
    pthread_mutex_lock(&r->lock);
    if (!e)
        cancel(r, &asked);
    pthread_mutex_unlock(&r->lock);
}

void *watch_main(void *runner) {
    struct runner *r = runner;
    for (bool over = false; !over;) {
        pthread_mutex_lock(&r->lock);
        while (!(over = r->abandoned || (atomic_load(&r->stopping) && !r->held)) && !r->n_held[THREADS])
            pthread_cond_wait(&r->watch, &r->lock);
        int64_t next = clock_steady() + WATCH_US;
        while (!over && clock_steady() < next &&
               !(over = r->abandoned || (atomic_load(&r->stopping) && !r->held)))
            runner_wait(r, &r->watch, next);
        pthread_mutex_unlock(&r->lock);
        struct arena *mem = over ? NULL : runner_take_arena(r);
        if (!mem)
            continue;
        look_round(r, mem);
        pthread_mutex_lock(&r->lock);
        runner_return_arena(r, mem);
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}
