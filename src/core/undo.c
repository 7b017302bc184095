#include "core/undo.h"

#include "core/inbox.h"
#include "core/ledger.h"
#include "core/reservation.h"
#include "identity/audit.h"

#include "base/banned.h"

#define DEPENDANTS_MAX 20

struct undo {
    struct str reason;
};
static const struct field UNDO_FIELDS[] = {FIELD(struct undo, reason, CREATE,
                                                 "Why it is taken back, for people; undo if not said.",
                                                 .min = 1, .max = 500)};
static const struct schema UNDO = SCHEMA(struct undo, "Undo", UNDO_FIELDS);

struct undone {
    struct list moves;
};
static const struct field UNDONE_FIELDS[] = {
    FIELD(struct undone, moves, OUT, "What took it back, move by move; each names the one it reverses.",
          .of = &MOVE)};
static const struct schema UNDONE = SCHEMA(struct undone, "Undone", UNDONE_FIELDS);

enum { GET_ONE, REVERSAL_OF, DEPENDANTS, PROMISES, LAST, TOGETHER };
/* A span of one value and an order from its first column on: so the index is the only one that fits. */
#define OWN " WHERE m.org_id = $org AND m.actor BETWEEN $1 AND $1 AND m.source <> 'shipstation'"
#define STANDS                                                                                 \
    " m.reverses IS NULL AND NOT EXISTS (SELECT 1 FROM stock_move r WHERE r.org_id = $org AND" \
    " r.reverses = m.id)"
static const struct stmt SQL[] = {
    [GET_ONE] = {"move_get", TENANT,
                 "SELECT " MOVE_COLUMNS " FROM stock_move WHERE org_id = $org AND id = $1", NULL, &MOVE},
    [REVERSAL_OF] = {"move_reversal", TENANT,
                     "SELECT " MOVE_COLUMNS " FROM stock_move WHERE org_id = $org AND reverses = $1", NULL,
                     &MOVE},
    /* What left the place since, and has not been taken back itself. */
    [DEPENDANTS] = {"move_dependants", TENANT,
                    "SELECT m.id, m.sku, m.quantity, m.from_place, m.to_place, m.reason, m.source,"
                    " m.source_ref, m.recorded_at, m.actor, m.reverses"
                    " FROM stock_posting p CROSS JOIN stock_move m WHERE p.org_id = $org AND p.sku = $1"
                    " AND p.place = $2 AND p.recorded_at > $3 AND p.quantity < 0 AND m.org_id = $org"
                    " AND m.id = p.move_id AND NOT EXISTS (SELECT 1 FROM stock_move r"
                    " WHERE r.org_id = $org AND r.reverses = m.id)"
                    " ORDER BY p.recorded_at DESC, p.line DESC LIMIT $4",
                    NULL, &MOVE},
    [PROMISES] = {"move_promises", TENANT,
                  "SELECT " RESERVATION_COLUMNS
                  " FROM reservation WHERE org_id = $org AND sku = $1 AND place = $2"
                  " AND state = 'pending' ORDER BY id DESC LIMIT $3",
                  NULL, &RESERVATION},
    [LAST] = {"move_last_own", TENANT,
              "SELECT " MOVE_COLUMNS " FROM stock_move m" OWN " AND" STANDS
              " ORDER BY m.actor DESC, m.id DESC LIMIT 1",
              NULL, &MOVE},
    /* The moves of one posting have one instant, and ids that follow each other. */
    [TOGETHER] = {"moves_of_posting", TENANT,
                  "SELECT " MOVE_COLUMNS " FROM (SELECT " MOVE_COLUMNS " FROM stock_move m" OWN
                  " AND m.id <= $2 ORDER BY m.actor DESC, m.id DESC LIMIT 500) m WHERE m.recorded_at = $3"
                  " AND m.source = $4 AND (m.source_ref = $5 OR (m.source_ref IS NULL"
                  " AND CAST($5 AS text) IS NULL)) AND" STANDS " ORDER BY m.sku, m.from_place, m.to_place",
                  NULL, &MOVE},
};

