#include "jobs/work.h"

#include "base/log.h"

#include "base/banned.h"

#define LEASE_US (10 * US_PER_S)
#define RUNNER_MEM_MAX ((size_t)1024 * 1024)

int64_t runner_lease_us(const struct runner *r) { return r->setup.lease_us ? r->setup.lease_us : LEASE_US; }

void runner_wait(struct runner *r, pthread_cond_t *cond, int64_t until) {
    struct timespec t = {.tv_sec = until / US_PER_S, .tv_nsec = until % US_PER_S * 1000};
    pthread_cond_timedwait(cond, &r->lock, &t);
}

static void on_commit(void *arg, unsigned after) {
    if (after & AFTER_WAKE_JOBS)
        runner_wake(arg);
}

/* One THREAD job from its start to its end. */
static void run_thread_job(struct work *w) {
    struct runner *r = w->runner;
    int64_t begun = clock_steady();
    w->cx.now = clock_now(r->setup.clock);
    pthread_mutex_lock(&r->lock);
    w->begun = begun;
    w->deadline = begun + work_time_limit(w);
    pthread_cond_signal(&r->watch);
    pthread_mutex_unlock(&r->lock);
    enum err e = w->type->run(&w->cx, w->jobs);
    w->run_us = clock_steady() - begun;
    if (!e)
        w->stage = FINISH;
    for (bool more = e ? work_next(w, e) : true; more; more = work_next(w, e)) {
        pthread_mutex_lock(&r->lock);
        while (clock_steady() < w->not_before && !r->abandoned)
            runner_wait(r, &r->idle, w->not_before);
        pthread_mutex_unlock(&r->lock);
        w->cx.now = clock_now(r->setup.clock);
        w->cx.after = 0;
        e = db_write_wait(&w->cx, work_closure, w);
    }
}

