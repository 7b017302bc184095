#include "core/reservation.h"

#include "core/item.h"
#include "core/place.h"
#include "identity/audit.h"
#include "jobs/jobs.h"
#include "net/listing.h"

#include "base/banned.h"

static const char *const STATES[] = {"pending", "posted", "voided", "expired", NULL};

static const struct field FIELDS[] = {
    FIELD(struct reservation, id, OUT | ROW, "The reservation's own id."),
    FIELD(struct reservation, sku, CREATE | OUT | ROW | REQUIRED, "What is promised.", .min = 1,
          .max = SKU_MAX, .check = sku_valid, .rule = SKU_RULE),
    FIELD(struct reservation, place, CREATE | OUT | ROW, "The code of the place; warehouse if not said.",
          .min = 1, .max = 64),
    FIELD(struct reservation, quantity, CREATE | OUT | ROW | REQUIRED, "How many.", .min = 1,
          .max = MOVE_MAX),
    FIELD(struct reservation, posted, OUT | ROW, "How many of them left when it was posted."),
    FIELD(struct reservation, state, OUT | ROW, "pending, then posted, voided or expired.", .one_of = STATES),
    FIELD(struct reservation, expires_at, CREATE | OUT | ROW,
          "When it ends by itself; without, it stands until it is posted or voided."),
    FIELD(struct reservation, source, OUT | ROW, "Who made it: api, or the service whose event did."),
    FIELD(struct reservation, source_ref, CREATE | OUT | ROW,
          "The caller's own name for it; with it, sending twice reserves once.", .min = 1, .max = 200),
    FIELD(struct reservation, created_at, OUT | ROW, "When it was made."),
    FIELD(struct reservation, settled_at, OUT | ROW, "When it was posted, voided or expired."),
    FIELD(struct reservation, actor, OUT | ROW, "Who made it."),
    FIELD(struct reservation, settled_by, OUT | ROW,
          "Who posted or voided it; null where an event of its service did, or its expiry."),
    FIELD(struct reservation, order_id, OUT | ROW, "The order that it is for, if it is an order's."),
};
const struct schema RESERVATION = SCHEMA(struct reservation, "Reservation", FIELDS);

/* What posting may say beside the reservation itself. */
struct posting_wish {
    struct str to, reason;
    struct optional_int quantity;
};
static const struct field WISH_FIELDS[] = {
    FIELD(struct posting_wish, to, CREATE, "Where the goods go; customer if not said.", .min = 1, .max = 64),
    FIELD(struct posting_wish, quantity, CREATE,
          "How many leave; all of it if not said. The rest is available again.", .min = 1, .max = MOVE_MAX),
    FIELD(struct posting_wish, reason, CREATE, "Why, for people.", .max = 500),
};
static const struct schema WISH = SCHEMA(struct posting_wish, "PostReservation", WISH_FIELDS);

/* The argument of the job that ends one. */
struct expire_args {
    struct uuid id;
};
static const struct field EXPIRE_FIELDS[] = {
    FIELD(struct expire_args, id, CREATE | OUT | REQUIRED, "The reservation's id.")};
static const struct schema EXPIRE = SCHEMA(struct expire_args, "ExpireReservation", EXPIRE_FIELDS);

enum { INSERT, RENEW, GET_ONE, OF_KEY, OF_EVENT, OF_ORDER, SETTLE, EXPIRE_ONE, NEWEST, NEWEST_OF_ITEM };
#define COLUMNS RESERVATION_COLUMNS
#define SELECT_FROM "SELECT " COLUMNS " FROM reservation WHERE org_id = $org"
#define INSERT_SELECT                                                                         \
    "INSERT INTO reservation (org_id, " COLUMNS ")"                                           \
    " SELECT i.org_id, $1, i.sku, p.code, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14"    \
    " FROM item i, place p"                                                                   \
    " WHERE i.org_id = $org AND i.sku = $2 AND p.org_id = $org AND p.code = $3 AND p.bounded" \
    " ON CONFLICT (org_id, source, source_ref, sku, place) DO "
