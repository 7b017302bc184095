#include "core/delivery.h"

#include "base/settings.h"
#include "core/delivery_fields.h"
#include "core/ledger.h"
#include "identity/audit.h"
#include "identity/identity.h"
#include "jobs/driver.h"
#include "net/answer.h"
#include "net/listing.h"

#include "base/banned.h"

#define COUNT_MAX 100000
#define DERIVED_MAX 500
#define CHUNK 200
#define CHUNK_MEMORY ((size_t)64 << 20)

static const struct field LISTED_FIELDS[] = {
    DELIVERY_ARRIVAL,
    DELIVERY_OUTCOME,
    DELIVERY_LINKS,
    FIELD(struct delivery, body_size, OUT | ROW, "How many bytes are kept."),
};
const struct schema DELIVERY_LISTED = SCHEMA(struct delivery, "Delivery", LISTED_FIELDS);

static const struct field ORDER_FIELDS[] = {
    FIELD(struct delivery_order, id, OUT | ROW, "The order's own id."),
    FIELD(struct delivery_order, channel, OUT | ROW, "Where it was sold."),
    FIELD_AS(struct delivery_order, order_id, "order_id", OUT | ROW, "The channel's name for it.",
             .column = "order_ref"),
    FIELD(struct delivery_order, status, OUT | ROW, "What it has come to.", .column = "state"),
    FIELD(struct delivery_order, shipment, OUT | ROW, "The shipment that the delivery speaks of.",
          .column = "shipment_ref"),
};
static const struct schema ORDER = SCHEMA(struct delivery_order, "DeliveryOrder", ORDER_FIELDS);

static const struct field DETAIL_FIELDS[] = {
    DELIVERY_ARRIVAL,
    DELIVERY_OUTCOME,
    DELIVERY_LINKS,
    FIELD(struct delivery, body_size, OUT, "How many bytes are kept."),
    FIELD(struct delivery, headers, OUT, "The headers that came with it and matter: [{name, value}]."),
    FIELD_AS(struct delivery_detail, text, "body", OUT,
             "The bytes as they came, if they are text; see also raw."),
    FIELD(struct delivery_detail, moves, OUT, "The moves that it caused.", .of = &MOVE),
    FIELD(struct delivery_detail, orders, OUT, "The order that it belongs to.", .of = &ORDER),
    FIELD(struct delivery_detail, jobs, OUT, "The job that applies it; none once it is done.", .of = &JOB),
    FIELD(struct delivery_detail, derived, OUT, "What was fetched for it, the first 500.",
          .of = &DELIVERY_LISTED),
};
const struct schema DELIVERY_DETAIL = SCHEMA(struct delivery_detail, "DeliveryDetail", DETAIL_FIELDS);

static const struct field RANGE_FIELDS[] = {
    FIELD(struct replay_range, source, CREATE | OUT, "Only those of this source.", .min = 1, .max = 64),
    FIELD(struct replay_range, state, CREATE | OUT, "Only those in this state.", .one_of = DELIVERY_STATES),
    FIELD(struct replay_range, from, CREATE | OUT, "Received at this time or later."),
    FIELD(struct replay_range, to, CREATE | OUT, "Received before this time; now if not said."),
    FIELD(struct replay_range, preview, CREATE, "Only count them."),
};
static const struct schema RANGE = SCHEMA(struct replay_range, "ReplayRange", RANGE_FIELDS);
static const struct field OPERATOR_RANGE_FIELDS[] = {
    FIELD(struct replay_range, source, CREATE, "Only those of this source.", .min = 1, .max = 64),
    FIELD(struct replay_range, state, CREATE, "Only those in this state.", .one_of = DELIVERY_STATES),
    FIELD(struct replay_range, from, CREATE, "Received at this time or later."),
    FIELD(struct replay_range, to, CREATE, "Received before this time; now if not said."),
    FIELD(struct replay_range, preview, CREATE, "Only count them."),
    FIELD(struct replay_range, organisation, CREATE, "Whose, by name or slug; the oldest's if not said."),
};
static const struct schema OPERATOR_RANGE =
    SCHEMA(struct replay_range, "OperatorReplayRange", OPERATOR_RANGE_FIELDS);
