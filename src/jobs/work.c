#include "jobs/work.h"

#include "base/log.h"

#include "base/banned.h"

#define WORK_MEM_MAX ((size_t)64 * 1024 * 1024)
#define ERROR_MAX 2000
#define BACKOFF_MAX (3600 * US_PER_S)
#define THREAD_LIMIT_US (300 * US_PER_S)
#define CLOSURE_LIMIT_US (30 * US_PER_S)
#define AGAIN_US (500 * US_PER_MS) /* between attempts to record something */

const struct metric JOB_METRICS[JOB_METRICS_N] = {
    [CLAIMED] = {"entrepot_jobs_claimed_total", METRIC_COUNTER, "queue",
                 "Jobs that were taken from a queue."},
    [DONE] = {"entrepot_jobs_done_total", METRIC_COUNTER, "queue", "Jobs that ended well."},
    [FAILED] = {"entrepot_jobs_failed_total", METRIC_COUNTER, "queue", "Attempts that failed."},
    [DEAD] = {"entrepot_jobs_dead_total", METRIC_COUNTER, "queue", "Jobs that went to the dead letters."},
    [LEASES_LOST] = {"entrepot_jobs_leases_lost_total", METRIC_COUNTER, "queue",
                     "Attempts that were refused at their end because another worker held the job."},
    [READY_NOW] = {"entrepot_jobs_ready", METRIC_GAUGE, "queue",
                   "Jobs that are due and wait; at most 10000."},
    [WAIT_TIME] = {"entrepot_job_wait_seconds", METRIC_HISTOGRAM, "queue", "From due to claimed."},
    [RUN_TIME] = {"entrepot_job_run_seconds", METRIC_HISTOGRAM, "name",
                  "Running one job, without its commit."},
};

void work_list_add(struct work_list *l, struct work *w) {
    w->following = NULL;
    if (l->last)
        l->last->following = w;
    else
        l->first = w;
    l->last = w;
}

struct work *work_list_take(struct work_list *l) {
    struct work *w = l->first;
    if (!w)
        return NULL;
    l->first = w->following;
    if (!l->first)
        l->last = NULL;
    return w;
}

void runner_context(const struct runner *r, struct arena *mem, struct ctx *cx) {
    *cx = (struct ctx){
        .mem = mem,
        .clock = r->setup.clock,
        .now = clock_now(r->setup.clock),
        .log = r->setup.log,
        .database = r->setup.db,
        .actor = {.name = S("jobs"), .role = ROLE_OPERATOR},
        .app = r->setup.app,
        .modules = r->modules,
    };
}

static enum kind_of_work kind_of(const struct work *w) {
    return w->type && w->type->mode == JOB_THREAD ? THREADS : CLOSURES;
}

struct arena *runner_take_arena(struct runner *r) {
    pthread_mutex_lock(&r->lock);
    struct arena *a = r->n_spare ? r->spare[--r->n_spare] : NULL;
    pthread_mutex_unlock(&r->lock);
    return a ? a : arena_new(WORK_MEM_MAX);
}

void runner_return_arena(struct runner *r, struct arena *a) {
    if (r->n_spare < SPARE_ARENAS) {
        arena_reset(a);
        r->spare[r->n_spare++] = a;
    } else {
        arena_free(a);
    }
}

/* Without the lock: a work of one claim, not yet held. */
static struct work *new_work(struct runner *r, struct claimed *claimed, const struct job_type *type,
                             struct job *jobs, size_t n, int64_t lease_until) {
    struct work *w = NEW(claimed->mem, struct work);
    struct arena *mem = w ? runner_take_arena(r) : NULL;
    if (!mem)
        return NULL;
    *w = (struct work){.runner = r, .claimed = claimed, .type = type, .jobs = jobs, .n = n, .stage = RUN};
    atomic_init(&w->lease_until, lease_until);
    for (size_t i = 0; i < n; i++)
        jobs[i].work = w;
    runner_context(r, mem, &w->cx);
    w->cx.actor.org = jobs->org_id;
    w->cx.actor.name = str_printf(mem, "job:%.*s", STR_FMT(jobs->name));
    w->cx.request_id = jobs->request_id;
    return w;
}

/* With the lock. */
static void keep_held(struct work *w) {
    struct runner *r = w->runner;
    w->next = r->held;
    if (r->held)
        r->held->previous = w;
    r->held = w;
    r->n_held[kind_of(w)] += w->n;
    w->claimed->works++;
}

static bool share(const struct job_type *type, const struct job *a, const struct job *b) {
    return !type->keep_done && type->mode == JOB_CLOSURE && str_eq(a->name, b->name) &&
           uuid_eq(a->org_id, b->org_id);
}

