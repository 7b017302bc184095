#include "jobs/routes.h"

#include "identity/audit.h"
#include "identity/identity.h"
#include "jobs/driver.h"
#include "jobs/statements.h"
#include "jobs/work.h"
#include "net/listing.h"

#include "base/banned.h"

/* What a listing filters by; the values of a job's own fields. */
struct filters {
    struct str state, queue, name;
};
static const struct field FILTER_FIELDS[] = {
    FIELD(struct filters, state, 0, "waiting, ready, running, paused, done, cancelled or dead.",
          .one_of = JOB_STATES),
    FIELD(struct filters, queue, 0, "Where it waits.", .max = 100),
    FIELD(struct filters, name, 0, "Its type.", .max = 100),
};
static const struct listing_filter FILTERS[] = {
    {.name = "state", .short_name = "state", .field = &FILTER_FIELDS[0]},
    {.name = "queue", .short_name = "queue", .field = &FILTER_FIELDS[1]},
    {.name = "name", .short_name = "name", .field = &FILTER_FIELDS[2]},
};
#define FILTERS_N (sizeof FILTERS / sizeof FILTERS[0])

/* Ids are UUIDv7, so their order is that of creation. */
static const struct listing_sort NEWEST[] = {{"-created_at", &JOB_STMTS[JOB_PAGE], "id", NULL}};
static const struct listing_sort BY_ORGANISATION[] = {
    {"-organisation", &JOB_STMTS[JOB_PAGE_ALL], "organisation", "id"},
};
static const struct listing LISTING = {
    .row = &JOB,
    .sorts = NEWEST,
    .n_sorts = 1,
    .filters = FILTERS,
    .n_filters = FILTERS_N,
};
static const struct listing LISTING_ALL = {
    .row = &JOB,
    .sorts = BY_ORGANISATION,
    .n_sorts = 1,
    .filters = FILTERS,
    .n_filters = FILTERS_N,
};

static enum err path_id(struct ctx *cx, const struct request *rq, struct uuid *id) {
    return uuid_parse(rq->param[0], id) ? OK : fail(cx, ERR_NOT_FOUND, "There is no such job.");
}

static enum err require(struct ctx *cx, const struct request *rq, struct job *job) {
    struct uuid id;
    bool found;
    enum err e = path_id(cx, rq, &id);
    if (e || (e = JOB_DRIVER_DB.get(cx, id, job, &found)))
        return e;
    return found ? OK : fail(cx, ERR_NOT_FOUND, "There is no such job.");
}

static enum err get(struct ctx *cx, struct request *rq, struct answer *an) {
    struct job job;
    enum err e = require(cx, rq, &job);
    return e ? e : answer_object(cx, an, 200, &JOB, &job);
}

/* The log of an organisation tells of its own jobs; those of the server have none. */
static enum err audit(struct ctx *cx, struct str action, const struct request *rq) {
    if (uuid_is_nil(cx->actor.org))
        return OK;
    return audit_write(cx, action, rq->param[0], (struct json){0}, (struct json){0});
}

static enum err retry(struct ctx *cx, struct request *rq, struct answer *an) {
    struct uuid id;
    struct job job;
    enum err e = path_id(cx, rq, &id);
    if (e || (e = JOB_DRIVER_DB.retry(cx, id)) || (e = audit(cx, S("job.retry"), rq)) ||
        (e = require(cx, rq, &job)))
        return e;
    return answer_object(cx, an, 200, &JOB, &job);
}

static enum err drop(struct ctx *cx, struct request *rq, struct answer *an) {
    struct uuid id;
    enum err e = path_id(cx, rq, &id);
    if (e || (e = JOB_DRIVER_DB.drop(cx, id)) || (e = audit(cx, S("job.drop"), rq)))
        return e;
    an->status = 204;
    return OK;
}

static enum err cancel(struct ctx *cx, struct request *rq, struct answer *an) {
    struct uuid id;
    struct job job;
    enum err e = path_id(cx, rq, &id);
    if (e || (e = JOB_DRIVER_DB.cancel(cx, id)) || (e = audit(cx, S("job.cancel"), rq)) ||
        (e = require(cx, rq, &job)))
        return e;
    return answer_object(cx, an, 200, &JOB, &job);
}

/* What can be said of a job from outside. */
static const struct field CHANGE_FIELDS[] = {
    FIELD(struct job, args, PATCH, "Its arguments, an object.", .max = JOB_ARGS_MAX),
    FIELD(struct job, priority, PATCH, "Smaller goes first.", .min = -1000000, .max = 1000000),
    FIELD(struct job, due_at, PATCH, "Not before."),
};
static const struct schema CHANGE = SCHEMA(struct job, "JobChange", CHANGE_FIELDS);