static const struct field STARTED_FIELDS[] = {
    FIELD(struct replay_started, count, OUT | REQUIRED, "How many deliveries the range holds."),
    FIELD(struct replay_started, more, OUT, "There are more than were counted."),
    FIELD(struct replay_started, job_id, OUT, "The job that replays them; null for a preview."),
};
const struct schema REPLAY_STARTED = SCHEMA(struct replay_started, "ReplayStarted", STARTED_FIELDS);

struct counted {
    int64_t n;
};
static const struct field COUNTED_FIELDS[] = {FIELD(struct counted, n, ROW, "How many.")};
static const struct schema COUNTED = SCHEMA(struct counted, "Counted", COUNTED_FIELDS);

struct kept {
    struct uuid id;
    struct instant forgotten_at;
};
static const struct field KEPT_FIELDS[] = {
    FIELD(struct kept, id, ROW, "A delivery."),
    FIELD(struct kept, forgotten_at, ROW, "When its bytes were dropped."),
};
static const struct schema KEPT = SCHEMA(struct kept, "KeptDelivery", KEPT_FIELDS);

enum { NEWEST, OF_STATE, DERIVED, ORDER_OF, COUNT, NEXT, OLD, FORGET, STATEMENTS };
#define LISTED                                                                                    \
    "id, source, event_id, received_at, state, problem, settled_at, request_id, verdict, job_id," \
    " cause_id, conflicts_with, forgotten_at, length(body) AS body_size"
#define LAST "x'ffffffffffffffffffffffffffffffff'"
#define LAST_PG "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid"
#define FIRST "x'00000000000000000000000000000000'"
#define FIRST_PG "'00000000-0000-0000-0000-000000000000'::uuid"
/* $3 cursor, $5 state, $6 source, $7 and $8 the ids of a span of time. */
#define PAGE(last, first)                                                                          \
    " FROM inbox WHERE org_id = $org AND id < COALESCE($3, " last ") AND CAST($4 AS text) IS NULL" \
    " AND (CAST($6 AS text) IS NULL OR source = $6)"                                               \
    " AND id >= COALESCE($7, " first ") AND id < COALESCE($8, " last ")"
#define PAGE_END " ORDER BY id DESC LIMIT $1 OFFSET $2"
#define ANY_STATE " AND (CAST($5 AS text) IS NULL OR state = $5)"
/* $1 state, $2 source, $3 and $4 the ids of a span of time. */
#define SPAN                                                                                               \
    " FROM inbox WHERE org_id = $org AND id > $3 AND id < $4 AND (CAST($1 AS text) IS NULL OR state = $1)" \
    " AND (CAST($2 AS text) IS NULL OR source = $2) AND forgotten_at IS NULL AND conflicts_with IS NULL"

