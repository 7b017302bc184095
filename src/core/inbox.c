#include "core/inbox.h"

#include "base/json.h"
#include "core/delivery_fields.h"
#include "core/exception.h"
#include "core/item.h"
#include "jobs/driver.h"

#include <string.h>

#include "base/banned.h"

const char *const DELIVERY_STATES[] = {"pending", "applied", "exception", "ignored", NULL};

static const struct field FIELDS[] = {
    DELIVERY_ARRIVAL,
    FIELD(struct delivery, fingerprint, ROW,
          "Tells apart deliveries of one event that say different things."),
    FIELD(struct delivery, body, ROW, "The bytes as they came."),
    DELIVERY_OUTCOME,
    FIELD(struct delivery, headers, ROW, "Headers that came with it."),
    DELIVERY_LINKS,
};
const struct schema DELIVERY = SCHEMA(struct delivery, "StoredDelivery", FIELDS);

/* The argument of the job that applies one delivery. */
struct apply_args {
    struct uuid id;
};
static const struct field APPLY_FIELDS[] = {
    FIELD(struct apply_args, id, CREATE | OUT | ROW | REQUIRED, "The delivery's id.", .column = "inbox_id")};
static const struct schema APPLY = SCHEMA(struct apply_args, "ApplyDelivery", APPLY_FIELDS);

enum {
    INSERT,
    INSERT_ROWS,
    GET_ONE,
    TO_APPLY,
    CORRECT,
    BY_EVENT,
    SETTLE,
    APPLIED,
    AGAIN,
    LOCK_SKU,
    WAIT,
    WAITING,
    WAITED
};
#define COLUMNS DELIVERY_COLUMNS
#define INSERT_ONE                                                                           \
    "INSERT INTO inbox (org_id, " COLUMNS                                                    \
    ") VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)" \
    " ON CONFLICT (org_id, source, event_id) DO NOTHING"
