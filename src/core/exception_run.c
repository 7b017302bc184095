/* Runs: one action over all open exceptions that a filter matches. The first piece is done in the request,
 * the rest by a job, each piece in one transaction with the place it has come to; so a run that is
 * interrupted goes on where it was, and nothing is done twice. */
#include "core/exception.h"

#include "base/json.h"
#include "jobs/jobs.h"
#include "net/listing.h"

#include "base/banned.h"

#define PIECE_AT_ONCE 100
#define PIECE_OF_JOB 200
/* Before all others, and not the nil that means none. */
static const struct uuid FIRST = {.b = {[15] = 1}};

static const char *const ACTIONS[] = {"replay", "dismiss", "patch", NULL};

/* What the request asks for; it is stored as the run's filter as well. */
struct order {
    struct str action, kind, source, field, text;
    struct uuid upload_id;
    struct str reason;
    struct json patch;
    bool preview;
    struct optional_int expected;
};
static const struct field ORDER_FIELDS[] = {
    FIELD(struct order, action, CREATE | REQUIRED | OUT, "What to do with each.", .one_of = ACTIONS),
    FIELD(struct order, kind, CREATE | OUT, "Only those of this kind.", .min = 1, .max = 64),
    FIELD(struct order, source, CREATE | OUT, "Only those that came this way.", .min = 1, .max = 64),
    FIELD(struct order, field, CREATE | OUT, "Only those with something wrong with this field.", .min = 1,
          .max = 200),
    FIELD(struct order, text, CREATE | OUT, "Only those that hold this text anywhere.", .min = 1, .max = 200),
    FIELD(struct order, upload_id, CREATE | OUT, "Only those of this upload."),
    FIELD(struct order, reason, CREATE | OUT, "Why they are dismissed.", .min = 1, .max = 500),
    FIELD(struct order, patch, CREATE | OUT, "The fields to correct, for patch; null takes one away."),
    FIELD(struct order, preview, CREATE | OUT, "Only count them."),
    FIELD(struct order, expected, CREATE | OUT,
          "How many a preview has counted; another number now is a conflict.", .max = INT64_MAX),
};
static const struct schema ORDER = SCHEMA(struct order, "ExceptionOrder", ORDER_FIELDS);

static const char *const STATES[] = {"preview", "running", "done", NULL};
struct run {
    struct uuid id;
    struct str action;
    struct json filter;
    struct str state;
    int64_t matched, succeeded, failed;
    struct instant created_at, finished_at;
    struct str actor;
    struct uuid cursor_id;
};
static const struct field RUN_FIELDS[] = {
    FIELD(struct run, id, OUT | ROW, "The run's own id; null of a preview. Exceptions carry it as run_id."),
    FIELD(struct run, action, OUT | ROW, "What is done with each.", .one_of = ACTIONS),
    FIELD(struct run, filter, OUT | ROW, "What was asked for."),
    FIELD(struct run, state, OUT | ROW, "preview, running or done.", .one_of = STATES),
    FIELD(struct run, matched, OUT | ROW, "How many open exceptions matched when it began."),
    FIELD(struct run, succeeded, OUT | ROW, "How many it was done to."),
    FIELD(struct run, failed, OUT | ROW, "How many refused it; they are open, with what is wrong."),
    FIELD(struct run, created_at, OUT | ROW, "When it began."),
    FIELD(struct run, finished_at, OUT | ROW, "When it ended."),
    FIELD(struct run, actor, OUT | ROW, "Who began it."),
    FIELD(struct run, cursor_id, ROW, "The last exception that was looked at."),
};
static const struct schema RUN = SCHEMA(struct run, "ExceptionRun", RUN_FIELDS);

struct run_args {
    struct uuid id;
};
static const struct field ARGS_FIELDS[] = {
    FIELD(struct run_args, id, CREATE | OUT | REQUIRED, "The run's id.")};
static const struct schema RUN_ARGS = SCHEMA(struct run_args, "ContinueExceptionRun", ARGS_FIELDS);

struct total {
    int64_t n;
};
static const struct field TOTAL_FIELDS[] = {FIELD(struct total, n, ROW, "How many.")};
static const struct schema TOTAL = SCHEMA(struct total, "Total", TOTAL_FIELDS);

enum { PICK, COUNT, INSERT, GET_ONE, NEWEST, ADVANCE };
/* The literal is for the planners: the key (org_id, state, id) is of no use to them without it. */
#define OPEN                                                                                          \
    " FROM intake_exception WHERE org_id = $org AND id > $2 AND id < $3 AND CAST($4 AS text) IS NULL" \
    " AND state = 'open'"
#define COLUMNS \
    "id, action, filter, state, matched, succeeded, failed, created_at, finished_at, actor, cursor_id"