static const struct stmt SQL[STATEMENTS] = {
    [NEWEST] = {"delivery_newest", TENANT, "SELECT " LISTED PAGE(LAST, FIRST) ANY_STATE PAGE_END,
                "SELECT " LISTED PAGE(LAST_PG, FIRST_PG) ANY_STATE PAGE_END, &DELIVERY_LISTED},
    [OF_STATE] = {"delivery_of_state", TENANT, "SELECT " LISTED PAGE(LAST, FIRST) " AND state = $5" PAGE_END,
                  "SELECT " LISTED PAGE(LAST_PG, FIRST_PG) " AND state = $5" PAGE_END, &DELIVERY_LISTED},
    [DERIVED] = {"delivery_derived", TENANT,
                 "SELECT " LISTED " FROM inbox WHERE org_id = $org AND cause_id = $1 ORDER BY id LIMIT $2",
                 NULL, &DELIVERY_LISTED},
    [ORDER_OF] = {"delivery_order", TENANT,
                  "SELECT o.id, o.channel, o.order_ref, o.state, s.shipment_ref FROM shipment s"
                  " JOIN sales_order o ON o.org_id = s.org_id AND o.id = s.order_id"
                  " WHERE s.org_id = $org AND s.shipment_ref = $1 AND"
                  " $2 IN (s.awaiting_id, s.shipped_id, s.cancelled_id, s.voided_id, s.returned_id)",
                  NULL, &ORDER},
    [COUNT] = {"delivery_count", TENANT,
               "SELECT count(*) AS n FROM (SELECT 1 AS one" SPAN " LIMIT $5) AS counted", NULL, &COUNTED},
    [NEXT] = {"delivery_next", TENANT, "SELECT " DELIVERY_COLUMNS SPAN " ORDER BY id LIMIT $5", NULL,
              &DELIVERY},
    [OLD] = {"delivery_old", TENANT,
             "SELECT id, forgotten_at FROM inbox WHERE org_id = $org AND state = 'applied' AND id > $1 AND "
             "id < $2"
             " AND conflicts_with IS NULL ORDER BY id LIMIT $3",
             NULL, &KEPT},
    [FORGET] = {"delivery_forget", TENANT,
                "UPDATE inbox SET body = $2, corrected = NULL, forgotten_at = $3 WHERE org_id = $org"
                " AND id = $1 AND state = 'applied' AND forgotten_at IS NULL",
                NULL, NULL},
};

/* A shipping event is named "<shipment>:<status>". */
static struct str shipment_of(struct str event_id) {
    size_t n = event_id.n;
    while (n > 0 && event_id.p[n - 1] != ':')
        n--;
    return str_sub(event_id, 0, n ? n - 1 : 0);
}

static enum err find(struct ctx *cx, const struct request *rq, struct delivery *d) {
    struct uuid id;
    bool found = false;
    enum err e = uuid_parse(rq->param[0], &id) ? inbox_get(cx, id, d, &found) : OK;
    if (e)
        return e;
    return found ? OK : fail(cx, ERR_NOT_FOUND, "There is no delivery with this id.");
}

static enum err effect(struct ctx *cx, struct delivery_detail *x) {
    struct delivery_order *order = NEW(cx->mem, struct delivery_order);
    struct job *job = NEW(cx->mem, struct job);
    bool has_order = false, has_job = false;
    if (!order || !job)
        return fail(cx, ERR_MEMORY, "The delivery does not fit in memory.");
    enum err e = ledger_of_event(cx, inbox_service(&x->d), inbox_ref(&x->d), &x->moves);
    if (!e)
        e = db_get(cx, &SQL[ORDER_OF], ARGS(A(shipment_of(x->d.event_id)), A(x->d.id)), order, &has_order);
    if (!e && !uuid_is_nil(x->d.job_id))
        e = JOB_DRIVER_DB.get(cx, x->d.job_id, job, &has_job);
    x->orders = (struct list){order, has_order};
    x->jobs = (struct list){job, has_job};
    return e ? e : db_list(cx, &SQL[DERIVED], ARGS(A(x->d.id), A(DERIVED_MAX)), &x->derived);
}

static enum err get(struct ctx *cx, struct request *rq, struct answer *an) {
    struct delivery_detail x = {0};
    enum err e = find(cx, rq, &x.d);
    if (e || (e = effect(cx, &x)))
        return e;
    struct str text = {(const char *)x.d.body.p, x.d.body.n};
    x.d.body_size = (int64_t)x.d.body.n;
    if (!x.d.forgotten_at.us && str_utf8_valid(text) && !memchr(text.p, 0, text.n))
        x.text = text;
    return answer_object(cx, an, 200, &DELIVERY_DETAIL, &x);
}