#define FILTERS_AND_ORDER                                                                        \
    " AND CAST($4 AS text) IS NULL AND (CAST($5 AS text) IS NULL OR sku = $5)"                   \
    " AND (CAST($6 AS text) IS NULL OR place = $6) AND (CAST($7 AS text) IS NULL OR state = $7)" \
    " AND (CAST($8 AS text) IS NULL OR source_ref = $8) ORDER BY id DESC LIMIT $1 OFFSET $2"
#define BEFORE_SQLITE " AND id < COALESCE($3, x'ffffffffffffffffffffffffffffffff')"
#define BEFORE_POSTGRES " AND id < COALESCE($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)"
static const struct stmt SQL[] = {
    [INSERT] = {"reservation_insert", TENANT, INSERT_SELECT "NOTHING", NULL, NULL},
    [RENEW] = {"reservation_put", TENANT,
               INSERT_SELECT "UPDATE SET quantity = excluded.quantity, state = 'pending', posted = 0,"
                             " settled_at = NULL, settled_by = NULL, order_id = excluded.order_id",
               NULL, NULL},
    [GET_ONE] = {"reservation_get", TENANT, SELECT_FROM " AND id = $1", NULL, &RESERVATION},
    [OF_KEY] = {"reservation_of_key", TENANT,
                SELECT_FROM " AND source = $1 AND source_ref = $2 AND sku = $3 AND place = $4", NULL,
                &RESERVATION},
    [OF_EVENT] = {"reservations_of_event", TENANT,
                  SELECT_FROM " AND source = $1 AND source_ref = $2 ORDER BY sku, place",
                  SELECT_FROM " AND source = $1 AND source_ref = $2 ORDER BY sku, place FOR UPDATE",
                  &RESERVATION},
    [OF_ORDER] = {"reservations_of_order", TENANT, SELECT_FROM " AND order_id = $1 ORDER BY id",
                  SELECT_FROM " AND order_id = $1 ORDER BY id FOR UPDATE", &RESERVATION},
    [SETTLE] = {"reservation_settle", TENANT,
                "UPDATE reservation SET state = $2, posted = COALESCE($3, quantity), settled_at = $4,"
                " settled_by = $5 WHERE org_id = $org AND id = $1 AND state = 'pending'"
                " AND (expires_at IS NULL OR expires_at > $4) AND quantity >= COALESCE($3, 1)"
                " RETURNING " COLUMNS,
                NULL, &RESERVATION},
    [EXPIRE_ONE] = {"reservation_expire", TENANT,
                    "UPDATE reservation SET state = 'expired', settled_at = $2 WHERE org_id = $org"
                    " AND id = $1 AND state = 'pending' AND expires_at <= $2 RETURNING " COLUMNS,
                    NULL, &RESERVATION},
    [NEWEST] = {"reservations_newest", TENANT, SELECT_FROM BEFORE_SQLITE FILTERS_AND_ORDER,
                SELECT_FROM BEFORE_POSTGRES FILTERS_AND_ORDER, &RESERVATION},
    [NEWEST_OF_ITEM] = {"reservations_newest_of_item", TENANT,
                        SELECT_FROM " AND sku = $5" BEFORE_SQLITE FILTERS_AND_ORDER,
                        SELECT_FROM " AND sku = $5" BEFORE_POSTGRES FILTERS_AND_ORDER, &RESERVATION},
};

static enum err expire_later(struct ctx *cx, const struct reservation *r) {
    struct expire_args a = {r->id};
    struct buf args = buf_new(cx->mem, 128);
    if (r->expires_at.us == 0)
        return OK;
    schema_encode(&EXPIRE, OUT, &a, &args);
    if (args.failed)
        return fail(cx, ERR_MEMORY, "The job's arguments do not fit.");
    return jobs_enqueue(
        cx,
        &(struct job_new){.name = "reservation.expire", .args = {buf_str(&args)}, .due_at = r->expires_at});
}