void *worker_main(void *runner) {
    struct runner *r = runner;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        struct work *w = atomic_load(&r->stopping) ? NULL : work_list_take(&r->for_worker);
        if (w) {
            pthread_mutex_unlock(&r->lock);
            run_thread_job(w);
            pthread_mutex_lock(&r->lock);
            work_release(w);
        } else if (atomic_load(&r->stopping)) {
            break;
        } else {
            pthread_cond_wait(&r->work, &r->lock);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

struct beat {
    struct runner *r;
    struct job_hold *holds;
    size_t n;
    struct list kept;
};

static enum err beat_closure(struct ctx *cx, void *arg) {
    struct beat *b = arg;
    struct instant end = {db_time(b->r->setup.db).us + runner_lease_us(b->r)};
    return b->r->driver->extend(cx, b->holds, b->n, end, &b->kept);
}

/* With the lock. What was claimed less than a third of a lease ago needs nothing yet. */
static enum err collect(struct beat *b, struct arena *mem, int64_t now) {
    struct runner *r = b->r;
    b->n = 0;
    b->holds = NEW_N(mem, struct job_hold, r->n_held[CLOSURES] + r->n_held[THREADS] + 1);
    if (!b->holds)
        return ERR_MEMORY;
    for (const struct work *w = r->held; w; w = w->next)
        if (!w->given_up && atomic_load(&w->lease_until) - now < runner_lease_us(r) * 2 / 3)
            for (size_t i = 0; i < w->n; i++)
                b->holds[b->n++] = (struct job_hold){w->jobs[i].org_id, w->jobs[i].id, w->jobs[i].lease};
    return OK;
}

static bool all_kept(const struct work *w, const struct list *kept) {
    const struct uuid *ids = kept->items;
    for (size_t i = 0, k; i < w->n; i++) {
        for (k = 0; k < kept->n && !uuid_eq(ids[k], w->jobs[i].id); k++)
            ;
        if (k == kept->n)
            return false;
    }
    return true;
}

/* A lease whose extension fails, or is not confirmed because its row is just being written, runs on as it
 * was: only its end on the monotonic clock says that it is lost. */
static void beat(struct runner *r, struct arena *mem) {
    struct beat b = {.r = r};
    struct ctx cx;
    runner_context(r, mem, &cx);
    int64_t now = clock_steady();
    pthread_mutex_lock(&r->lock);
    enum err e = collect(&b, mem, now);
    pthread_mutex_unlock(&r->lock);
    if (e || !b.n)
        return;
    if (db_write_wait(&cx, beat_closure, &b)) {
        log_fault(&cx, LOG_WARN, "jobs", S("leases were not extended"));
        return;
    }
    pthread_mutex_lock(&r->lock);
    for (struct work *w = r->held; w; w = w->next)
        if (atomic_load(&w->lease_until) - now < runner_lease_us(r) * 2 / 3 && all_kept(w, &b.kept))
            atomic_store(&w->lease_until, now + runner_lease_us(r));
    pthread_mutex_unlock(&r->lock);
}

static void *heartbeat_main(void *runner) {
    struct runner *r = runner;
    for (bool over = false; !over;) {
        struct arena *mem = runner_take_arena(r);
        if (mem)
            beat(r, mem);
        atomic_store(&r->last_beat, clock_steady());
        int64_t next = clock_steady() + runner_lease_us(r) / 3;
        pthread_mutex_lock(&r->lock);
        if (mem)
            runner_return_arena(r, mem);
        while (clock_steady() < next && !(over = r->abandoned || (atomic_load(&r->stopping) && !r->held)))
            runner_wait(r, &r->beat, next);
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}

static bool chosen(const struct runner_setup *setup, struct str queue) {
    if (!setup->queues)
        return true;
    for (const char *const *q = setup->queues; *q; q++)
        if (str_eq(str_of(*q), queue))
            return true;
    return false;
}

static void add_queue(struct runner *r, struct str name, bool threads) {
    if (!chosen(&r->setup, name))
        return;
    size_t i = 0;
    while (i < r->n_queues && !str_eq(r->queues[i].name, name))
        i++;
    if (i == r->n_queues)
        r->queues[r->n_queues++] = (struct job_queue){name, false};
    r->queues[i].threads |= threads && r->setup.workers > 0;
}

/* The queues of all known types, as far as they were chosen. */
static enum err find_queues(struct ctx *cx, struct runner *r) {
    const struct runner_setup *s = &r->setup;
    size_t types = 1;
    for (size_t i = 0; i < s->n_modules; i++)
        types += s->modules[i]->n_jobs;
    r->queues = NEW_N(r->mem, struct job_queue, types);
    if (!r->queues)
        return fail(cx, ERR_MEMORY, "There is no memory for the runner of jobs.");
    add_queue(r, S(JOB_QUEUE_DEFAULT), false);
    for (size_t i = 0; i < s->n_modules; i++)
        for (size_t k = 0; k < s->modules[i]->n_jobs; k++)
            add_queue(r, job_type_queue(&s->modules[i]->jobs[k]), s->modules[i]->jobs[k].mode == JOB_THREAD);
    for (const char *const *q = s->queues; q && *q; q++) {
        size_t n = 0;
        while (n < r->n_queues && !str_eq(r->queues[n].name, str_of(*q)))
            n++;
        if (n == r->n_queues)
            return fail(cx, ERR_USAGE, "No type of job has the queue %s.", *q);
    }
    return OK;
}

static void init_waits(struct runner *r) {
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_t *const all[] = {&r->dispatch, &r->beat, &r->work, &r->watch, &r->idle};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        pthread_cond_init(all[i], &steady);
    pthread_condattr_destroy(&steady);
}

static void free_runner(struct runner *r) {
    for (size_t i = 0; i < r->n_spare; i++)
        arena_free(r->spare[i]);
    pthread_cond_t *const all[] = {&r->dispatch, &r->beat, &r->work, &r->watch, &r->idle};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        pthread_cond_destroy(all[i]);
    pthread_mutex_destroy(&r->lock);
    arena_free(r->mem);
}

/* With the lock. */
static void tell_all(struct runner *r) {
    pthread_cond_broadcast(&r->dispatch);
    pthread_cond_broadcast(&r->beat);
    pthread_cond_broadcast(&r->work);
    pthread_cond_broadcast(&r->watch);
    pthread_cond_broadcast(&r->idle);
}

static bool start_threads(struct runner *r) {
    void *(*const mains[])(void *) = {heartbeat_main, dispatch_main, watch_main};
    for (size_t i = 0; i < sizeof mains / sizeof mains[0]; i++, r->n_threads++)
        if (pthread_create(&r->threads[i], NULL, mains[i], r))
            return false;
    return true;
}

/* As many as can be had; n_workers is read by the dispatcher, so they come first. */
static void start_workers(struct runner *r) {
    while ((int64_t)r->n_workers < r->setup.workers &&
           !pthread_create(&r->workers[r->n_workers], NULL, worker_main, r))
        r->n_workers++;
}

enum err runner_start(struct ctx *cx, const struct runner_setup *setup, struct runner **out) {
    struct arena *mem = arena_new(RUNNER_MEM_MAX);
    struct runner *r = mem ? NEW(mem, struct runner) : NULL;
    size_t workers_max = (size_t)setup->workers * 2; /* so many may be stuck before less is done at a time */
    pthread_t *workers = r ? NEW_N(mem, pthread_t, workers_max + 1) : NULL;
    if (!workers) {
        arena_free(mem);
        return fail(cx, ERR_MEMORY, "There is no memory for the runner of jobs.");
    }
    *r = (struct runner){
        .driver = &JOB_DRIVER_DB,
        .setup = *setup,
        .modules = cx->modules,
        .mem = mem,
        .workers = workers,
        .workers_max = workers_max,
    };
    init_waits(r);
    atomic_init(&r->last_beat, clock_steady());
    enum err e = find_queues(cx, r);
    if (e) {
        free_runner(r);
        return e;
    }
    start_workers(r);
    if (!start_threads(r)) {
        runner_stop(r, 0);
        return fail(cx, ERR_MEMORY, "The threads of the runner of jobs cannot be started.");
    }
    db_on_commit(setup->db, on_commit, r);
    *out = r;
    return OK;
}

void runner_stop(struct runner *r, int64_t grace_us) {
    int64_t until = clock_steady() + grace_us;
    db_on_commit(r->setup.db, NULL, NULL);
    pthread_mutex_lock(&r->lock);
    atomic_store(&r->stopping, true);
    tell_all(r);
    while ((r->held || r->looking) && clock_steady() < until)
        runner_wait(r, &r->idle, until);
    bool left = r->held || r->looking;
    r->abandoned = left;
    tell_all(r);
    pthread_mutex_unlock(&r->lock);
    for (size_t i = 0; i < r->n_threads; i++)
        pthread_join(r->threads[i], NULL);
    for (size_t i = 0; i < r->n_workers; i++)
        if (left)
            pthread_detach(r->workers[i]);
        else
            pthread_join(r->workers[i], NULL);
    if (!left)
        free_runner(r);
}