/* The server says nosniff on every answer; the name keeps a browser from showing what a stranger sent. */
static enum err raw(struct ctx *cx, struct request *rq, struct answer *an) {
    struct delivery d;
    enum err e = find(cx, rq, &d);
    if (e)
        return e;
    if (d.forgotten_at.us)
        return fail(cx, ERR_NOT_FOUND, "The body of this delivery is no longer kept.");
    answer_header(an, S("Content-Disposition"),
                  str_printf(cx->mem, "attachment; filename=\"delivery-%.*s.bin\"", STR_FMT(rq->param[0])));
    return answer_text(cx, an, 200, S("application/octet-stream"),
                       (struct str){(const char *)d.body.p, d.body.n});
}

static enum err replay(struct ctx *cx, struct request *rq, struct answer *an) {
    struct delivery d;
    enum err e = find(cx, rq, &d);
    if (e || (e = inbox_replay(cx, &d)) ||
        (e = audit_write(cx, S("delivery.replay"), rq->param[0], (struct json){0}, (struct json){0})))
        return e;
    return get(cx, rq, an);
}

static struct args span(const struct replay_range *r, struct uuid after, struct arg v[static 5],
                        int64_t limit) {
    v[0] = A(r->state);
    v[1] = A(r->source);
    v[2] = (struct arg){.kind = ARG_UUID, .u = after}; /* nil as well: below every id */
    v[3] = A(uuid_first(r->to));
    v[4] = A(limit);
    return (struct args){v, 5};
}

/* The job `inbox.replay`: hands a range to its jobs, some at a time, in the order of arrival. Run again, it
 * begins at the front: what has been applied is looked at once more and nothing moves. */
struct chunk {
    const struct replay_range *range;
    struct uuid after;
    size_t n;
};
static enum err replay_chunk(struct ctx *cx, void *arg) {
    struct chunk *c = arg;
    struct arg v[5];
    struct list found;
    enum err e = db_list(cx, &SQL[NEXT], span(c->range, c->after, v, CHUNK), &found);
    const struct delivery *d = found.items;
    for (size_t i = 0; !e && i < found.n; i++)
        e = inbox_replay(cx, &d[i]);
    if (!e && (c->n = found.n))
        c->after = d[found.n - 1].id;
    return e;
}
/* Chunk by chunk up to the end, each with memory of its own: a range may hold more than a job may take. */
static enum err each_chunk(struct ctx *cx, const struct job *job, struct chunk *c,
                           enum err (*run)(struct ctx *cx, void *chunk), struct str done) {
    struct ctx own = *cx;
    enum err e = OK;
    if (!(own.mem = arena_new(CHUNK_MEMORY)))
        return fail(cx, ERR_MEMORY, "There is not enough memory for a part of the deliveries.");
    for (int64_t n = 0; !e && c->n == CHUNK; n += (int64_t)c->n, arena_reset(own.mem)) {
        struct chunk again = *c; /* a closure may run twice */
        job_progress(job, n, 0, done);
        e = job_cancelled(job) ? fail(&own, ERR_UNAVAILABLE, "The job was broken off.")
                               : job_write(&own, job, run, &again);
        if (!e)
            *c = again;
    }
    if (e)
        (void)fail(cx, e, "%.*s", STR_FMT(own.fault.message));
    arena_free(own.mem);
    return e;
}
static enum err replay_range(struct ctx *cx, const struct job *job) {
    struct replay_range r;
    enum err e = schema_decode(cx, &RANGE, CREATE, REFUSE_UNKNOWN, job->args.text, &r, NULL);
    if (e)
        return e;
    struct chunk c = {.range = &r, .after = uuid_first(r.from), .n = CHUNK};
    if (!r.to.us)
        r.to = job->created_at;
    return each_chunk(cx, job, &c, replay_chunk, S("deliveries handed to their jobs"));
}

/* The job `inbox.forget`: of what was applied DELIVERY_BODY_DAYS ago, all stays but the bytes. What has been
 * forgotten is passed over by reading alone: only what is left to do takes a turn of the writer. */
