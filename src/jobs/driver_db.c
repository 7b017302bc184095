#include "jobs/driver.h"

#include "base/json.h"
#include "jobs/statements.h"

#include <stdlib.h>

#include "base/banned.h"

#define SWEEP_MAX 500 /* as in the statements */

static const struct field KEY_FIELDS[] = {FIELD(struct job_key, id, ROW, "")};
static const struct field WAKE_FIELDS[] = {FIELD(struct job_wake, wake_at, ROW, "")};
static const struct field COUNT_FIELDS[] = {FIELD(struct job_count, n, ROW, "")};
const struct schema JOB_KEY = SCHEMA(struct job_key, "JobKey", KEY_FIELDS);
const struct schema JOB_WAKE = SCHEMA(struct job_wake, "JobWake", WAKE_FIELDS);
const struct schema JOB_COUNT = SCHEMA(struct job_count, "JobCount", COUNT_FIELDS);

static enum err out_of_memory(struct ctx *cx) {
    return fail(cx, ERR_MEMORY, "The work needs more memory than it may have.");
}

enum {
    ID,
    NAME,
    QUEUE,
    THREADED,
    ARGUMENTS,
    UNIQUE_KEY,
    REQUEST_ID,
    STATE,
    PRIORITY,
    ATTEMPTS_MAX,
    DUE_AT,
    WAKE_AT,
    CREATED_AT,
    ENQUEUE_ARGS
};

static enum err enqueue(struct ctx *cx, const struct job *job, bool threaded, struct step *out) {
    struct arg *v = NEW_N(cx->mem, struct arg, ENQUEUE_ARGS);
    if (!v)
        return out_of_memory(cx);
    bool waiting = job->due_at.us > job->created_at.us;
    v[ID] = A(job->id);
    v[NAME] = A(job->name);
    v[QUEUE] = A(job->queue);
    v[THREADED] = A(threaded);
    v[ARGUMENTS] = A(job->args);
    v[UNIQUE_KEY] = A(job->unique_key);
    v[REQUEST_ID] = A(job->request_id);
    v[STATE] = A(waiting ? S("waiting") : S("ready"));
    v[PRIORITY] = A(job->priority);
    v[ATTEMPTS_MAX] = A(job->attempts_max);
    v[DUE_AT] = A(job->due_at);
    v[WAKE_AT] = A(waiting ? job->due_at : (struct instant){0});
    v[CREATED_AT] = A(job->created_at);
    *out = (struct step){.st = &JOB_STMTS[JOB_ENQUEUE], .args = {v, ENQUEUE_ARGS}};
    return OK;
}

static int by_turn(const void *a, const void *b) {
    const struct job *x = a, *y = b;
    if (x->priority != y->priority)
        return x->priority < y->priority ? -1 : 1;
    if (x->due_at.us != y->due_at.us)
        return x->due_at.us < y->due_at.us ? -1 : 1;
    return memcmp(x->id.b, y->id.b, sizeof x->id.b);
}

static enum err claim(struct ctx *cx, const struct job_claim *claim, struct list *jobs) {
    enum err e = db_list(cx, &JOB_STMTS[JOB_CLAIM],
                         ARGS(A(claim->queue), A(claim->threaded), A(claim->max), A(claim->lease_end)), jobs);
    if (!e && jobs->n > 1)
        qsort(jobs->items, jobs->n, sizeof(struct job), by_turn);
    return e;
}

/* The leases of n things as a JSON array; stride is the size of one. */
static struct str leases_json(struct ctx *cx, const int64_t *lease, size_t n, size_t stride) {
    struct buf b = buf_new(cx->mem, n * 21 + 2);
    buf_byte(&b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_byte(&b, ',');
        buf_int(&b, *(const int64_t *)(const void *)((const char *)lease + i * stride));
    }
    buf_byte(&b, ']');
    return b.failed ? (struct str){NULL, 0} : buf_str(&b);
}

static enum err extend(struct ctx *cx, const struct job_hold *holds, size_t n, struct instant lease_end,
                       struct list *kept) {
    unsigned char *keys = arena_alloc_n(cx->mem, 32, n);
    struct str leases = leases_json(cx, &holds->lease, n, sizeof *holds);
    if (!keys || !leases.p)
        return out_of_memory(cx);
    for (size_t i = 0; i < n; i++) {
        memcpy(keys + i * 32, holds[i].org.b, 16);
        memcpy(keys + i * 32 + 16, holds[i].id.b, 16);
    }
    struct bytes packed = {keys, n * 32};
    return db_list(cx, &JOB_STMTS[JOB_EXTEND], ARGS(A(lease_end), A(packed), A(leases)), kept);
}

static enum err lease_lost(struct ctx *cx) {
    return fail(cx, ERR_LEASE_LOST, "Another worker holds the job; nothing was done.");
}

/* A fenced statement: one row or nothing at all. */
static enum err fenced(struct ctx *cx, enum job_stmt st, struct args args) {
    int64_t changed = 0;
    enum err e = db_exec(cx, &JOB_STMTS[st], args, &changed);
    if (e)
        return e;
    return changed == 1 ? OK : lease_lost(cx);
}

static enum err hold(struct ctx *cx, const struct job *job) {
    return fenced(cx, JOB_HOLD, ARGS(A(job->id), A(job->lease)));
}

