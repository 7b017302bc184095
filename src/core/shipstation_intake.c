/* Thin payloads: what they say, and the job that fetches what they name. */
#include "base/settings.h"
#include "core/shipstation.h"
#include "core/shipstation_statements.h"

#include "base/banned.h"

#define PAGE_SIZE 100

static const struct field NOTICE_FIELDS[] = {
    FIELD(struct shipstation_notice, resource_url, CREATE | REQUIRED, "What to fetch.", .min = 1, .max = 500),
    FIELD(struct shipstation_notice, resource_type, CREATE | REQUIRED, "What has happened.", .min = 1,
          .max = 100),
};
const struct schema SHIPSTATION_NOTICE =
    SCHEMA(struct shipstation_notice, "ShipStationNotice", NOTICE_FIELDS);

static struct str base_of(const struct ctx *cx) {
    struct str base = setting_text(cx->modules->settings, "SHIPSTATION_BASE_URL");
    return base.n ? base : (struct str){0};
}

/* OK: list says of what. */
static enum err check_resource(struct ctx *cx, bool v2, struct str url, enum shipstation_list *list) {
    struct str problem = {0};
    bool good = v2 ? shipstation_v2_resource(cx->mem, base_of(cx), url, list, &problem)
                   : shipstation_resource(cx->mem, base_of(cx), url, list, &problem);
    return good ? OK : fail_field(cx, S("resource_url"), "%.*s", STR_FMT(problem));
}

enum err shipstation_notice_read(struct ctx *cx, bool is_signed, struct str body,
                                 struct shipstation_notice *out, struct str *source) {
    enum shipstation_list list;
    struct str problem = {0};
    enum err e = schema_decode(cx, &SHIPSTATION_NOTICE, CREATE, IGNORE_UNKNOWN, body, out, NULL);
    if (e)
        return e;
    bool v2 = is_signed && shipstation_v2_resource(cx->mem, base_of(cx), out->resource_url, &list, &problem);
    *source = v2 ? SHIPSTATION_V2 : SHIPSTATION_V1;
    return v2 ? OK : check_resource(cx, false, out->resource_url, &list);
}

struct fetch_args {
    struct uuid id;
};
static const struct field FETCH_FIELDS[] = {
    FIELD(struct fetch_args, id, CREATE | OUT | REQUIRED, "The delivery whose resource is fetched.")};
static const struct schema FETCH = SCHEMA(struct fetch_args, "ShipStationFetch", FETCH_FIELDS);

static bool is_v2(const struct delivery *d) { return str_eq(d->source, SHIPSTATION_V2); }
static struct str text_of(const struct delivery *d) {
    return (struct str){(const char *)d->body.p, d->body.n};
}

/* What a delivery asks for, or why it has no effect. */
static enum err read_delivery(struct ctx *cx, const struct delivery *d, struct shipstation_notice *notice,
                              enum shipstation_list *list) {
    enum err e = schema_decode(cx, &SHIPSTATION_NOTICE, CREATE, IGNORE_UNKNOWN, text_of(d), notice, NULL);
    return e ? e : check_resource(cx, is_v2(d), notice->resource_url, list);
}

static enum err enqueue_fetch(struct ctx *cx, struct uuid id) {
    struct fetch_args a = {id};
    char key[36];
    struct buf args = buf_new(cx->mem, 128);
    schema_encode(&FETCH, OUT, &a, &args);
    uuid_format(id, key);
    if (args.failed)
        return fail(cx, ERR_MEMORY, "The job's arguments do not fit.");
    return jobs_enqueue(cx, &(struct job_new){.name = "shipstation.fetch",
                                              .args = {buf_str(&args)},
                                              .unique_key = {key, sizeof(key)}});
}