static enum err find(struct ctx *cx, struct str text, struct move *out) {
    struct uuid id;
    bool found = false;
    enum err e = uuid_parse(text, &id) ? db_get(cx, &SQL[GET_ONE], ARGS(A(id)), out, &found) : OK;
    if (e)
        return e;
    return found ? OK : fail(cx, ERR_NOT_FOUND, "There is no move with the id %.*s.", STR_FMT(text));
}

/* What a service reported is corrected where it was reported: its own correction will come, and must not
 * count twice. */
static bool reported(const struct ctx *cx, struct str source) {
    for (size_t m = 0; m < cx->modules->n; m++)
        for (size_t i = 0; i < cx->modules->list[m]->n_sources; i++)
            if (str_eq(source, str_of(cx->modules->list[m]->sources[i].name)))
                return true;
    return false;
}

static enum err check(struct ctx *cx, const struct move *m) {
    char text[36];
    if (!uuid_is_nil(m->reverses))
        return fail(cx, ERR_CONFLICT, "This move takes back %.*s itself; record anew what is right.",
                    STR_FMT(uuid_format(m->reverses, text)));
    if (reported(cx, m->source))
        return fail(cx, ERR_CONFLICT, "This move was reported by %.*s; correct it there.",
                    STR_FMT(m->source));
    return OK;
}

static void name_move(struct ctx *cx, const struct move *d) {
    char id[36], at[32];
    (void)fail_field(cx, str_dup(cx->mem, uuid_format(d->id, id)), "took %lld to %.*s at %.*s (%.*s%s%.*s)",
                     (long long)d->quantity, STR_FMT(d->to), STR_FMT(instant_format(d->at, at)),
                     STR_FMT(d->source), d->source_ref.p ? " " : "", STR_FMT(d->source_ref));
}

static void name_promise(struct ctx *cx, const struct reservation *r) {
    char id[36];
    (void)fail_field(cx, str_dup(cx->mem, uuid_format(r->id, id)), "is a reservation of %lld (%.*s%s%.*s)",
                     (long long)r->quantity, STR_FMT(r->source), r->source_ref.p ? " " : "",
                     STR_FMT(r->source_ref));
}

/* The refusal says what it is that depends on the move: what left the place since, and what is promised. */
static enum err name_dependants(struct ctx *cx, const struct move *m) {
    struct list moves, promises;
    struct str why = cx->fault.message;
    int64_t most = DEPENDANTS_MAX;
    enum err e = db_list(cx, &SQL[DEPENDANTS], ARGS(A(m->sku), A(m->to), A(m->at), A(most)), &moves);
    if (e || (e = db_list(cx, &SQL[PROMISES], ARGS(A(m->sku), A(m->to), A(most)), &promises)))
        return e;
    (void)fail(cx, ERR_DEPENDED, "Later bookings depend on this move: %.*s", STR_FMT(why));
    for (size_t i = 0; i < moves.n; i++)
        name_move(cx, &((const struct move *)moves.items)[i]);
    for (size_t i = 0; i < promises.n; i++)
        name_promise(cx, &((const struct reservation *)promises.items)[i]);
    return ERR_DEPENDED;
}

static enum err post(struct ctx *cx, const struct move *m, struct str reason, struct move *back,
                     enum posted *posted) {
    char id[36];
    size_t n = 1;
    *back = (struct move){.sku = m->sku,
                          .quantity = m->quantity,
                          .from = m->to,
                          .to = m->from,
                          .reason = reason.p ? reason : S("undo"),
                          .source = S("undo"),
                          .source_ref = str_dup(cx->mem, uuid_format(m->id, id)),
                          .reverses = m->id};
    enum err e = ledger_post(cx, back, &n, REQUEST, posted);
    return e == ERR_INSUFFICIENT ? name_dependants(cx, m) : e;
}