enum err work_make(struct runner *r, struct claimed *claimed, struct list list, int64_t lease_until,
                   struct work_list *out) {
    struct job *jobs = list.items;
    struct ctx cx;
    runner_context(r, claimed->mem, &cx);
    for (size_t i = 0, n; i < list.n; i += n) {
        const struct job_type *type = job_type_find(r->setup.modules, r->setup.n_modules, jobs[i].name);
        for (n = 1; type && n < (size_t)type->batch && i + n < list.n && share(type, &jobs[i], &jobs[i + n]);
             n++)
            ;
        struct work *w = new_work(r, claimed, type, jobs + i, n, lease_until);
        if (!w)
            return ERR_MEMORY;
        metrics_add(r->setup.metrics, &JOB_METRICS[CLAIMED], jobs[i].queue, (int64_t)n);
        for (size_t k = i; k < i + n; k++)
            metrics_observe(r->setup.metrics, &JOB_METRICS[WAIT_TIME], jobs[k].queue,
                            cx.now.us > jobs[k].due_at.us ? cx.now.us - jobs[k].due_at.us : 0);
        pthread_mutex_lock(&r->lock);
        keep_held(w);
        pthread_mutex_unlock(&r->lock);
        work_list_add(out, w);
    }
    return OK;
}

struct work *work_split(struct work *w) {
    size_t half = w->n / 2;
    struct work *rest =
        new_work(w->runner, w->claimed, w->type, w->jobs + half, w->n - half, atomic_load(&w->lease_until));
    if (!rest)
        return NULL;
    pthread_mutex_lock(&w->runner->lock);
    w->runner->n_held[kind_of(w)] -= rest->n;
    keep_held(rest);
    w->n = half;
    w->split = false;
    pthread_mutex_unlock(&w->runner->lock);
    return rest;
}

void work_release(struct work *w) {
    struct runner *r = w->runner;
    struct claimed *claimed = w->claimed;
    if (w->next)
        w->next->previous = w->previous;
    if (w->previous)
        w->previous->next = w->next;
    else
        r->held = w->next;
    bool many = r->n_held[CLOSURES] > JOB_CHUNK;
    r->n_held[kind_of(w)] -= w->n;
    r->n_given_up -= w->given_up;
    if (atomic_load(&r->limited)) {
        atomic_store(&r->woken, true);
        pthread_cond_signal(&r->dispatch);
    }
    bool room = kind_of(w) == THREADS || (many && r->n_held[CLOSURES] <= JOB_CHUNK);
    runner_return_arena(r, w->cx.mem);
    if (--claimed->works == 0)
        runner_return_arena(r, claimed->mem);
    if (room || !r->held)
        pthread_cond_signal(&r->dispatch);
    if (!r->held)
        pthread_cond_broadcast(&r->idle);
}

int64_t work_time_limit(const struct work *w) {
    return w->type->time_limit_us ? w->type->time_limit_us : THREAD_LIMIT_US;
}

bool work_cancelled(const struct work *w) {
    int64_t now = clock_steady();
    return atomic_load(&w->cancelled) || now > w->deadline || now > atomic_load(&w->lease_until) ||
           atomic_load(&w->runner->stopping);
}

static enum err run_jobs(struct ctx *cx, struct work *w) {
    int64_t begun = clock_steady();
    enum err e = w->n > 1 && w->type->run_all ? w->type->run_all(cx, w->jobs, w->n) : OK;
    for (size_t i = 0; !e && i < w->n && !(w->n > 1 && w->type->run_all); i++) {
        cx->request_id = w->jobs[i].request_id;
        e = w->type->run(cx, &w->jobs[i]);
    }
    if (e)
        return e;
    w->run_us = (clock_steady() - begun) / (int64_t)w->n;
    return OK;
}

/* THREAD jobs have theirs watched; what they come to here is their end alone. */
static int64_t closure_limit(const struct work *w) {
    if (w->stage != RUN)
        return INT64_MAX;
    return (w->type->time_limit_us ? w->type->time_limit_us : CLOSURE_LIMIT_US) * (int64_t)w->n;
}