struct forgetting {
    struct uuid after;
    struct instant before;
    struct list found; /* of struct kept */
    int64_t n;
};
static enum err find_old(struct ctx *cx, struct forgetting *f) {
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = db_list(cx, &SQL[OLD],
                ARGS(((struct arg){.kind = ARG_UUID, .u = f->after}), A(uuid_first(f->before)), A(CHUNK)),
                &f->found);
    db_read_end(cx);
    return e;
}
static enum err drop_bodies(struct ctx *cx, void *arg) {
    static const unsigned char NOTHING[1];
    const struct forgetting *f = arg;
    const struct kept *k = f->found.items;
    struct steps steps = {.cx = cx};
    for (size_t i = 0; i < f->found.n; i++)
        if (!k[i].forgotten_at.us)
            steps_add(&steps, &SQL[FORGET], ARGS(A(k[i].id), A(((struct bytes){NOTHING, 0})), A(cx->now)),
                      NULL);
    return steps_run(&steps);
}
static enum err forget_some(struct ctx *cx, const struct job *job, struct forgetting *f) {
    enum err e = job_cancelled(job) ? fail(cx, ERR_UNAVAILABLE, "The job was broken off.") : find_old(cx, f);
    const struct kept *k = f->found.items;
    int64_t left = 0;
    for (size_t i = 0; !e && i < f->found.n; i++)
        left += !k[i].forgotten_at.us;
    if (!e && left)
        e = job_write(cx, job, drop_bodies, f);
    if (!e && f->found.n)
        f->after = k[f->found.n - 1].id;
    f->n += left;
    return e;
}
static enum err forget(struct ctx *cx, const struct job *job) {
    int64_t days = setting_int(cx->modules->settings, "DELIVERY_BODY_DAYS");
    struct forgetting f = {.before = {cx->now.us - days * 24 * 3600 * US_PER_S}, .found = {.n = CHUNK}};
    struct ctx own = *cx;
    enum err e = OK;
    if (!days)
        return OK;
    if (!(own.mem = arena_new(CHUNK_MEMORY)))
        return fail(cx, ERR_MEMORY, "There is not enough memory for a part of the deliveries.");
    for (; !e && f.found.n == CHUNK; arena_reset(own.mem)) {
        e = forget_some(&own, job, &f);
        job_progress(job, f.n, 0, S("bodies dropped"));
    }
    if (e)
        (void)fail(cx, e, "%.*s", STR_FMT(own.fault.message));
    arena_free(own.mem);
    return e;
}

static enum err count(struct ctx *cx, const struct replay_range *r, struct replay_started *out) {
    struct arg v[5];
    struct counted counted = {0};
    bool found;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = db_get(cx, &SQL[COUNT], span(r, uuid_first(r->from), v, COUNT_MAX + 1), &counted, &found);
    db_read_end(cx);
    out->more = counted.n > COUNT_MAX;
    out->count = out->more ? COUNT_MAX : counted.n;
    return e;
}

struct start {
    const struct replay_range *range;
    struct uuid job_id;
};
static enum err start(struct ctx *cx, void *arg) {
    const struct start *s = arg;
    struct json args = audit_json(cx, &RANGE, s->range);
    if (!args.text.p)
        return fail(cx, ERR_MEMORY, "The range does not fit in memory.");
    enum err e = jobs_enqueue(cx, &(struct job_new){.name = "inbox.replay", .args = args, .id = s->job_id});
    return e ? e : audit_write(cx, S("delivery.replay"), S("range"), (struct json){0}, args);
}

