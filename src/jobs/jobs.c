#include "jobs/jobs.h"

#include "base/json.h"
#include "jobs/driver.h"
#include "jobs/routes.h"
#include "jobs/statements.h"
#include "jobs/work.h"

#include "base/banned.h"

/* In the order of the statements' columns. */
static const struct field FIELDS[] = {
    FIELD_AS(struct job, org_id, "organisation", OUT | ROW, "Whose job it is; null for one of the server's.",
             .column = "org_id"),
    FIELD(struct job, id, OUT | ROW | REQUIRED, "Its identifier."),
    FIELD(struct job, name, OUT | ROW | REQUIRED, "What is to be done, by the name of the job's type."),
    FIELD(struct job, queue, OUT | ROW | REQUIRED, "Where it waits."),
    FIELD(struct job, args, OUT | ROW | REQUIRED, "Its arguments, an object.", .max = JOB_ARGS_MAX),
    FIELD(struct job, unique_key, OUT | ROW, "There is one live job of this name and key at most."),
    FIELD(struct job, request_id, OUT | ROW, "The request that caused it."),
    FIELD(struct job, state, OUT | ROW | REQUIRED,
          "waiting, ready, running, paused, done, cancelled or dead.", .one_of = JOB_STATES),
    FIELD(struct job, last_error, OUT | ROW, "Why the last attempt failed."),
    FIELD(struct job, priority, OUT | ROW | REQUIRED, "Smaller goes first."),
    FIELD(struct job, attempts, OUT | ROW | REQUIRED, "How often it was begun."),
    FIELD(struct job, attempts_max, OUT | ROW | REQUIRED, "After so many it goes to the dead letters."),
    FIELD(struct job, lease, OUT | ROW | REQUIRED,
          "Grows with every claim; only its latest holder can end the job."),
    FIELD(struct job, due_at, OUT | ROW | REQUIRED, "Not before."),
    FIELD(struct job, created_at, OUT | ROW | REQUIRED, "When it was enqueued."),
    FIELD(struct job, finished_at, OUT | ROW, "When it was done, cancelled or given up."),
    FIELD(struct job, cancel_asked, OUT | ROW | REQUIRED, "Whether it is to break off."),
    FIELD(struct job, progress_done, OUT | ROW, "How far it is."),
    FIELD(struct job, progress_total, OUT | ROW, "How far it has to go; null while nobody knows."),
    FIELD(struct job, progress_text, OUT | ROW, "What it is at."),
    FIELD(struct job, result, OUT | ROW, "What came of it, for types that keep what is done."),
};
const struct schema JOB = SCHEMA(struct job, "Job", FIELDS);
const char *const JOB_STATES[] = {"waiting", "ready", "running", "paused", "done", "cancelled", "dead", NULL};

const struct job_type *job_type_find(const struct module *const *modules, size_t n, struct str name) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < modules[i]->n_jobs; k++)
            if (str_eq(str_of(modules[i]->jobs[k].name), name))
                return &modules[i]->jobs[k];
    return NULL;
}

struct str job_type_queue(const struct job_type *type) {
    return str_of(type && type->queue ? type->queue : JOB_QUEUE_DEFAULT);
}

static enum err make_step(struct ctx *cx, const struct job_new *new, struct uuid *id, struct step *out) {
    struct json args = new->args.text.p ? new->args : (struct json){S("{}")};
    if (args.text.n > JOB_ARGS_MAX)
        return fail(cx, ERR_TOO_LARGE, "The arguments of a job are at most %d bytes.", JOB_ARGS_MAX);
    struct json_reader r;
    json_begin(&r, cx->mem, args.text);
    if (json_peek(&r) != JSON_OBJECT)
        return fail(cx, ERR_INVALID, "The arguments of a job are a JSON object.");
    struct str name = str_of(new->name);
    const struct job_type *type = cx->modules ? job_type_find(cx->modules->list, cx->modules->n, name) : NULL;
    struct job job = {
        .id = uuid_is_nil(new->id) ? uuid_new(cx->now) : new->id,
        .name = name,
        .queue = job_type_queue(type),
        .args = args,
        .unique_key = new->unique_key,
        .request_id = cx->request_id,
        .priority = new->priority ? new->priority
                    : type        ? type->priority
                                  : 0,
        .attempts_max = type && type->attempts_max ? type->attempts_max : JOB_ATTEMPTS_DEFAULT,
        .due_at = new->due_at.us ? new->due_at : cx->now,
        .created_at = cx->now,
    };
    enum err e = JOB_DRIVER_DB.enqueue(cx, &job, type && type->mode == JOB_THREAD, out);
    if (!e)
        cx->after |= AFTER_WAKE_JOBS;
    *id = job.id;
    return e;
}