/* The job inbox.apply: fetching takes long, so it is left to a job of its own. */
static enum err apply(struct ctx *cx, struct delivery *const *deliveries, size_t n) {
    struct steps steps = {.cx = cx};
    struct shipstation_notice notice;
    enum err e = OK;
    for (size_t i = 0; !e && i < n; i++) {
        enum shipstation_list list;
        if (read_delivery(cx, deliveries[i], &notice, &list)) {
            struct str why = cx->fault.n ? cx->fault.problems[0].problem : cx->fault.message;
            inbox_settle(&steps, deliveries[i]->id, S("exception"),
                         str_printf(cx->mem, "resource_url %.*s.", STR_FMT(why)));
            fault_clear(cx);
        } else {
            /* Tried again: it waits until the fetch has an answer, and is no exception as long. */
            if (str_eq(deliveries[i]->state, S("exception")))
                inbox_give_job(&steps, deliveries[i]->id, deliveries[i]->job_id);
            e = enqueue_fetch(cx, deliveries[i]->id);
        }
    }
    return e || !steps.n ? e : steps_run(&steps);
}

struct outcome {
    struct uuid id;
    struct str state, problem;
};

static enum err settle(struct ctx *cx, void *arg) {
    const struct outcome *o = arg;
    struct steps steps = {.cx = cx};
    inbox_settle(&steps, o->id, o->state, o->problem);
    return steps_run(&steps);
}

static enum err load(struct ctx *cx, struct uuid id, struct delivery *d, bool *open) {
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = inbox_to_apply(cx, id, d, open);
    db_read_end(cx);
    *open = *open && (str_eq(d->state, S("pending")) || str_eq(d->state, S("exception")));
    return e;
}

static enum err require_key(struct ctx *cx, const struct shipstation *service, bool v2) {
    if (v2 ? !service->v2_key.p : !service->key.p)
        return fail(cx, ERR_USAGE, "%s is not set for this organisation.",
                    v2 ? "SHIPSTATION_V2_API_KEY" : "SHIPSTATION_API_KEY");
    return OK;
}

/* gap: it stands for a record that could not be read, and again one could not. */
static enum err walk(struct ctx *cx, const struct job *job, const struct delivery *d, bool *gap) {
    struct shipstation service;
    struct shipstation_notice notice;
    struct shipstation_walk w = {.service = &service, .size = PAGE_SIZE, .cause = d->id};
    enum err e = read_delivery(cx, d, &notice, &w.list);
    if (e || (e = shipstation_find(cx, job, &service)) || (e = require_key(cx, &service, is_v2(d))))
        return e;
    w.url = notice.resource_url;
    e = shipstation_walk(cx, job, &w);
    *gap = w.gaps > 0 && str_eq(notice.resource_type, SHIPSTATION_GAP);
    return e;
}

/* What cannot succeed stands at the delivery, where a person looks and replays. */
static enum err fetch(struct ctx *cx, const struct job *job) {
    struct fetch_args a;
    struct delivery d;
    bool open = false, gap = false;
    enum err e = schema_decode(cx, &FETCH, CREATE, REFUSE_UNKNOWN, job->args.text, &a, NULL);
    if (e || (e = load(cx, a.id, &d, &open)) || !open)
        return e;
    struct outcome o = {a.id, S("applied"), {0}};
    if (!(e = walk(cx, job, &d, &gap)) && gap) {
        o.state = S("exception");
        o.problem =
            str_printf(cx->mem, "ShipStation still answers with status 500: %.*s.", STR_FMT(d.event_id));
    }
    if (e) {
        if (err_info(e)->retry == RETRY && job->attempts < job->attempts_max)
            return e;
        o.state = S("exception");
        o.problem = str_dup(cx->mem, cx->fault.n ? cx->fault.problems[0].problem : cx->fault.message);
        fault_clear(cx);
    }
    cx->now = clock_now(cx->clock);
    return job_write(cx, job, settle, &o);
}

static const struct intake_source SOURCES[] = {
    {"shipstation-v1", apply}, {"shipstation-v2", apply}, {"shipstation-record", shipstation_apply_records}};

static const struct job_type JOBS[] = {
    {.name = "shipstation.fetch",
     .mode = JOB_THREAD,
     .run = fetch,
     .args = &FETCH,
     .attempts_max = 16,
     .time_limit_us = 20 * 60 * US_PER_S,
     .doc = "Fetches what a webhook of ShipStation names, and takes its shipments."},
};

const struct module SHIPSTATION_INTAKE_MODULE = {.name = "shipstation_intake",
                                                 .stmts = &SHIPSTATION_ORDER_OF,
                                                 .n_stmts = 1,
                                                 TABLE(jobs, JOBS),
                                                 TABLE(sources, SOURCES)};