static const struct stmt SQL[] = {
    [INSERT] = {"inbox_insert", TENANT, INSERT_ONE, NULL, NULL},
    [INSERT_ROWS] = {"inbox_insert_rows", TENANT, INSERT_ONE,
                     "INSERT INTO inbox (org_id, " COLUMNS
                     ") SELECT $org, u.* FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[],"
                     " $5::bytea[], $6::bytea[], $7::text[], $8::text[], $9::timestamptz[], $10::text[],"
                     " $11::jsonb[], $12::jsonb[], $13::uuid[], $14::uuid[], $15::uuid[],"
                     " $16::timestamptz[]) AS u ON CONFLICT (org_id, source, event_id) DO NOTHING",
                     NULL},
    [GET_ONE] = {"inbox_get", TENANT, "SELECT " COLUMNS " FROM inbox WHERE org_id = $org AND id = $1", NULL,
                 &DELIVERY},
    [TO_APPLY] = {"inbox_to_apply", TENANT,
                  "SELECT id, source, event_id, received_at, fingerprint, COALESCE(corrected, body) AS body,"
                  " state, problem, settled_at, request_id, headers, verdict, job_id, cause_id,"
                  " conflicts_with, forgotten_at FROM inbox WHERE org_id = $org AND id = $1",
                  NULL, &DELIVERY},
    [CORRECT] = {"inbox_correct", TENANT,
                 "UPDATE inbox SET corrected = CASE WHEN body = $2 THEN NULL ELSE $2 END"
                 " WHERE org_id = $org AND id = $1",
                 NULL, NULL},
    [BY_EVENT] = {"inbox_by_event", TENANT,
                  "SELECT " COLUMNS " FROM inbox WHERE org_id = $org AND source = $1 AND event_id = $2", NULL,
                  &DELIVERY},
    [SETTLE] = {"inbox_settle", TENANT,
                "UPDATE inbox SET state = $2, problem = $3, settled_at = $4 WHERE org_id = $org AND id = $1",
                NULL, NULL},
    [APPLIED] = {"inbox_applied", TENANT,
                 "UPDATE inbox SET state = 'applied', problem = NULL, settled_at = $2"
                 " WHERE org_id = $org AND id = $1",
                 "UPDATE inbox SET state = 'applied', problem = NULL, settled_at = ($2::timestamptz[])[1]"
                 " WHERE org_id = $org AND id = ANY ($1::uuid[])",
                 NULL},
    [AGAIN] = {"inbox_again", TENANT,
               "UPDATE inbox SET state = 'pending', problem = NULL, settled_at = NULL, job_id = $2"
               " WHERE org_id = $org AND id = $1",
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

/* The job that applies a delivery. */
static enum err job_of(struct ctx *cx, struct uuid delivery, struct uuid id, struct job_new *out) {
    struct apply_args a = {delivery};
    struct buf args = buf_new(cx->mem, 128);
    schema_encode(&APPLY, OUT, &a, &args);
    *out = (struct job_new){.id = id, .name = "inbox.apply", .args = {buf_str(&args)}};
    return args.failed ? fail(cx, ERR_MEMORY, "The job's arguments do not fit.") : OK;
}

static enum err enqueue(struct ctx *cx, struct uuid delivery, struct uuid id) {
    struct job_new job;
    enum err e = job_of(cx, delivery, id, &job);
    return e ? e : jobs_enqueue(cx, &job);
}

/* Headers by which senders sign and name what they send, and what says how to read it. */
static bool worth_keeping(struct str name) {
    static const char *const PREFIXES[] = {"Content-Type",  "User-Agent",  "X-ShipStation-",
                                           "X-ShipEngine-", "Smartsheet-", "X-Smartsheet-"};
    for (size_t i = 0; i < sizeof(PREFIXES) / sizeof(PREFIXES[0]); i++) {
        struct str prefix = str_of(PREFIXES[i]);
        if (str_eq_nocase(str_sub(name, 0, prefix.n), prefix))
            return true;
    }
    return false;
}

struct json inbox_headers(struct ctx *cx, const struct request *rq) {
    struct buf b = buf_new(cx->mem, 1 << 16);
    bool any = false;
    buf_byte(&b, '[');
    for (size_t i = 0; i < rq->n_headers; i++) {
        const struct header *h = &rq->headers[i];
        if (!worth_keeping(h->name) || !str_utf8_valid(h->value))
            continue;
        bool first = true;
        buf_add(&b, any ? S(",{") : S("{"));
        json_put_key(&b, &first, S("name"));
        json_put_string(&b, h->name);
        json_put_key(&b, &first, S("value"));
        json_put_string(&b, h->value);
        buf_byte(&b, '}');
        any = true;
    }
    buf_byte(&b, ']');
    return (struct json){b.failed ? (struct str){0} : buf_str(&b)};
}

struct json inbox_verdict(struct ctx *cx, const char *scheme, int64_t secret) {
    return (struct json){
        str_printf(cx->mem, "{\"scheme\":\"%s\",\"secret\":%lld}", scheme, (long long)secret)};
}

static bool same(const struct delivery *a, const struct delivery *b) {
    return a->fingerprint.n == b->fingerprint.n &&
           memcmp(a->fingerprint.p, b->fingerprint.p, a->fingerprint.n) == 0;
}

static struct step insert_step(struct ctx *cx, struct delivery *d) {
    d->id = uuid_new(cx->now);
    d->received_at = cx->now;
    d->request_id = cx->request_id;
    return (struct step){.st = &SQL[INSERT], .args = args_of(cx, &DELIVERY, d, ARGS())};
}

/* With its job, in one round trip; the job of one that is known is taken back. */
static enum err insert_with_job(struct ctx *cx, struct delivery *d, bool *inserted) {
    struct step steps[2] = {insert_step(cx, d)};
    struct job_new job;
    enum err e = job_of(cx, d->id, d->job_id, &job);
    if (e || (e = jobs_enqueue_step(cx, &job, &steps[1])) || (e = db_steps(cx, steps, 2)))
        return e;
    *inserted = steps[0].changed == 1;
    return *inserted ? OK : jobs_take_back(cx, d->job_id);
}

enum err inbox_put_row(struct steps *rows, struct ctx *cx, struct delivery *d) {
    struct job_new job;
    d->state = S("pending");
    d->job_id = uuid_new(cx->now);
    struct step step = insert_step(cx, d);
    (void)steps_add_row(rows, &SQL[INSERT_ROWS], step.args);
    enum err e = job_of(cx, d->id, d->job_id, &job);
    return e ? e : jobs_enqueue_row(rows, cx, &job);
}

enum err inbox_put_rows(struct steps *rows) {
    enum err e = steps_run(rows);
    if (!e && rows->v[0].changed != (int64_t)rows->v[0].n_rows)
        e = fail(rows->cx, ERR_CONFLICT, "One of the deliveries is known.");
    return e;
}

/* Beside the event that is known, under a name of its own, for a person to look at. */
static enum err keep_different(struct ctx *cx, struct delivery *d, struct uuid known, enum received *out) {
    struct str hex = hex_encode(cx->mem, (struct bytes){d->fingerprint.p, 8});
    d->event_id = str_printf(cx->mem, "%.*s#%.*s", STR_FMT(d->event_id), STR_FMT(hex));
    d->state = S("exception");
    d->problem = S("The same event came before with other content; this one has no effect.");
    d->settled_at = cx->now;
    d->conflicts_with = known;
    d->job_id = (struct uuid){0};
    struct step step = insert_step(cx, d);
    struct steps kept = {.cx = cx};
    enum err e = db_steps(cx, &step, 1);
    if (e)
        return e;
    *out = step.changed == 1 ? DIFFERENT : DUPLICATE;
    if (step.changed == 1)
        exception_of_delivery(&kept, d->id, d->problem);
    return steps_run(&kept);
}

static enum err find(struct ctx *cx, const struct delivery *d, struct delivery *known, bool *found) {
    return inbox_of_event(cx, d->source, d->event_id, known, found);
}

enum err inbox_put(struct ctx *cx, struct delivery *d, enum received *out) {
    struct delivery known;
    bool inserted, found;
    d->state = S("pending");
    d->job_id = uuid_new(cx->now);
    enum err e = insert_with_job(cx, d, &inserted);
    *out = RECEIVED;
    if (e || inserted || (e = find(cx, d, &known, &found)))
        return e;
    if (!found || same(d, &known)) {
        *out = DUPLICATE;
        return OK;
    }
    return keep_different(cx, d, known.id, out);
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

enum err inbox_to_apply(struct ctx *cx, struct uuid id, struct delivery *out, bool *found) {
    return db_get(cx, &SQL[TO_APPLY], ARGS(A(id)), out, found);
}

enum err inbox_of_event(struct ctx *cx, struct str source, struct str event_id, struct delivery *out,
                        bool *found) {
    return db_get(cx, &SQL[BY_EVENT], ARGS(A(source), A(event_id)), out, found);
}

struct str inbox_service(const struct delivery *d) {
    struct str service, kind;
    return str_cut(d->source, '.', &service, &kind) ? service : d->source;
}

struct str inbox_ref(const struct delivery *d) {
    struct str row, content;
    return str_ends(d->source, S(".row")) && str_cut(d->event_id, '@', &row, &content) ? row : d->event_id;
}

void inbox_give_job(struct steps *steps, struct uuid id, struct uuid job) {
    steps_add(steps, &SQL[AGAIN], ARGS(A(id), A(job)), NULL);
}

/* The job that a pending delivery has: run at once if it waits or is dead. One on its way needs no second,
 * nor one that is set aside while its queue is paused. */
static enum err hurry(struct ctx *cx, const struct delivery *d, bool *has) {
    struct job j;
    enum err e = JOB_DRIVER_DB.get(cx, d->job_id, &j, has);
    if (e || !*has || str_eq(j.state, S("ready")) || str_eq(j.state, S("running")) ||
        str_eq(j.state, S("paused")))
        return e;
    return JOB_DRIVER_DB.retry(cx, j.id);
}

enum err inbox_replay(struct ctx *cx, const struct delivery *d) {
    struct uuid job = uuid_new(cx->now);
    bool has = false;
    enum err e = OK;
    if (!uuid_is_nil(d->conflicts_with))
        return fail(
            cx, ERR_CONFLICT,
            "It says something else than the delivery that came first under this name, so it is never "
            "applied.");
    if (d->forgotten_at.us)
        return fail(cx, ERR_CONFLICT, "Its body is no longer kept.");
    if (str_eq(d->state, S("pending")) && !uuid_is_nil(d->job_id))
        e = hurry(cx, d, &has);
    if (e || has || (e = enqueue(cx, d->id, job)))
        return e;
    return db_exec(cx, &SQL[AGAIN], ARGS(A(d->id), A(job)), NULL);
}

void inbox_settle(struct steps *steps, struct uuid id, struct str state, struct str problem) {
    inbox_settle_first(steps, id, state, problem);
    if (str_eq(state, S("exception")))
        exception_of_delivery(steps, id, problem);
    else
        exception_delivery_settled(steps, id, state);
}

void inbox_settle_first(struct steps *steps, struct uuid id, struct str state, struct str problem) {
    steps_add(steps, &SQL[SETTLE], ARGS(A(id), A(state), A(problem), A(steps->cx->now)), NULL);
}

void inbox_applied_first(struct steps *steps, struct uuid id) {
    (void)steps_add_row(steps, &SQL[APPLIED], ARGS(A(id), A(steps->cx->now)));
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
        if ((e = enqueue(cx, rows[i].id, (struct uuid){0})))
            return e;
    return db_exec(cx, &SQL[WAITED], ARGS(A(sku)), NULL);
}

/* What the jobs name, in one round trip. A delivery that is settled needs nothing more: a job may come
 * twice. */
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
        steps_add(&steps, &SQL[TO_APPLY], ARGS(A(a.id)), &d[i]);
    }
    if ((e = steps_run(&steps)))
        return e;
    *open = 0;
    for (size_t i = 0; i < n; i++)
        if (steps.v[i].changed == 0)
            return fail(cx, ERR_NOT_FOUND, "There is no delivery with the id that the job names.");
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

struct replaying {
    const struct intake_source *source;
    struct delivery *d;
};
static enum err apply_one(struct ctx *cx, void *arg) {
    const struct replaying *r = arg;
    return r->source->apply(cx, &r->d, 1);
}

/* The exception of a delivery: applied again in this transaction, from the text that it was repaired to; it
 * may have written something by the time it is refused. Once that took effect it is what is applied from then
 * on. */
static enum err replay(struct ctx *cx, const struct exception *x, struct str text, struct json *result) {
    struct delivery d;
    bool found;
    (void)result;
    enum err e = inbox_get(cx, x->delivery_id, &d, &found);
    if (e)
        return e;
    const struct intake_source *source = found ? source_of(cx, &d) : NULL;
    if (!source || !uuid_is_nil(d.conflicts_with))
        return fail(cx, ERR_CONFLICT,
                    "This delivery cannot be applied again; see to it by hand and dismiss it.");
    struct bytes corrected = {(const unsigned char *)text.p, text.n};
    d.body = corrected;
    e = db_attempt(cx, apply_one, &(struct replaying){source, &d});
    if (e == ERR_MALFORMED) { /* here it is the text that is wrong, not the request */
        struct str why = cx->fault.message;
        fault_clear(cx);
        return fail_field(cx, S("body"), "cannot be read: %.*s", STR_FMT(why));
    }
    if (e || (e = inbox_get(cx, x->delivery_id, &d, &found)))
        return e;
    if (str_eq(d.state, S("exception")))
        return fail(cx, ERR_INVALID, "%.*s", STR_FMT(d.problem));
    return db_exec(cx, &SQL[CORRECT], ARGS(A(d.id), A(corrected)), NULL);
}

static enum err dismissed(struct ctx *cx, const struct exception *x, struct str reason) {
    struct steps steps = {.cx = cx};
    inbox_settle_first(&steps, x->delivery_id, S("ignored"), reason);
    return steps_run(&steps);
}

static const struct exception_kind EXCEPTIONS[] = {
    {"delivery", NULL, replay, dismissed, "An event from outside that could not take effect."},
};

static const struct job_type JOBS[] = {
    {.name = "inbox.apply",
     .mode = JOB_CLOSURE,
     .run = apply,
     .run_all = apply_all,
     .batch = 32,
     .doc = "Applies one delivery of the inbox."},
};

const struct module INBOX_MODULE = {
    .name = "inbox", TABLE(stmts, SQL), TABLE(jobs, JOBS), TABLE(exceptions, EXCEPTIONS)};