enum err jobs_enqueue_step(struct ctx *cx, const struct job_new *job, struct step *out) {
    struct uuid id;
    return make_step(cx, job, &id, out);
}

enum err jobs_enqueue_row(struct steps *rows, struct ctx *cx, const struct job_new *job) {
    struct step step;
    enum err e = jobs_enqueue_step(cx, job, &step);
    if (!e)
        (void)steps_add_row(rows, &JOB_STMTS[JOB_ENQUEUE_ROWS], step.args);
    return e;
}

enum err jobs_enqueue_id(struct ctx *cx, const struct job_new *job, struct uuid *id) {
    struct uuid made;
    struct step step;
    int64_t changed = 0;
    enum err e = make_step(cx, job, &made, &step);
    if (e || (e = db_exec(cx, step.st, step.args, &changed)))
        return e;
    *id = changed ? made : (struct uuid){0};
    return OK;
}

enum err jobs_enqueue(struct ctx *cx, const struct job_new *job) {
    struct step step;
    enum err e = jobs_enqueue_step(cx, job, &step);
    return e ? e : db_exec(cx, step.st, step.args, NULL);
}

enum err jobs_take_back(struct ctx *cx, struct uuid id) { return JOB_DRIVER_DB.drop(cx, id); }

/* The beginning of a text, of at most max bytes, that does not end inside a character. */
static struct str beginning_of(struct str text, size_t max) {
    if (text.n <= max)
        return text;
    while (max > 0 && ((unsigned char)text.p[max] & 0xc0) == 0x80)
        max--;
    return str_sub(text, 0, max);
}

struct fenced_write {
    const struct job *job;
    enum err (*run)(struct ctx *cx, void *arg);
    void *arg;
};

static enum err fenced_write(struct ctx *cx, void *arg) {
    const struct fenced_write *w = arg;
    if (w->job->lease) {
        enum err e = JOB_DRIVER_DB.hold(cx, w->job);
        if (e)
            return e;
    }
    return w->run(cx, w->arg);
}

enum err job_write(struct ctx *cx, const struct job *job, enum err (*run)(struct ctx *cx, void *arg),
                   void *arg) {
    return db_write_wait(cx, fenced_write, &(struct fenced_write){job, run, arg});
}

bool job_cancelled(const struct job *job) { return job->work && work_cancelled(job->work); }

#define SHOW_US (100 * US_PER_MS) /* what comes sooner after the last is not looked at, but for the end */

void job_progress(const struct job *job, int64_t done, int64_t total, struct str text) {
    struct work *w = job->work;
    int64_t now = clock_steady();
    if (!w || (now - atomic_load(&w->shown_at) < SHOW_US && done != total))
        return;
    atomic_store(&w->shown_at, now);
    text = beginning_of(text, sizeof w->shown.text);
    pthread_mutex_lock(&w->runner->lock);
    w->shown = (struct job_shown){.fresh = true, .done = done, .total = total, .text_n = text.n};
    if (text.n)
        memcpy(w->shown.text, text.p, text.n);
    pthread_mutex_unlock(&w->runner->lock);
}

enum err job_result(struct ctx *cx, const struct job *job, struct json result) {
    struct json_reader r;
    struct str object = str_dup(cx->mem, result.text);
    if (result.text.n > JOB_ARGS_MAX)
        return fail(cx, ERR_TOO_LARGE, "The result of a job is at most %d bytes.", JOB_ARGS_MAX);
    json_begin(&r, cx->mem, object);
    if (!object.p || json_peek(&r) != JSON_OBJECT || !json_skip(&r, &object) || !json_end(&r))
        return fail(cx, ERR_INTERNAL, "The result of a job is a JSON object.");
    for (size_t i = 0; job->work && i < job->work->n; i++)
        if (&job->work->jobs[i] == job)
            job->work->jobs[i].result.text = object;
    return OK;
}