static enum err hold(struct ctx *cx, const struct reservation *r, int64_t delta) {
    struct hold h = {r->sku, r->place, delta};
    return ledger_hold(cx, (struct holds){&h, 1});
}

static void begin(struct ctx *cx, struct reservation *r) {
    r->id = uuid_new(cx->now);
    r->state = S("pending");
    r->created_at = cx->now;
    r->actor = cx->actor.name;
}

/* The row was not made: known already, or something in it does not exist. */
static enum err explain_refused(struct ctx *cx, struct reservation *r, bool *repeated) {
    struct reservation known;
    struct item it;
    struct place p;
    bool found = false;
    enum err e = OK;
    if (r->source_ref.p)
        e = db_get(cx, &SQL[OF_KEY], ARGS(A(r->source), A(r->source_ref), A(r->sku), A(r->place)), &known,
                   &found);
    if (e)
        return e;
    if (found) {
        if (known.quantity != r->quantity || known.expires_at.us != r->expires_at.us)
            return fail(cx, ERR_CONFLICT, "%.*s was reserved before with another quantity or expires_at.",
                        STR_FMT(r->source_ref));
        *r = known;
        *repeated = true;
        return OK;
    }
    if ((e = item_find(cx, r->sku, &it, &found)))
        return e;
    if (!found)
        (void)fail_field(cx, S("sku"), "%.*s is not in the catalogue", STR_FMT(r->sku));
    if ((e = place_find(cx, r->place, &p, &found)))
        return e;
    if (!found)
        return fail_field(cx, S("place"), "there is no place with the code %.*s", STR_FMT(r->place));
    if (!p.bounded)
        return fail_field(cx, S("place"),
                          "%.*s stands for the world outside, which holds no stock to promise",
                          STR_FMT(r->place));
    return cx->fault.code ? cx->fault.code
                          : fail(cx, ERR_CONFLICT, "%.*s was reserved at the same moment by another request.",
                                 STR_FMT(r->source_ref));
}

enum err reservation_make(struct ctx *cx, struct reservation *r, enum posted *out) {
    int64_t made;
    bool repeated = false;
    begin(cx, r);
    enum err e = db_exec(cx, &SQL[INSERT], args_of(cx, &RESERVATION, r, ARGS()), &made);
    if (!e && made == 0)
        e = explain_refused(cx, r, &repeated);
    if (!e)
        *out = repeated ? REPEATED : POSTED;
    if (e || repeated)
        return e;
    if (r->expires_at.us && r->expires_at.us <= cx->now.us)
        return fail_field(cx, S("expires_at"), "must be in the future");
    e = hold(cx, r, r->quantity);
    return e ? e : expire_later(cx, r);
}

enum err reservation_of_event(struct ctx *cx, struct str source, struct str source_ref,
                              struct list *reservations) {
    return db_list(cx, &SQL[OF_EVENT], ARGS(A(source), A(source_ref)), reservations);
}

enum err reservation_of_order(struct ctx *cx, struct uuid order_id, struct list *reservations) {
    return db_list(cx, &SQL[OF_ORDER], ARGS(A(order_id)), reservations);
}

void reservation_put(struct steps *steps, struct reservation *r) {
    begin(steps->cx, r);
    steps_add(steps, &SQL[RENEW], args_of(steps->cx, &RESERVATION, r, ARGS()), NULL);
}

void reservation_settle(struct steps *steps, struct uuid id, struct str state, int64_t posted) {
    steps_add(steps, &SQL[SETTLE], ARGS(A(id), A(state), A(posted), A(steps->cx->now), A((struct str){0})),
              NULL);
}