static enum err change(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct job *in = rq->in;
    struct job job;
    enum err e = require(cx, rq, &job);
    if (e || (in->args.text.p &&
              (e = job_args_check(cx, job_type_find(cx->modules->list, cx->modules->n, job.name), in->args))))
        return e;
    struct json before = audit_json(cx, &JOB, &job);
    schema_merge(&CHANGE, rq->present, in, &job);
    if (!job.args.text.p)
        job.args.text = S("{}");
    if (!job.due_at.us)
        job.due_at = cx->now;
    if ((e = JOB_DRIVER_DB.change(cx, &job)) || (e = require(cx, rq, &job)) ||
        (e = audit_write(cx, S("job.change"), rq->param[0], before, audit_json(cx, &JOB, &job))))
        return e;
    return answer_object(cx, an, 200, &JOB, &job);
}

static const struct field NEW_FIELDS[] = {
    FIELD(struct job, name, CREATE | REQUIRED, "A type of job that may be enqueued by hand.", .min = 1,
          .max = 100),
    FIELD(struct job, args, CREATE, "Its arguments, an object.", .max = JOB_ARGS_MAX),
    FIELD(struct job, priority, CREATE, "Smaller goes first.", .min = -1000000, .max = 1000000),
    FIELD(struct job, due_at, CREATE, "Not before; now if not given."),
    FIELD(struct job, unique_key, CREATE, "There is one live job of this name and key at most.", .min = 1,
          .max = 200),
};
static const struct schema NEW_JOB = SCHEMA(struct job, "JobNew", NEW_FIELDS);

static enum err create(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct job *in = rq->in;
    const struct job_type *type = job_type_find(cx->modules->list, cx->modules->n, in->name);
    struct uuid id;
    struct job job;
    bool found;
    if (!type || type->of_server || !(type->by_hand || type->schedule))
        return fail_field(cx, S("name"), "is no type of job that may be enqueued by hand");
    const struct job_new new = {
        .name = type->name,
        .args = in->args,
        .unique_key = in->unique_key,
        .priority = in->priority,
        .due_at = in->due_at,
    };
    enum err e = job_args_check(cx, type, in->args);
    if (e || (e = jobs_enqueue_id(cx, &new, &id)))
        return e;
    if (uuid_is_nil(id))
        return fail(cx, ERR_CONFLICT, "A live job has this name and unique key.");
    if ((e = JOB_DRIVER_DB.get(cx, id, &job, &found)) ||
        (e = audit_write(cx, S("job.create"), in->name, (struct json){0}, audit_json(cx, &JOB, &job))))
        return e;
    return answer_object(cx, an, 201, &JOB, &job);
}

/* The operator names a job only by its id: looks through the organisations, and the server's own jobs, for
 * whose it is. From then on the context works for that organisation. */
static enum err act_for_owner(struct ctx *cx, const struct request *rq) {
    struct list organisations;
    struct uuid id;
    struct job job;
    bool found;
    enum err e = path_id(cx, rq, &id);
    if (e || (e = organisation_list(cx, &organisations)))
        return e;
    const struct organisation *all = organisations.items;
    for (size_t i = 0; i <= organisations.n; i++) {
        cx->actor.org = i < organisations.n ? all[i].id : (struct uuid){0};
        if ((e = JOB_DRIVER_DB.get(cx, id, &job, &found)) || found)
            return e;
    }
    return fail(cx, ERR_NOT_FOUND, "There is no such job.");
}

static enum err operator_retry(struct ctx *cx, struct request *rq, struct answer *an) {
    enum err e = act_for_owner(cx, rq);
    return e ? e : retry(cx, rq, an);
}

static enum err operator_cancel(struct ctx *cx, struct request *rq, struct answer *an) {
    enum err e = act_for_owner(cx, rq);
    return e ? e : cancel(cx, rq, an);
}

static enum err operator_drop(struct ctx *cx, struct request *rq, struct answer *an) {
    enum err e = act_for_owner(cx, rq);
    return e ? e : drop(cx, rq, an);
}

struct job_run {
    struct str name, organisation;
    struct json args;
};
static const struct field JOB_RUN_FIELDS[] = {
    FIELD(struct job_run, name, CREATE | REQUIRED, "The type of job.", .min = 1, .max = 100),
    FIELD(struct job_run, args, CREATE, "Its arguments, an object.", .max = JOB_ARGS_MAX),
    FIELD(struct job_run, organisation, CREATE,
          "For whom, by slug or name; the oldest organisation if not given.", .min = 1, .max = 200),
};
static const struct schema JOB_RUN = SCHEMA(struct job_run, "JobRun", JOB_RUN_FIELDS);

struct job_ran {
    struct str name;
    int64_t milliseconds;
};
static const struct field JOB_RAN_FIELDS[] = {
    FIELD(struct job_ran, name, OUT | REQUIRED, "The type of job."),
    FIELD(struct job_ran, milliseconds, OUT | REQUIRED, "How long it took."),
};
static const struct schema JOB_RAN = SCHEMA(struct job_ran, "JobRan", JOB_RAN_FIELDS);

