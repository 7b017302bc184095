#include "core/inbox.h"

#include "core/item.h"
#include "net/listing.h"

#include <string.h>

#include "base/banned.h"

static const char *const STATES[] = {"pending", "applied", "exception", "ignored", NULL};

static const struct field FIELDS[] = {
    FIELD(struct delivery, id, OUT | ROW, "The delivery's own id."),
    FIELD(struct delivery, source, OUT | ROW, "Which service sent it."),
    FIELD(struct delivery, event_id, OUT | ROW, "The event's name; a second delivery of it changes nothing."),
    FIELD(struct delivery, received_at, OUT | ROW, "When it arrived."),
    FIELD(struct delivery, fingerprint, ROW,
          "Tells apart deliveries of one event that say different things."),
    FIELD(struct delivery, body, ROW, "The bytes as they came."),
    FIELD(struct delivery, state, OUT | ROW, "pending, applied, exception (needs a look) or ignored.",
          .one_of = STATES),
    FIELD(struct delivery, problem, OUT | ROW, "Why it is an exception, or why it has no effect."),
    FIELD(struct delivery, settled_at, OUT | ROW, "When that was decided."),
    FIELD(struct delivery, request_id, OUT | ROW, "The request that brought it."),
};
const struct schema DELIVERY = SCHEMA(struct delivery, "Delivery", FIELDS);

/* The argument of the job that applies one delivery. */
struct apply_args {
    struct uuid id;
};
static const struct field APPLY_FIELDS[] = {
    FIELD(struct apply_args, id, CREATE | OUT | ROW | REQUIRED, "The delivery's id.", .column = "inbox_id")};
static const struct schema APPLY = SCHEMA(struct apply_args, "ApplyDelivery", APPLY_FIELDS);

enum { INSERT, GET_ONE, BY_EVENT, NEWEST, SETTLE, LOCK_SKU, WAIT, WAITING, WAITED };
#define COLUMNS "id, source, event_id, received_at, fingerprint, body, state, problem, settled_at, request_id"
static const struct stmt SQL[] = {
    [INSERT] = {"inbox_insert", TENANT,
                "INSERT INTO inbox (org_id, " COLUMNS
                ") VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
                " ON CONFLICT (org_id, source, event_id) DO NOTHING",
                NULL, NULL},
    [GET_ONE] = {"inbox_get", TENANT, "SELECT " COLUMNS " FROM inbox WHERE org_id = $org AND id = $1", NULL,
                 &DELIVERY},
    [BY_EVENT] = {"inbox_by_event", TENANT,
                  "SELECT " COLUMNS " FROM inbox WHERE org_id = $org AND source = $1 AND event_id = $2", NULL,
                  &DELIVERY},
    [NEWEST] = {"inbox_newest", TENANT,
                "SELECT " COLUMNS
                " FROM inbox WHERE org_id = $org AND id < COALESCE($3, x'ffffffffffffffffffffffffffffffff')"
                " AND CAST($4 AS text) IS NULL AND (CAST($5 AS text) IS NULL OR state = $5)"
                " AND (CAST($6 AS text) IS NULL OR source = $6) ORDER BY id DESC LIMIT $1 OFFSET $2",
                "SELECT " COLUMNS " FROM inbox WHERE org_id = $org"
                " AND id < COALESCE($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)"
                " AND CAST($4 AS text) IS NULL AND (CAST($5 AS text) IS NULL OR state = $5)"
                " AND (CAST($6 AS text) IS NULL OR source = $6) ORDER BY id DESC LIMIT $1 OFFSET $2",
                &DELIVERY},
    [SETTLE] = {"inbox_settle", TENANT,
                "UPDATE inbox SET state = $2, problem = $3, settled_at = $4 WHERE org_id = $org AND id = $1",
                NULL, NULL},
    [LOCK_SKU] = {"inbox_lock_sku", TENANT,
                  "INSERT INTO inbox_sku (org_id, sku, locked_at) VALUES ($org, $1, $2)"
                  " ON CONFLICT (org_id, sku) DO UPDATE SET locked_at = excluded.locked_at",
                  NULL, NULL},
    [WAIT] = {"inbox_wait", TENANT,
              "INSERT INTO inbox_waiting (org_id, sku, inbox_id) VALUES ($org, $1, $2)"
              " ON CONFLICT (org_id, sku, inbox_id) DO NOTHING",
              NULL, NULL},
    [WAITING] = {"inbox_waiting", TENANT,
                 "SELECT inbox_id FROM inbox_waiting WHERE org_id = $org AND sku = $1", NULL, &APPLY},
    [WAITED] = {"inbox_waited", TENANT, "DELETE FROM inbox_waiting WHERE org_id = $org AND sku = $1", NULL,
                NULL},
};