static enum err reverse(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct undo *in = rq->in;
    struct move m, back;
    enum posted posted;
    bool found;
    enum err e = find(cx, rq->param[0], &m);
    if (e || (e = check(cx, &m)) || (e = db_get(cx, &SQL[REVERSAL_OF], ARGS(A(m.id)), &back, &found)))
        return e;
    if (found)
        return answer_object(cx, an, 200, &MOVE, &back);
    if ((e = post(cx, &m, in->reason, &back, &posted)))
        return e;
    if (posted == REPEATED)
        return answer_object(cx, an, 200, &MOVE, &back);
    if ((e = audit_write(cx, S("stock.reverse"), m.sku, audit_json(cx, &MOVE, &m),
                         audit_json(cx, &MOVE, &back))))
        return e;
    return answer_object(cx, an, 201, &MOVE, &back);
}

/* Whether the caller's last posting can be taken back as a whole; what a count or a reservation booked is
 * part of something larger. */
static enum err check_last(struct ctx *cx, const struct move *m) {
    char id[36];
    if (str_eq(m->source, S("count")) || str_eq(m->source, S("reservation")))
        return fail(cx, ERR_CONFLICT,
                    "Your last booking is part of a %.*s; to take back only its move, reverse %.*s.",
                    STR_FMT(m->source), STR_FMT(uuid_format(m->id, id)));
    return check(cx, m);
}

/* All moves of the caller's last booking or scan, or none. */
static enum err undo_last(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct undo *in = rq->in;
    struct move last;
    struct list all;
    enum posted posted;
    bool found;
    enum err e = db_get(cx, &SQL[LAST], ARGS(A(cx->actor.name)), &last, &found);
    if (e)
        return e;
    if (!found)
        return fail(cx, ERR_CONFLICT, "There is no booking or scan of yours left to take back.");
    if ((e = check_last(cx, &last)) ||
        (e = db_list(cx, &SQL[TOGETHER],
                     ARGS(A(cx->actor.name), A(last.id), A(last.at), A(last.source), A(last.source_ref)),
                     &all)))
        return e;
    const struct move *m = all.items;
    struct move *back = NEW_N(cx->mem, struct move, all.n);
    if (!back)
        return fail(cx, ERR_MEMORY, "The booking does not fit in memory.");
    for (size_t i = 0; i < all.n; i++)
        if ((e = post(cx, &m[i], in->reason, &back[i], &posted)) ||
            (e = audit_write(cx, S("stock.reverse"), m[i].sku, audit_json(cx, &MOVE, &m[i]),
                             audit_json(cx, &MOVE, &back[i]))))
            return e;
    return answer_object(cx, an, 201, &UNDONE, &(struct undone){{back, all.n}});
}

static const enum err REFUSED[] = {ERR_CONFLICT, ERR_DEPENDED, OK};
static const struct route ROUTES[] = {
    ROUTE(POST, "/api/v1/stock/moves/{id}/reverse", WRITE, AREA_FLOOR, NEED_WRITE, reverse,
          "Takes a move back by one in the opposite direction; again, it answers with that one.",
          .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT | ROUTE_BODY_OPTIONAL, .in = &UNDO, .in_use = CREATE,
          .out = &MOVE, .errors = REFUSED),
    ROUTE(POST, "/api/v1/stock/undo", WRITE, AREA_FLOOR, NEED_WRITE, undo_last,
          "Takes the caller's own last booking or scan back, whole; again, the one before it.",
          .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT | ROUTE_BODY_OPTIONAL, .in = &UNDO, .in_use = CREATE,
          .out = &UNDONE, .errors = REFUSED),
};

const struct module UNDO_MODULE = {.name = "undo", TABLE(routes, ROUTES), TABLE(stmts, SQL)};