/* A closure may run twice, so it decides afresh each time whether it still begins. */
enum err work_closure(struct ctx *cx, void *work) {
    struct work *w = work;
    const struct job_driver *driver = w->runner->driver;
    enum err e = OK;
    w->given_back = w->stage == GIVE_BACK || (w->stage == RUN && atomic_load(&w->runner->stopping));
    if (w->given_back)
        return driver->give_back(cx, w->jobs, w->n);
    if (w->stage == FAIL) {
        cx->after |= AFTER_WAKE_JOBS; /* whoever sleeps learns when it goes again */
        return driver->fail(cx, w->jobs, w->error, w->again);
    }
    if (w->stage == RUN)
        e = w->type ? run_jobs(cx, w)
                    : fail(cx, ERR_UNAVAILABLE, "No job here is called %.*s.", STR_FMT(w->jobs->name));
    if (!e && w->run_us * (int64_t)w->n > closure_limit(w))
        e = fail(cx, ERR_TIME_LIMIT, "It took %lld ms, longer than it may.",
                 (long long)(w->run_us / US_PER_MS));
    struct instant keep_until = {0};
    if (!e && w->type->keep_done)
        keep_until.us = cx->now.us + (w->type->keep_us ? w->type->keep_us : JOB_KEEP_US);
    return e ? e : driver->finish(cx, w->jobs, w->n, keep_until);
}

/* 1 s, 2 s, 4 s … 1 h, give or take a fifth, which the job's id decides: spread over jobs, the same in every
 * replay. */
int64_t work_backoff(const struct job *job) {
    int64_t us = BACKOFF_MAX;
    if (job->attempts < 13)
        us = US_PER_S << (job->attempts > 1 ? job->attempts - 1 : 0);
    us = us < BACKOFF_MAX ? us : BACKOFF_MAX;
    uint32_t spread = (uint32_t)job->id.b[14] << 8 | (uint32_t)(job->id.b[15] ^ (job->attempts * 37 & 0xff));
    return us - us / 5 + us * 2 / 5 * (int64_t)spread / 65535;
}

/* What the attempt failed with becomes what is recorded of it. */
static void failed(struct work *w, enum err outcome) {
    struct runner *r = w->runner;
    const struct job *job = w->jobs;
    const struct err_info *info = err_info(outcome);
    if (w->cx.fault.code != outcome) /* the job said no more than its code */
        (void)fail(&w->cx, outcome, "%s", info->doc);
    const struct fault *f = &w->cx.fault;
    struct buf b = buf_new(w->cx.mem, ERROR_MAX * 2);
    buf_printf(&b, "%s: %.*s", info->code, (int)(f->message.n < ERROR_MAX ? f->message.n : ERROR_MAX),
               f->message.p);
    for (size_t i = 0; i < f->n && i < 3; i++)
        buf_printf(&b, " %.*s %.*s.", STR_FMT(f->problems[i].field), STR_FMT(f->problems[i].problem));
    if (f->cause.n)
        buf_printf(&b, " [%.*s]", STR_FMT(str_sub(f->cause, 0, ERROR_MAX / 2)));
    w->error = b.failed ? str_of(info->code) : buf_str(&b);
    bool dead = info->retry == PERMANENT || job->attempts >= job->attempts_max;
    w->again =
        dead ? (struct instant){0} : (struct instant){clock_now(r->setup.clock).us + work_backoff(job)};
    w->stage = FAIL;
    metrics_add(r->setup.metrics, &JOB_METRICS[dead ? DEAD : FAILED], job->queue, 1);
    log_fault(&w->cx, dead ? LOG_ERROR : LOG_WARN, "jobs", dead ? S("job is given up") : S("job failed"));
}

static void lost(struct work *w) {
    metrics_add(w->runner->setup.metrics, &JOB_METRICS[LEASES_LOST], w->jobs->queue, (int64_t)w->n);
    log_fault(&w->cx, LOG_WARN, "jobs", S("job was not ended"));
}

static void ended(struct work *w) {
    struct metrics *m = w->runner->setup.metrics;
    if (w->stage == FAIL || w->given_back)
        return;
    metrics_add(m, &JOB_METRICS[DONE], w->jobs->queue, (int64_t)w->n);
    for (size_t i = 0; i < w->n; i++)
        metrics_observe(m, &JOB_METRICS[RUN_TIME], w->jobs->name, w->run_us);
}

bool work_next(struct work *w, enum err outcome) {
    if (!outcome) {
        ended(w);
        return false;
    }
    if (w->n > 1) { /* one of them is the cause; by halves it comes to stand alone */
        w->split = true;
        fault_clear(&w->cx);
        return true;
    }
    if (outcome == ERR_LEASE_LOST) {
        lost(w);
        return false;
    }
    bool broke_off =
        outcome == ERR_UNAVAILABLE && (atomic_load(&w->cancelled) || atomic_load(&w->runner->stopping));
    if (w->stage == RUN && broke_off)
        w->stage = GIVE_BACK;
    else if (w->stage == RUN)
        failed(w, outcome);
    else
        w->not_before = clock_steady() + AGAIN_US;
    bool held = clock_steady() < atomic_load(&w->lease_until);
    if (!held)
        log_fault(&w->cx, LOG_WARN, "jobs", S("job is left to the sweep"));
    fault_clear(&w->cx);
    return held;
}