static enum err enqueue(struct ctx *cx, struct uuid id) {
    struct apply_args a = {id};
    struct buf args = buf_new(cx->mem, 128);
    schema_encode(&APPLY, OUT, &a, &args);
    if (args.failed)
        return fail(cx, ERR_MEMORY, "The job's arguments do not fit.");
    return jobs_enqueue(cx, &(struct job_new){.name = "inbox.apply", .args = {buf_str(&args)}});
}

static bool same(const struct delivery *a, const struct delivery *b) {
    return a->fingerprint.n == b->fingerprint.n &&
           memcmp(a->fingerprint.p, b->fingerprint.p, a->fingerprint.n) == 0;
}

static enum err insert(struct ctx *cx, struct delivery *d, bool *inserted) {
    d->id = uuid_new(cx->now);
    d->received_at = cx->now;
    d->request_id = cx->request_id;
    int64_t changed;
    enum err e = db_exec(cx, &SQL[INSERT], args_of(cx, &DELIVERY, d, ARGS()), &changed);
    if (!e)
        *inserted = changed == 1;
    return e;
}

/* Beside the event that is known, under a name of its own, for a person to look at. */
static enum err keep_different(struct ctx *cx, struct delivery *d, enum received *out) {
    struct str hex = hex_encode(cx->mem, (struct bytes){d->fingerprint.p, 8});
    d->event_id = str_printf(cx->mem, "%.*s#%.*s", STR_FMT(d->event_id), STR_FMT(hex));
    d->state = S("exception");
    d->problem = S("The same shipment and status came before with other content; this one has no effect.");
    d->settled_at = cx->now;
    bool inserted;
    enum err e = insert(cx, d, &inserted);
    if (!e)
        *out = inserted ? DIFFERENT : DUPLICATE;
    return e;
}

static enum err find(struct ctx *cx, const struct delivery *d, struct delivery *known, bool *found) {
    return db_get(cx, &SQL[BY_EVENT], ARGS(A(d->source), A(d->event_id)), known, found);
}

enum err inbox_put(struct ctx *cx, struct delivery *d, enum received *out) {
    struct delivery known;
    bool inserted, found;
    d->state = S("pending");
    enum err e = insert(cx, d, &inserted);
    if (e)
        return e;
    if (inserted) {
        *out = RECEIVED;
        return enqueue(cx, d->id);
    }
    if ((e = find(cx, d, &known, &found)))
        return e;
    if (!found || same(d, &known)) {
        *out = DUPLICATE;
        return OK;
    }
    return keep_different(cx, d, out);
}

enum err inbox_known(struct ctx *cx, const struct delivery *d, enum received *out) {
    struct delivery known;
    bool found;
    enum err e = find(cx, d, &known, &found);
    if (!e)
        *out = !found ? RECEIVED : same(d, &known) ? DUPLICATE : DIFFERENT;
    return e;
}

enum err inbox_get(struct ctx *cx, struct uuid id, struct delivery *out, bool *found) {
    return db_get(cx, &SQL[GET_ONE], ARGS(A(id)), out, found);
}

void inbox_settle(struct steps *steps, struct uuid id, struct str state, struct str problem) {
    steps_add(steps, &SQL[SETTLE], ARGS(A(id), A(state), A(problem), A(steps->cx->now)), NULL);
}

static enum err lock_sku(struct ctx *cx, struct str sku) {
    return db_exec(cx, &SQL[LOCK_SKU], ARGS(A(sku), A(cx->now)), NULL);
}

enum err inbox_wait(struct ctx *cx, struct uuid id, struct str sku, bool *come) {
    struct item it;
    enum err e = lock_sku(cx, sku);
    if (e || (e = item_find(cx, sku, &it, come)) || *come)
        return e;
    return db_exec(cx, &SQL[WAIT], ARGS(A(sku), A(id)), NULL);
}

enum err inbox_wake_waiting(struct ctx *cx, struct str sku) {
    struct list waiting;
    enum err e = lock_sku(cx, sku);
    if (e || (e = db_list(cx, &SQL[WAITING], ARGS(A(sku)), &waiting)) || waiting.n == 0)
        return e;
    const struct apply_args *rows = waiting.items;
    for (size_t i = 0; i < waiting.n; i++)
        if ((e = enqueue(cx, rows[i].id)))
            return e;
    return db_exec(cx, &SQL[WAITED], ARGS(A(sku)), NULL);
}