/* The one named, else the oldest, which owns what names nobody; the server itself while there is none. */
static enum err choose_organisation(struct ctx *cx, struct str name) {
    struct organisation org = {0};
    struct list all;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    if (name.p)
        e = organisation_find(cx, name, &org);
    else if (!(e = organisation_list(cx, &all)) && all.n > 0)
        org = ((const struct organisation *)all.items)[0];
    db_read_end(cx);
    if (!e)
        cx->actor.org = org.id;
    return e;
}

static enum err operator_run(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct job_run *in = rq->in;
    struct runner_setup setup = {.modules = cx->modules->list, .n_modules = cx->modules->n};
    int64_t begun = clock_steady();
    const struct job_type *type = job_type_find(setup.modules, setup.n_modules, in->name);
    enum err e = type && type->of_server ? OK : choose_organisation(cx, in->organisation);
    if (e || (e = runner_foreground(cx, &setup, in->name, in->args.text)))
        return e;
    struct job_ran ran = {in->name, (clock_steady() - begun) / US_PER_MS};
    return answer_object(cx, an, 200, &JOB_RAN, &ran);
}

static const enum err NOT_THERE[] = {ERR_NOT_FOUND, OK};
static const enum err TAKEN[] = {ERR_CONFLICT, OK};
static const enum err NOT_NOW[] = {ERR_NOT_FOUND, ERR_CONFLICT, OK};

const struct route JOB_ROUTES[] = {
    ROUTE(GET, "/api/v1/jobs", READ, AREA_JOBS, NEED_READ, listing_answer,
          "Jobs of the organisation, newest first.", .flags = ROUTE_LIST, .out = &JOB, .listing = &LISTING),
    ROUTE(GET, "/api/v1/jobs/{id}", READ, AREA_JOBS, NEED_READ, get, "One job.", .out = &JOB,
          .errors = NOT_THERE),
    ROUTE(POST, "/api/v1/jobs", WRITE, AREA_JOBS, NEED_WRITE, create,
          "Enqueues a job of a type that may be enqueued by hand.", .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT,
          .in = &NEW_JOB, .in_use = CREATE, .out = &JOB, .body_max = JOB_ARGS_MAX + 4096, .errors = TAKEN),
    ROUTE(
        PATCH_, "/api/v1/jobs/{id}", WRITE, AREA_JOBS, NEED_WRITE, change,
        "Changes the arguments, priority or due time of a job that is not being run: of a dead letter before"
        " it is retried.",
        .in = &CHANGE, .in_use = PATCH, .out = &JOB, .body_max = JOB_ARGS_MAX + 4096, .errors = NOT_NOW),
    ROUTE(POST, "/api/v1/jobs/{id}/cancel", WRITE, AREA_JOBS, NEED_WRITE, cancel,
          "Cancels a job; one that runs is told to break off, and is cancelled when it has.", .out = &JOB,
          .errors = NOT_NOW),
    ROUTE(DELETE, "/api/v1/jobs/{id}", WRITE, AREA_JOBS, NEED_WRITE, drop,
          "Drops a job that is not being run.", .flags = ROUTE_NO_CONTENT, .errors = NOT_NOW),
    ROUTE(POST, "/api/v1/jobs/{id}/retry", WRITE, AREA_JOBS, NEED_WRITE, retry,
          "Runs a dead, cancelled or waiting job at once, with all its attempts before it.", .out = &JOB,
          .errors = NOT_NOW),
    ROUTE(GET, "/operator/jobs", READ, AREA_OPERATOR, NEED_READ, listing_answer,
          "Jobs of all organisations, by organisation and then the newest first.", .flags = ROUTE_LIST,
          .out = &JOB, .listing = &LISTING_ALL),
    ROUTE(POST, "/operator/jobs/{id}/retry", WRITE, AREA_OPERATOR, NEED_WRITE, operator_retry,
          "Runs a dead, cancelled or waiting job of any organisation at once.", .out = &JOB,
          .errors = NOT_NOW),
    ROUTE(POST, "/operator/jobs/{id}/cancel", WRITE, AREA_OPERATOR, NEED_WRITE, operator_cancel,
          "Cancels a job of any organisation.", .out = &JOB, .errors = NOT_NOW),
    ROUTE(DELETE, "/operator/jobs/{id}", WRITE, AREA_OPERATOR, NEED_WRITE, operator_drop,
          "Drops a job of any organisation that is not being run.", .flags = ROUTE_NO_CONTENT,
          .errors = NOT_NOW),
    ROUTE(POST, "/operator/jobs/run", SLOW, AREA_OPERATOR, NEED_WRITE, operator_run,
          "Runs one job at once, without the queue, and waits for its end.", .in = &JOB_RUN, .in_use = CREATE,
          .out = &JOB_RAN, .body_max = JOB_ARGS_MAX + 1024, .errors = NOT_THERE),
};
_Static_assert(sizeof JOB_ROUTES / sizeof JOB_ROUTES[0] == JOB_ROUTES_N, "all routes are counted");