static enum err replay_many(struct ctx *cx, struct request *rq, struct answer *an) {
    struct replay_range r = *(const struct replay_range *)rq->in;
    struct replay_started out = {0};
    if (!r.to.us)
        r.to.us = cx->now.us + US_PER_MS; /* what arrived in this very millisecond belongs to it */
    if (r.from.us >= r.to.us)
        return fail_field(cx, S("from"), "must be before to");
    enum err e = count(cx, &r, &out);
    if (e || r.preview || out.count == 0)
        return e ? e : answer_object(cx, an, 200, &REPLAY_STARTED, &out);
    struct start s = {&r, uuid_new(cx->now)};
    if ((e = db_write_wait(cx, start, &s)))
        return e;
    out.job_id = s.job_id;
    return answer_object(cx, an, 200, &REPLAY_STARTED, &out);
}

/* The operator names an organisation, or means the oldest. */
static enum err act_for(struct ctx *cx, struct str organisation) {
    struct organisation org;
    struct list all;
    enum err e = organisation.p ? organisation_find(cx, organisation, &org) : organisation_list(cx, &all);
    if (e)
        return e;
    if (!organisation.p && all.n == 0)
        return fail(cx, ERR_NOT_FOUND, "There is no organisation yet.");
    cx->actor.org = organisation.p ? org.id : ((const struct organisation *)all.items)[0].id;
    return OK;
}

static enum err operator_list(struct ctx *cx, struct request *rq, struct answer *an) {
    struct str organisation;
    enum err e = request_query(cx, rq, S("organisation"), &organisation);
    if (e || (e = act_for(cx, organisation)))
        return e;
    return listing_answer(cx, rq, an);
}

/* By its id alone, whosever it is. */
static enum err act_for_owner(struct ctx *cx, const struct request *rq) {
    struct list all;
    struct delivery d;
    enum err e = organisation_list(cx, &all);
    for (size_t i = 0; !e && i < all.n; i++) {
        cx->actor.org = ((const struct organisation *)all.items)[i].id;
        if ((e = find(cx, rq, &d)) != ERR_NOT_FOUND)
            return e;
        fault_clear(cx);
        e = OK;
    }
    return e ? e : fail(cx, ERR_NOT_FOUND, "There is no delivery with this id.");
}
static enum err operator_get(struct ctx *cx, struct request *rq, struct answer *an) {
    enum err e = act_for_owner(cx, rq);
    return e ? e : get(cx, rq, an);
}
static enum err operator_replay(struct ctx *cx, struct request *rq, struct answer *an) {
    enum err e = act_for_owner(cx, rq);
    return e ? e : replay(cx, rq, an);
}
static enum err operator_replay_many(struct ctx *cx, struct request *rq, struct answer *an) {
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = act_for(cx, ((const struct replay_range *)rq->in)->organisation);
    db_read_end(cx);
    return e ? e : replay_many(cx, rq, an);
}

struct filters {
    struct str state, source, organisation;
    struct instant received_at;
};
static const struct field FILTER_FIELDS[] = {
    FIELD(struct filters, state, 0, "pending, applied, exception or ignored.", .one_of = DELIVERY_STATES),
    FIELD(struct filters, source, 0, "Which service sent it.", .max = 64),
    FIELD(struct filters, received_at, 0, "When it arrived, to the millisecond.", .column = "id"),
    FIELD(struct filters, organisation, 0, "Whose, by name or slug; the oldest's if not said.", .max = 200),
};
static const struct listing_filter FILTERS[] = {
    {.name = "state", .short_name = "state", .field = &FILTER_FIELDS[0], .st = &SQL[OF_STATE]},
    {.name = "source", .short_name = "source", .field = &FILTER_FIELDS[1]},
    {.name = "received_at", .op = "gte", .field = &FILTER_FIELDS[2]},
    {.name = "received_at", .op = "lt", .field = &FILTER_FIELDS[2]},
};
static const struct listing_sort SORTS[] = {{"-received_at", &SQL[NEWEST], "id", NULL}};
static const struct listing LISTING = {&DELIVERY_LISTED, SORTS, 1, FILTERS,
                                       sizeof(FILTERS) / sizeof(FILTERS[0])};