static enum err finish_many(struct ctx *cx, const struct job *jobs, size_t n) {
    unsigned char *keys = arena_alloc_n(cx->mem, 16, n);
    struct str leases = leases_json(cx, &jobs->lease, n, sizeof *jobs);
    if (!keys || !leases.p)
        return out_of_memory(cx);
    for (size_t i = 0; i < n; i++)
        memcpy(keys + i * 16, jobs[i].id.b, 16);
    struct bytes packed = {keys, n * 16};
    int64_t changed = 0;
    enum err e = db_exec(cx, &JOB_STMTS[JOB_FINISH_MANY], ARGS(A(packed), A(leases)), &changed);
    if (e)
        return e;
    return changed == (int64_t)n ? OK : lease_lost(cx);
}

static enum err finish(struct ctx *cx, const struct job *jobs, size_t n, bool keep_done) {
    if (!keep_done && n > 1)
        return finish_many(cx, jobs, n);
    struct instant until = {cx->now.us + JOB_KEEP_DONE_US};
    for (size_t i = 0; i < n; i++) {
        enum err e = keep_done
                         ? fenced(cx, JOB_KEEP, ARGS(A(jobs[i].id), A(jobs[i].lease), A(cx->now), A(until)))
                         : fenced(cx, JOB_FINISH, ARGS(A(jobs[i].id), A(jobs[i].lease)));
        if (e)
            return e;
    }
    return OK;
}

static enum err fail_job(struct ctx *cx, const struct job *job, struct str error, struct instant due) {
    bool dead = !due.us;
    return fenced(cx, JOB_FAIL,
                  ARGS(A(job->id), A(job->lease), A(dead ? S("dead") : S("waiting")),
                       A(dead ? job->due_at : due), A(due), A(dead ? cx->now : (struct instant){0}),
                       A(error)));
}

static enum err give_back(struct ctx *cx, const struct job *jobs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        enum err e = fenced(cx, JOB_GIVE_BACK, ARGS(A(jobs[i].id), A(jobs[i].lease)));
        if (e)
            return e;
    }
    cx->after |= AFTER_WAKE_JOBS;
    return OK;
}

static enum err recover(struct ctx *cx) {
    return db_exec(cx, &JOB_STMTS[JOB_RECOVER], ARGS(A(db_time(cx->database)), A(cx->now)), NULL);
}

static enum err sweep(struct ctx *cx, bool *more) {
    struct args lapsed = ARGS(A(db_time(cx->database)), A(cx->now)), due = ARGS(A(cx->now));
    struct step steps[] = {
        {.st = &JOB_STMTS[JOB_SWEEP_DUE], .args = due},
        {.st = &JOB_STMTS[JOB_SWEEP_LAPSED], .args = lapsed},
        {.st = &JOB_STMTS[JOB_SWEEP_DONE], .args = due},
    };
    enum err e = db_steps(cx, steps, 3);
    if (e)
        return e;
    *more = steps[0].changed == SWEEP_MAX || steps[1].changed == SWEEP_MAX || steps[2].changed == SWEEP_MAX;
    return OK;
}

static enum err next_due(struct ctx *cx, struct instant *due) {
    struct job_wake row = {0};
    bool found;
    enum err e = db_get(cx, &JOB_STMTS[JOB_NEXT_DUE], ARGS(), &row, &found);
    if (!e)
        *due = row.wake_at;
    return e;
}

static enum err count_ready(struct ctx *cx, struct str queue, int64_t *n) {
    struct job_count row = {0};
    bool found;
    enum err e = db_get(cx, &JOB_STMTS[JOB_COUNT_READY], ARGS(A(queue), A(JOB_COUNT_MAX)), &row, &found);
    if (!e)
        *n = row.n;
    return e;
}

static enum err get(struct ctx *cx, struct uuid id, struct job *out, bool *found) {
    return db_get(cx, &JOB_STMTS[JOB_GET], ARGS(A(id)), out, found);
}

/* Why a change of a job by hand did nothing. */
static enum err refused(struct ctx *cx, struct uuid id) {
    struct job job;
    bool found;
    enum err e = get(cx, id, &job, &found);
    if (e)
        return e;
    if (!found)
        return fail(cx, ERR_NOT_FOUND, "There is no such job.");
    if (str_eq(job.state, S("running")))
        return fail(cx, ERR_CONFLICT, "The job is running; wait for its end.");
    if (str_eq(job.state, S("dead")) || str_eq(job.state, S("waiting")))
        return fail(cx, ERR_CONFLICT, "Another live job has its unique key.");
    return fail(cx, ERR_CONFLICT, "The job is %.*s; there is nothing to retry.", STR_FMT(job.state));
}

static enum err by_hand(struct ctx *cx, enum job_stmt st, struct uuid id, struct args args) {
    int64_t changed = 0;
    enum err e = db_exec(cx, &JOB_STMTS[st], args, &changed);
    if (e)
        return e;
    return changed ? OK : refused(cx, id);
}

static enum err retry(struct ctx *cx, struct uuid id) {
    cx->after |= AFTER_WAKE_JOBS;
    return by_hand(cx, JOB_RETRY, id, ARGS(A(id), A(cx->now)));
}

static enum err drop(struct ctx *cx, struct uuid id) { return by_hand(cx, JOB_DROP, id, ARGS(A(id))); }

const struct job_driver JOB_DRIVER_DB = {
    .enqueue = enqueue,
    .claim = claim,
    .extend = extend,
    .hold = hold,
    .finish = finish,
    .fail = fail_job,
    .give_back = give_back,
    .recover = recover,
    .sweep = sweep,
    .next_due = next_due,
    .count_ready = count_ready,
    .get = get,
    .retry = retry,
    .drop = drop,
};