static const struct stmt SQL[] = {
    [PICK] = {"exception_pick", TENANT,
              "SELECT " EXCEPTION_COLUMNS OPEN EXCEPTION_LIKE_SQLITE " ORDER BY id LIMIT $1",
              "SELECT " EXCEPTION_COLUMNS OPEN EXCEPTION_LIKE_POSTGRES " ORDER BY id LIMIT $1", &EXCEPTION},
    [COUNT] = {"exception_count", TENANT,
               "SELECT count(*) AS n FROM (SELECT id" OPEN EXCEPTION_LIKE_SQLITE " LIMIT $1) matching",
               "SELECT count(*) AS n FROM (SELECT id" OPEN EXCEPTION_LIKE_POSTGRES " LIMIT $1) matching",
               &TOTAL},
    [INSERT] = {"exception_run_insert", TENANT,
                "INSERT INTO exception_run (org_id, " COLUMNS
                ") VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                NULL, NULL},
    [GET_ONE] = {"exception_run_get", TENANT,
                 "SELECT " COLUMNS " FROM exception_run WHERE org_id = $org AND id = $1", NULL, &RUN},
    [NEWEST] = {"exception_run_newest", TENANT,
                "SELECT " COLUMNS " FROM exception_run WHERE org_id = $org AND id < COALESCE($3,"
                " x'ffffffffffffffffffffffffffffffff') AND CAST($4 AS text) IS NULL"
                " ORDER BY id DESC LIMIT $1 OFFSET $2",
                "SELECT " COLUMNS " FROM exception_run WHERE org_id = $org AND id < COALESCE($3,"
                " 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid) AND CAST($4 AS text) IS NULL"
                " ORDER BY id DESC LIMIT $1 OFFSET $2",
                &RUN},
    /* Guarded by where it stood: of two workers with one run, one goes on. */
    [ADVANCE] = {"exception_run_advance", TENANT,
                 "UPDATE exception_run SET state = $2, succeeded = $3, failed = $4, finished_at = $5,"
                 " cursor_id = $6 WHERE org_id = $org AND id = $1 AND cursor_id = $7 AND state = 'running'",
                 NULL, NULL},
};

static struct args picking(struct ctx *cx, const struct order *o, int64_t limit, struct uuid after,
                           struct uuid until) {
    struct arg *v = NEW_N(cx->mem, struct arg, 10);
    if (!v)
        return (struct args){NULL, 1};
    v[0] = A(limit);
    v[1] = A(after);
    v[2] = A(until);
    v[4] = A(o->kind);
    v[5] = A(o->source);
    v[6] = A(S("open"));
    v[7] = A(o->field);
    v[8] = A(o->text);
    v[9] = A(o->upload_id);
    return (struct args){v, 10};
}

/* One of them. A refusal is counted, and stands in the exception. */
static enum err act(struct ctx *cx, const struct order *o, struct exception *x, struct run *run) {
    bool refused = false;
    enum err e = str_eq(o->action, S("replay")) ? exception_replay(cx, x, (struct str){0}, run->id, &refused)
                 : str_eq(o->action, S("dismiss")) ? exception_dismiss(cx, x, o->reason, run->id)
                                                   : exception_repair(cx, x, o->patch.text, run->id);
    if (e && !exception_refusal(e))
        return e;
    *(e || refused ? &run->failed : &run->succeeded) += 1;
    fault_clear(cx);
    return OK;
}

static enum err enqueue(struct ctx *cx, struct uuid id) {
    struct run_args a = {id};
    struct buf args = buf_new(cx->mem, 128);
    schema_encode(&RUN_ARGS, OUT, &a, &args);
    if (args.failed)
        return fail(cx, ERR_MEMORY, "The job's arguments do not fit.");
    return jobs_enqueue(cx, &(struct job_new){.name = "exceptions.run", .args = {buf_str(&args)}});
}

/* The next piece of a run, and the job for what is left. */
static enum err go_on(struct ctx *cx, struct run *run, const struct order *o, int64_t limit) {
    struct list rows;
    struct uuid was = run->cursor_id;
    enum err e = db_list(cx, &SQL[PICK], picking(cx, o, limit, was, run->id), &rows);
    struct exception *x = rows.items;
    for (size_t i = 0; !e && i < rows.n; i++) {
        run->cursor_id = x[i].id;
        e = act(cx, o, &x[i], run);
    }
    if (e)
        return e;
    bool more = (int64_t)rows.n == limit;
    int64_t changed;
    run->state = more ? S("running") : S("done");
    run->finished_at = more ? (struct instant){0} : cx->now;
    e = db_exec(cx, &SQL[ADVANCE],
                ARGS(A(run->id), A(run->state), A(run->succeeded), A(run->failed), A(run->finished_at),
                     A(run->cursor_id), A(was)),
                &changed);
    if (!e && changed == 0)
        return fail(cx, ERR_CONFLICT, "The run has been taken on by another worker.");
    return e || !more ? e : enqueue(cx, run->id);
}

static enum err find(struct ctx *cx, struct uuid id, struct run *out, bool *found) {
    return db_get(cx, &SQL[GET_ONE], ARGS(A(id)), out, found);
}

/* The job `exceptions.run`. */
static enum err continue_run(struct ctx *cx, const struct job *job) {
    struct run_args a;
    struct run run;
    struct order o;
    bool found;
    enum err e = schema_decode(cx, &RUN_ARGS, CREATE, REFUSE_UNKNOWN, job->args.text, &a, NULL);
    if (e || (e = find(cx, a.id, &run, &found)) || !found || !str_eq(run.state, S("running")))
        return e;
    if ((e = schema_decode(cx, &ORDER, CREATE, REFUSE_UNKNOWN, run.filter.text, &o, NULL)))
        return e;
    struct str name = cx->actor.name;
    cx->actor.name = run.actor;
    e = go_on(cx, &run, &o, PIECE_OF_JOB);
    cx->actor.name = name;
    return e;
}

static enum err check(struct ctx *cx, const struct order *o) {
    bool dismiss = str_eq(o->action, S("dismiss")), patch = str_eq(o->action, S("patch"));
    if (dismiss && !o->reason.p)
        (void)fail_field(cx, S("reason"), "is required");
    if (!dismiss && o->reason.p)
        (void)fail_field(cx, S("reason"), "belongs to dismiss alone");
    if (patch && (!o->patch.text.p || o->patch.text.p[0] != '{'))
        (void)fail_field(cx, S("patch"), "must be an object of the fields to correct");
    if (!patch && o->patch.text.p)
        (void)fail_field(cx, S("patch"), "belongs to patch alone");
    return cx->fault.code;
}

static enum err begin(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct order *o = rq->in;
    struct buf filter = buf_new(cx->mem, 1 << 17);
    struct run run = {.id = uuid_new(cx->now),
                      .action = o->action,
                      .state = S("running"),
                      .created_at = cx->now,
                      .actor = cx->actor.name,
                      .cursor_id = FIRST};
    struct total total;
    bool found;
    schema_encode(&ORDER, OUT, o, &filter);
    run.filter.text = buf_str(&filter);
    enum err e = filter.failed ? fail(cx, ERR_TOO_LARGE, "The request is too large.") : check(cx, o);
    if (e || (e = db_get(cx, &SQL[COUNT], picking(cx, o, INT64_MAX, run.cursor_id, run.id), &total, &found)))
        return e;
    run.matched = total.n;
    if (o->preview) {
        run.id = (struct uuid){0};
        run.state = S("preview");
        return answer_object(cx, an, 200, &RUN, &run);
    }
    if (o->expected.has && o->expected.v != total.n)
        return fail(cx, ERR_CONFLICT, "%lld exceptions match by now, not %lld; look at them again.",
                    (long long)total.n, (long long)o->expected.v);
    if ((e = db_exec(cx, &SQL[INSERT], args_of(cx, &RUN, &run, ARGS()), NULL)) ||
        (e = go_on(cx, &run, o, PIECE_AT_ONCE)))
        return e;
    return answer_object(cx, an, 201, &RUN, &run);
}

static enum err get(struct ctx *cx, struct request *rq, struct answer *an) {
    struct uuid id;
    struct run run;
    bool found = false;
    enum err e = uuid_parse(rq->param[0], &id) ? find(cx, id, &run, &found) : OK;
    if (e)
        return e;
    return found ? answer_object(cx, an, 200, &RUN, &run)
                 : fail(cx, ERR_NOT_FOUND, "There is no run with this id.");
}

static const struct job_type JOBS[] = {
    {.name = "exceptions.run",
     .mode = JOB_CLOSURE,
     .run = continue_run,
     .args = &RUN_ARGS,
     .doc = "Goes on with one action over many exceptions."},
};

static const struct listing_sort SORTS[] = {{"-created_at", &SQL[NEWEST], "id", NULL}};
static const struct listing LISTING = {&RUN, SORTS, 1, NULL, 0};
static const enum err REFUSED[] = {ERR_CONFLICT, OK};
#define PATH "/api/v1/catalog/exceptions/runs"
static const struct route ROUTES[] = {
    ROUTE(POST, PATH, WRITE, AREA_FLOOR, NEED_WRITE, begin,
          "Replays, dismisses or corrects all open exceptions that match; with preview it only counts them.",
          .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT, .in = &ORDER, .in_use = CREATE, .out = &RUN,
          .errors = REFUSED),
    ROUTE(GET, PATH, READ, AREA_FLOOR, NEED_READ, listing_answer, "Lists the runs, newest first.",
          .flags = ROUTE_LIST, .out = &RUN, .listing = &LISTING),
    ROUTE(GET, PATH "/{id}", READ, AREA_FLOOR, NEED_READ, get,
          "Shows how far a run has come; what it failed on: exceptions?filter[run_id]=…&filter[state]=open.",
          .out = &RUN),
};

const struct module EXCEPTION_RUN_MODULE = {
    .name = "exception-runs", TABLE(routes, ROUTES), TABLE(stmts, SQL), TABLE(jobs, JOBS)};
