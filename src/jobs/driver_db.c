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

/* What a runner needs of a job. */
static const struct field CLAIMED_FIELDS[] = {
    FIELD(struct job, org_id, ROW, ""),     FIELD(struct job, id, ROW, ""),
    FIELD(struct job, name, ROW, ""),       FIELD(struct job, queue, ROW, ""),
    FIELD(struct job, args, ROW, ""),       FIELD(struct job, unique_key, ROW, ""),
    FIELD(struct job, request_id, ROW, ""), FIELD(struct job, priority, ROW, ""),
    FIELD(struct job, attempts, ROW, ""),   FIELD(struct job, attempts_max, ROW, ""),
    FIELD(struct job, lease, ROW, ""),      FIELD(struct job, due_at, ROW, ""),
};
const struct schema JOB_CLAIMED = SCHEMA(struct job, "JobClaimed", CLAIMED_FIELDS);
static const struct field RULE_FIELDS[] = {
    FIELD(struct job_rule, org_id, ROW, ""),
    FIELD(struct job_rule, name, ROW, ""),
    FIELD(struct job_rule, state, ROW, ""),
    FIELD(struct job_rule, concurrency, ROW, ""),
};
const struct schema JOB_RULE = SCHEMA(struct job_rule, "JobRule", RULE_FIELDS);

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

static enum err finish(struct ctx *cx, const struct job *jobs, size_t n, struct instant keep_until) {
    if (!keep_until.us && n > 1)
        return finish_many(cx, jobs, n);
    for (size_t i = 0; i < n; i++) {
        const struct job *j = &jobs[i];
        enum err e =
            keep_until.us
                ? fenced(cx, JOB_KEEP, ARGS(A(j->id), A(j->lease), A(cx->now), A(keep_until), A(j->result)))
                : fenced(cx, JOB_FINISH, ARGS(A(j->id), A(j->lease)));
        if (e)
            return e;
    }
    return OK;
}

static struct instant keep_from(const struct ctx *cx) { return (struct instant){cx->now.us + JOB_KEEP_US}; }

/* Whether it has come to its end because somebody wanted it to. */
static enum err cancelled(struct ctx *cx, const struct job *job, struct str error, bool *is) {
    int64_t changed = 0;
    enum err e = db_exec(cx, &JOB_STMTS[JOB_CANCELLED],
                         ARGS(A(job->id), A(job->lease), A(cx->now), A(keep_from(cx)), A(error)), &changed);
    *is = changed == 1;
    return e;
}

static enum err fail_job(struct ctx *cx, const struct job *job, struct str error, struct instant due) {
    bool dead = !due.us, is_cancelled;
    enum err e = cancelled(cx, job, error, &is_cancelled);
    if (e || is_cancelled)
        return e;
    return fenced(cx, JOB_FAIL,
                  ARGS(A(job->id), A(job->lease), A(dead ? S("dead") : S("waiting")),
                       A(dead ? job->due_at : due), A(due), A(dead ? cx->now : (struct instant){0}),
                       A(error)));
}

static enum err give_back(struct ctx *cx, const struct job *jobs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool is_cancelled;
        enum err e = cancelled(cx, &jobs[i], S("cancelled: It had not begun."), &is_cancelled);
        if (e || (!is_cancelled && (e = fenced(cx, JOB_GIVE_BACK, ARGS(A(jobs[i].id), A(jobs[i].lease))))))
            return e;
    }
    cx->after |= AFTER_WAKE_JOBS;
    return OK;
}

static enum err set_aside(struct ctx *cx, const struct job *job) {
    return fenced(cx, JOB_SET_ASIDE, ARGS(A(job->id), A(job->lease)));
}

static enum err progress(struct ctx *cx, const struct job *job) {
    return fenced(cx, JOB_PROGRESS,
                  ARGS(A(job->id), A(job->lease), A(job->progress_done), A(job->progress_total),
                       A(job->progress_text)));
}

static enum err cancel_asked(struct ctx *cx, struct list *ids) {
    return db_list(cx, &JOB_STMTS[JOB_CANCEL_ASKED], ARGS(), ids);
}

static enum err rules(struct ctx *cx, struct list *out) {
    return db_list(cx, &JOB_STMTS[JOB_RULES], ARGS(), out);
}

static enum err running(struct ctx *cx, struct str queue, int64_t *n) {
    struct job_count row = {0};
    bool found;
    enum err e = db_exec(cx, &JOB_STMTS[JOB_RULE_HOLD], ARGS(A(queue)), NULL);
    if (!e)
        e = db_get(cx, &JOB_STMTS[JOB_COUNT_RUNNING], ARGS(A(queue)), &row, &found);
    if (!e)
        *n = row.n;
    return e;
}

static enum err release(struct ctx *cx, const struct job_rule *rule, bool *more) {
    struct uuid own = cx->actor.org;
    int64_t changed = 0;
    cx->actor.org = rule->org_id;
    enum err e = db_exec(cx, &JOB_STMTS[JOB_RELEASE], ARGS(A(rule->name)), &changed);
    if (!e && changed < SWEEP_MAX)
        e = db_exec(cx, &JOB_STMTS[JOB_RULE_OPEN], ARGS(A(rule->name)), NULL);
    cx->actor.org = own;
    *more |= changed == SWEEP_MAX;
    return e;
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
        {.st = &JOB_STMTS[JOB_SWEEP_CANCELLED], .args = due},
    };
    size_t n = sizeof steps / sizeof steps[0];
    enum err e = db_steps(cx, steps, n);
    if (e)
        return e;
    *more = false;
    for (size_t i = 0; i < n; i++)
        *more |= steps[i].changed == SWEEP_MAX;
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
    if (str_eq(job.state, S("dead")) || str_eq(job.state, S("waiting")) || str_eq(job.state, S("cancelled")))
        return fail(cx, ERR_CONFLICT, "Another live job has its unique key.");
    if (str_eq(job.state, S("paused")))
        return fail(cx, ERR_CONFLICT, "Its queue is paused; resume that.");
    return fail(cx, ERR_CONFLICT, "The job is %.*s already.", STR_FMT(job.state));
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

static enum err change(struct ctx *cx, const struct job *job) {
    cx->after |= AFTER_WAKE_JOBS;
    return by_hand(cx, JOB_CHANGE, job->id,
                   ARGS(A(job->id), A(job->args), A(job->priority), A(job->due_at), A(job->due_at)));
}

static enum err cancel(struct ctx *cx, struct uuid id) {
    int64_t changed = 0;
    struct str who = str_printf(cx->mem, "cancelled: By %.*s.", STR_FMT(cx->actor.name));
    enum err e =
        db_exec(cx, &JOB_STMTS[JOB_CANCEL_IDLE], ARGS(A(id), A(cx->now), A(keep_from(cx)), A(who)), &changed);
    if (e || changed)
        return e;
    return by_hand(cx, JOB_CANCEL_RUNNING, id, ARGS(A(id)));
}

const struct job_driver JOB_DRIVER_DB = {
    .enqueue = enqueue,
    .claim = claim,
    .extend = extend,
    .hold = hold,
    .finish = finish,
    .fail = fail_job,
    .give_back = give_back,
    .set_aside = set_aside,
    .progress = progress,
    .cancel_asked = cancel_asked,
    .rules = rules,
    .running = running,
    .release = release,
    .recover = recover,
    .sweep = sweep,
    .next_due = next_due,
    .count_ready = count_ready,
    .get = get,
    .retry = retry,
    .drop = drop,
    .change = change,
    .cancel = cancel,
};