enum err job_args_check(struct ctx *cx, const struct job_type *type, struct json args) {
    struct str text = args.text.p ? args.text : S("{}");
    if (text.n == 0 || text.p[0] != '{')
        return fail_field(cx, S("args"), "must be an object");
    void *in = type && type->args ? NEW_N(cx->mem, unsigned char, type->args->size) : NULL;
    if (!in)
        return type && type->args ? fail(cx, ERR_MEMORY, "The arguments do not fit in memory.") : OK;
    enum err e = schema_decode(cx, type->args, CREATE, REFUSE_UNKNOWN, text, in, NULL);
    for (size_t i = 0; e && i < cx->fault.n; i++)
        cx->fault.problems[i].field = str_printf(cx->mem, "args.%.*s", STR_FMT(cx->fault.problems[i].field));
    return e;
}

static enum err foreground(struct ctx *cx, void *arg) {
    const struct job *job = arg;
    return job_type_find(cx->modules->list, cx->modules->n, job->name)->run(cx, job);
}

enum err runner_foreground(struct ctx *cx, const struct runner_setup *setup, struct str name,
                           struct str args) {
    const struct job_type *type = job_type_find(setup->modules, setup->n_modules, name);
    struct json_reader r;
    struct str object = S("{}");
    if (!type)
        return fail_field(cx, S("name"), "is no type of job: %.*s", STR_FMT(name));
    json_begin(&r, cx->mem, args);
    if (args.p && (json_peek(&r) != JSON_OBJECT || !json_skip(&r, &object) || !json_end(&r)))
        return fail_field(cx, S("args"), "must be a JSON object");
    enum err e = job_args_check(cx, type, (struct json){object});
    if (e)
        return e;
    struct job job = {
        .id = uuid_new(cx->now),
        .org_id = cx->actor.org,
        .name = name,
        .queue = job_type_queue(type),
        .args = {object},
        .request_id = cx->request_id,
        .state = S("running"),
        .attempts = 1,
        .attempts_max = 1,
        .due_at = cx->now,
        .created_at = cx->now,
    };
    struct ctx own = *cx;
    own.actor.name = str_printf(cx->mem, "job:%.*s", STR_FMT(name));
    e = type->mode == JOB_THREAD ? type->run(&own, &job) : db_write_wait(&own, foreground, &job);
    cx->fault = own.fault;
    return e;
}

static enum err noop(struct ctx *cx, const struct job *job) {
    (void)cx, (void)job;
    return OK;
}

struct waiting {
    int64_t seconds;
};
static const struct field WAITING_FIELDS[] = {
    FIELD(struct waiting, seconds, CREATE | REQUIRED, "How long.", .min = 0, .max = 3600),
};
static const struct schema WAITING = SCHEMA(struct waiting, "WaitArguments", WAITING_FIELDS);
#define WAIT_STEP_US (50 * US_PER_MS)

static enum err wait_run(struct ctx *cx, const struct job *job) {
    struct waiting in;
    enum err e = schema_decode(cx, &WAITING, CREATE, REFUSE_UNKNOWN, job->args.text, &in, NULL);
    int64_t begun = clock_steady(), end = begun + (e ? 0 : in.seconds * US_PER_S);
    for (int64_t now = begun; !e && now < end; now = clock_steady()) {
        job_progress(job, (now - begun) / US_PER_S, in.seconds, S("waiting"));
        if (job_cancelled(job))
            return fail(cx, ERR_UNAVAILABLE, "It was told to break off.");
        nanosleep(&(struct timespec){.tv_nsec = WAIT_STEP_US * 1000}, NULL);
    }
    if (e)
        return e;
    job_progress(job, in.seconds, in.seconds, S("done"));
    return job_result(cx, job, (struct json){S("{\"waited\":true}")});
}

static const struct job_type JOBS[] = {
    {.name = "noop",
     .mode = JOB_CLOSURE,
     .run = noop,
     .batch = 128,
     .by_hand = true,
     .schedule = "@yearly",
     .doc = "Does nothing: for benchmarks, and to see that jobs are being run; give its schedule an "
            "expression of"
            " your own to see that schedules are."},
    {.name = "wait",
     .mode = JOB_THREAD,
     .run = wait_run,
     .args = &WAITING,
     .by_hand = true,
     .keep_done = true,
     .doc = "Waits for some seconds: to see that long jobs run, say how far they are, and can be cancelled."},
};

const struct module JOBS_MODULE = {
    .name = "jobs",
    .routes = JOB_ROUTES,
    .n_routes = JOB_ROUTES_N,
    .stmts = JOB_STMTS,
    .n_stmts = JOB_STMTS_N,
    TABLE(jobs, JOBS),
    .metrics = JOB_METRICS,
    .n_metrics = JOB_METRICS_N,
    .commands = JOB_COMMANDS,
    .n_commands = JOB_COMMANDS_N,
};