static enum err find(struct ctx *cx, struct str id, struct reservation *out) {
    struct uuid u;
    bool found = false;
    enum err e = OK;
    if (uuid_parse(id, &u))
        e = db_get(cx, &SQL[GET_ONE], ARGS(A(u)), out, &found);
    if (e)
        return e;
    return found ? OK : fail(cx, ERR_NOT_FOUND, "There is no reservation with this id.");
}

/* Pending to posted or voided, once. was: what it was before; repeated: it is in this state already. */
static enum err settle(struct ctx *cx, struct str id, struct str state, struct optional_int posted,
                       struct reservation *was, struct reservation *is, bool *repeated) {
    bool changed;
    enum err e = find(cx, id, was);
    struct args args = ARGS(A(was->id), A(state), A(posted), A(cx->now), A(cx->actor.name));
    if (e || (e = db_get(cx, &SQL[SETTLE], args, is, &changed)))
        return e;
    *repeated = !changed;
    if (changed || (e = find(cx, id, is)))
        return e;
    if (str_eq(is->state, state) && (!posted.has || posted.v == is->posted))
        return OK;
    if (!str_eq(is->state, S("pending")))
        return fail(cx, ERR_CONFLICT, "This reservation is %.*s already.", STR_FMT(is->state));
    if (posted.has && posted.v > is->quantity)
        return fail_field(cx, S("quantity"), "must be at most the %lld that are reserved",
                          (long long)is->quantity);
    return fail(cx, ERR_CONFLICT, "This reservation has expired.");
}

static enum err create(struct ctx *cx, struct request *rq, struct answer *an) {
    struct reservation r = *(struct reservation *)rq->in; /* a copy: the closure may run again */
    enum posted made;
    if (!r.place.p)
        r.place = S("warehouse");
    r.source = S("api");
    enum err e = reservation_make(cx, &r, &made);
    if (e)
        return e;
    if (made == REPEATED)
        return answer_object(cx, an, 200, &RESERVATION, &r);
    if ((e = audit_write(cx, S("reservation.create"), r.sku, (struct json){0},
                         audit_json(cx, &RESERVATION, &r))))
        return e;
    return answer_object(cx, an, 201, &RESERVATION, &r);
}

static enum err answer_settled(struct ctx *cx, struct answer *an, struct str action,
                               const struct reservation *was, const struct reservation *is) {
    enum err e =
        audit_write(cx, action, is->sku, audit_json(cx, &RESERVATION, was), audit_json(cx, &RESERVATION, is));
    return e ? e : answer_object(cx, an, 200, &RESERVATION, is);
}

static enum err post(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct posting_wish *wish = rq->in;
    struct reservation was, is;
    char id[36];
    bool repeated;
    size_t n = 1;
    enum posted posted;
    enum err e = settle(cx, rq->param[0], S("posted"), wish->quantity, &was, &is, &repeated);
    if (e)
        return e;
    if (repeated)
        return answer_object(cx, an, 200, &RESERVATION, &is);
    if (!str_eq(is.source, S("api")))
        return fail(cx, ERR_CONFLICT, "This reservation is posted by %.*s, which made it.",
                    STR_FMT(is.source));
    struct move m = {.sku = is.sku,
                     .quantity = is.posted,
                     .from = is.place,
                     .to = wish->to.p ? wish->to : S("customer"),
                     .reason = wish->reason,
                     .source = S("reservation"),
                     .source_ref = str_dup(cx->mem, uuid_format(is.id, id))};
    struct hold gone = {is.sku, is.place, -is.quantity};
    e = ledger_post_holds(cx, &m, &n, (struct holds){&gone, 1}, REQUEST, &posted);
    return e ? e : answer_settled(cx, an, S("reservation.post"), &was, &is);
}

static enum err give_up(struct ctx *cx, struct request *rq, struct answer *an) {
    struct reservation was, is;
    bool repeated;
    enum err e = settle(cx, rq->param[0], S("voided"), (struct optional_int){0, true}, &was, &is, &repeated);
    if (e)
        return e;
    if (repeated)
        return answer_object(cx, an, 200, &RESERVATION, &is);
    e = hold(cx, &is, -is.quantity);
    return e ? e : answer_settled(cx, an, S("reservation.void"), &was, &is);
}