static const struct query OF_ORGANISATION[] = {{"organisation", &FILTER_FIELDS[3]}, {NULL, NULL}};

static const enum err NOT_AGAIN[] = {ERR_NOT_FOUND, ERR_CONFLICT, OK};
static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/deliveries", READ, AREA_JOBS, NEED_READ, listing_answer,
          "Lists what came in from outside, newest first, with what became of it.", .flags = ROUTE_LIST,
          .out = &DELIVERY_LISTED, .listing = &LISTING),
    ROUTE(GET, "/api/v1/deliveries/{id}", READ, AREA_JOBS, NEED_READ, get,
          "Shows a delivery with its bytes, how it was proven, and what it led to.", .out = &DELIVERY_DETAIL),
    ROUTE(GET, "/api/v1/deliveries/{id}/raw", READ, AREA_JOBS, NEED_READ, raw,
          "The bytes of a delivery exactly as they came.", .flags = ROUTE_RAW,
          .out_type = "application/octet-stream"),
    ROUTE(POST, "/api/v1/deliveries/{id}/replay", WRITE, AREA_JOBS, NEED_WRITE, replay,
          "Applies a delivery again; what it has moved already does not move twice.", .out = &DELIVERY_DETAIL,
          .errors = NOT_AGAIN),
    ROUTE(POST, "/api/v1/deliveries/replay", SLOW, AREA_JOBS, NEED_WRITE, replay_many,
          "Applies all deliveries of a range again by a job, or counts them.", .in = &RANGE, .in_use = CREATE,
          .out = &REPLAY_STARTED),
    ROUTE(GET, "/operator/deliveries", READ, AREA_OPERATOR, NEED_READ, operator_list,
          "Lists the deliveries of an organisation, newest first.", .flags = ROUTE_LIST,
          .out = &DELIVERY_LISTED, .listing = &LISTING, .query = OF_ORGANISATION),
    ROUTE(GET, "/operator/deliveries/{id}", READ, AREA_OPERATOR, NEED_READ, operator_get,
          "Shows a delivery of any organisation.", .out = &DELIVERY_DETAIL),
    ROUTE(POST, "/operator/deliveries/{id}/replay", WRITE, AREA_OPERATOR, NEED_WRITE, operator_replay,
          "Applies a delivery of any organisation again.", .out = &DELIVERY_DETAIL, .errors = NOT_AGAIN),
    ROUTE(POST, "/operator/deliveries/replay", SLOW, AREA_OPERATOR, NEED_WRITE, operator_replay_many,
          "Applies all deliveries of a range again by a job, or counts them.", .in = &OPERATOR_RANGE,
          .in_use = CREATE, .out = &REPLAY_STARTED),
};

static const struct job_type JOBS[] = {
    {.name = "inbox.replay",
     .mode = JOB_THREAD,
     .run = replay_range,
     .args = &RANGE,
     .keep_done = true,
     .doc = "Applies the deliveries of a range again."},
    {.name = "inbox.forget",
     .mode = JOB_THREAD,
     .run = forget,
     .schedule = "23 3 * * *",
     .doc = "Drops the bodies of deliveries that were applied DELIVERY_BODY_DAYS ago."},
};

static const struct setting SETTINGS[] = {
    {.name = "DELIVERY_BODY_DAYS",
     .type = SETTING_INT,
     .fallback = "0",
     .min = 0,
     .max = 36500,
     .doc = "After how many days the bytes of an applied delivery are dropped; what it led to stays. 0 keeps "
            "them."},
};

const struct module DELIVERY_MODULE = {.name = "deliveries",
                                       TABLE(routes, ROUTES),
                                       TABLE(stmts, SQL),
                                       TABLE(jobs, JOBS),
                                       TABLE(settings, SETTINGS),
                                       .commands = DELIVERY_COMMANDS,
                                       .n_commands = DELIVERY_COMMANDS_N};