/* What the jobs name, in one round trip. A delivery that is gone or settled needs nothing more: a job may
 * come twice. */
static enum err load(struct ctx *cx, const struct job *jobs, size_t n, struct delivery **out, size_t *open) {
    struct steps steps = {.cx = cx};
    struct delivery *d = NEW_N(cx->mem, struct delivery, n);
    struct apply_args a;
    enum err e = OK;
    if (!d)
        return fail(cx, ERR_MEMORY, "The deliveries do not fit in memory.");
    for (size_t i = 0; i < n; i++) {
        if ((e = schema_decode(cx, &APPLY, CREATE, REFUSE_UNKNOWN, jobs[i].args.text, &a, NULL)))
            return e;
        steps_add(&steps, &SQL[GET_ONE], ARGS(A(a.id)), &d[i]);
    }
    if ((e = steps_run(&steps)))
        return e;
    *open = 0;
    for (size_t i = 0; i < n; i++)
        if (str_eq(d[i].state, S("pending")) || str_eq(d[i].state, S("exception")))
            out[(*open)++] = &d[i];
    return OK;
}

static const struct intake_source *source_of(const struct ctx *cx, const struct delivery *d) {
    for (size_t m = 0; m < cx->modules->n; m++)
        for (size_t i = 0; i < cx->modules->list[m]->n_sources; i++)
            if (str_eq(d->source, str_of(cx->modules->list[m]->sources[i].name)))
                return &cx->modules->list[m]->sources[i];
    return NULL;
}

/* The job `inbox.apply`: neighbours of one source together. */
static enum err apply_all(struct ctx *cx, const struct job *jobs, size_t n) {
    struct delivery **open = NEW_N(cx->mem, struct delivery *, n);
    size_t n_open = 0, lot;
    if (!open)
        return fail(cx, ERR_MEMORY, "The deliveries do not fit in memory.");
    enum err e = load(cx, jobs, n, open, &n_open);
    for (size_t i = 0; !e && i < n_open; i += lot) {
        const struct intake_source *source = source_of(cx, open[i]);
        if (!source)
            return fail(cx, ERR_INVALID, "Nothing here applies deliveries from %.*s.",
                        STR_FMT(open[i]->source));
        for (lot = 1; i + lot < n_open && str_eq(open[i + lot]->source, open[i]->source); lot++)
            ;
        e = source->apply(cx, open + i, lot);
    }
    return e;
}

static enum err apply(struct ctx *cx, const struct job *job) { return apply_all(cx, job, 1); }

static enum err get(struct ctx *cx, struct request *rq, struct answer *an) {
    struct uuid id;
    struct delivery d;
    bool found = false;
    enum err e = OK;
    if (uuid_parse(rq->param[0], &id))
        e = db_get(cx, &SQL[GET_ONE], ARGS(A(id)), &d, &found);
    if (e)
        return e;
    if (!found)
        return fail(cx, ERR_NOT_FOUND, "There is no delivery with this id.");
    return answer_object(cx, an, 200, &DELIVERY, &d);
}

static const struct job_type JOBS[] = {
    {.name = "inbox.apply",
     .mode = JOB_CLOSURE,
     .run = apply,
     .run_all = apply_all,
     .batch = 32,
     .doc = "Applies one delivery of the inbox."},
};

static const struct listing_sort SORTS[] = {{"-received_at", &SQL[NEWEST], "id", NULL}};
static const struct listing_filter FILTERS[] = {{"state", NULL, NULL, &FIELDS[6], NULL},
                                                {"source", NULL, NULL, &FIELDS[1], NULL}};
static const struct listing LISTING = {&DELIVERY, SORTS, 1, FILTERS, 2};

static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/deliveries", READ, AREA_JOBS, NEED_READ, listing_answer,
          "Lists what came in from outside, newest first, with what became of it.", .flags = ROUTE_LIST,
          .out = &DELIVERY, .listing = &LISTING),
    ROUTE(GET, "/api/v1/deliveries/{id}", READ, AREA_JOBS, NEED_READ, get, "Shows a delivery.",
          .out = &DELIVERY),
};

const struct module INBOX_MODULE = {
    .name = "inbox", TABLE(routes, ROUTES), TABLE(stmts, SQL), TABLE(jobs, JOBS)};