static enum err get(struct ctx *cx, struct request *rq, struct answer *an) {
    struct reservation r;
    enum err e = find(cx, rq->param[0], &r);
    return e ? e : answer_object(cx, an, 200, &RESERVATION, &r);
}

/* The job `reservation.expire`. Called before its time (the clock was set back), it comes again. */
static enum err expire(struct ctx *cx, const struct job *job) {
    struct expire_args a;
    struct reservation r;
    bool changed, found;
    enum err e = schema_decode(cx, &EXPIRE, CREATE, REFUSE_UNKNOWN, job->args.text, &a, NULL);
    if (e || (e = db_get(cx, &SQL[EXPIRE_ONE], ARGS(A(a.id), A(cx->now)), &r, &changed)))
        return e;
    if (changed)
        return hold(cx, &r, -r.quantity);
    if ((e = db_get(cx, &SQL[GET_ONE], ARGS(A(a.id)), &r, &found)) || !found)
        return e;
    return str_eq(r.state, S("pending")) && r.expires_at.us > cx->now.us ? expire_later(cx, &r) : OK;
}

static const struct job_type JOBS[] = {
    {.name = "reservation.expire",
     .mode = JOB_CLOSURE,
     .run = expire,
     .args = &EXPIRE,
     .doc = "Ends a reservation that has passed its expiry."},
};

static const struct listing_sort SORTS[] = {{"-created_at", &SQL[NEWEST], "id", NULL}};
static const struct listing_filter FILTERS[] = {{"sku", NULL, "sku", &FIELDS[1], &SQL[NEWEST_OF_ITEM]},
                                                {"place", NULL, "place", &FIELDS[2], NULL},
                                                {"state", NULL, NULL, &FIELDS[5], NULL},
                                                {"source_ref", NULL, NULL, &FIELDS[8], NULL}};
static const struct listing LISTING = {&RESERVATION, SORTS, 1, FILTERS, 4};

static const enum err REFUSED[] = {ERR_CONFLICT, ERR_INSUFFICIENT, OK};
#define ONE "/api/v1/stock/reservations/{id}"
static const struct route ROUTES[] = {
    ROUTE(POST, "/api/v1/stock/reservations", WRITE, AREA_FLOOR, NEED_WRITE, create,
          "Reserves stock if as much is available; with source_ref, sending it again reserves nothing more.",
          .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT, .in = &RESERVATION, .in_use = CREATE,
          .out = &RESERVATION, .errors = REFUSED),
    ROUTE(GET, "/api/v1/stock/reservations", READ, AREA_FLOOR, NEED_READ, listing_answer,
          "Lists the reservations, newest first.", .flags = ROUTE_LIST, .out = &RESERVATION,
          .listing = &LISTING),
    ROUTE(GET, ONE, READ, AREA_FLOOR, NEED_READ, get, "Shows a reservation.", .out = &RESERVATION),
    ROUTE(POST, ONE "/post", WRITE, AREA_FLOOR, NEED_WRITE, post,
          "Posts a reservation: what it holds leaves its place. Once; a repeat gets the same answer.",
          .flags = ROUTE_BODY_OPTIONAL, .in = &WISH, .in_use = CREATE, .out = &RESERVATION,
          .errors = REFUSED),
    ROUTE(POST, ONE "/void", WRITE, AREA_FLOOR, NEED_WRITE, give_up,
          "Gives a reservation up: what it holds is available again. Once; a repeat gets the same answer.",
          .out = &RESERVATION, .errors = REFUSED),
};

const struct module RESERVATION_MODULE = {
    .name = "reservations", TABLE(routes, ROUTES), TABLE(stmts, SQL), TABLE(jobs, JOBS)};
