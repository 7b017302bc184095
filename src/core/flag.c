#include "core/flag.h"

#include "core/item.h"
#include "core/place.h"
#include "identity/audit.h"

#include "base/banned.h"

struct flags {
    struct str sku, place;
    bool unknown, needs_refill;
    struct str reason;
};
enum { F_UNKNOWN = 2, F_NEEDS_REFILL = 3 };
static const struct field FIELDS[] = {
    FIELD(struct flags, sku, CREATE | OUT | ROW | REQUIRED, "The item.", .min = 1, .max = SKU_MAX,
          .check = sku_valid, .rule = SKU_RULE),
    FIELD(struct flags, place, CREATE | OUT, "The code of the place; required with unknown.", .min = 1,
          .max = 64),
    [F_UNKNOWN] = FIELD(struct flags, unknown, CREATE | OUT,
                        "Whether nobody knows how many are at the place; an approved count clears it."),
    [F_NEEDS_REFILL] = FIELD(struct flags, needs_refill, CREATE | OUT,
                             "Whether the item is to be refilled; a receipt from a supplier clears it."),
    FIELD(struct flags, reason, CREATE | OUT, "Why, for people.", .max = 500),
};
static const struct schema FLAGS = SCHEMA(struct flags, "StockFlags", FIELDS);

/* What the statements that clear give back. */
static const struct schema CLEARED = {.name = "FlagCleared", .size = sizeof(struct flags), FIELDS, 1};
static const struct field SEEN_FIELDS[] = {FIELD(struct flags, unknown, ROW, "Whether it is unknown.")};
static const struct schema SEEN = SCHEMA(struct flags, "FlagSeen", SEEN_FIELDS);

enum { ENSURE, SET_UNKNOWN, SET_KNOWN, SEE, SET_REFILL, COUNTED, RECEIVED };
static const struct stmt SQL[] = {
    [ENSURE] = {"flag_ensure_level", TENANT,
                "INSERT INTO stock_level (org_id, sku, place, bounded, on_hand, reserved, oversold,"
                " updated_at) SELECT p.org_id, $1, p.code, p.bounded, 0, 0, FALSE, $3 FROM place p"
                " WHERE p.org_id = $org AND p.code = $2 ON CONFLICT (org_id, sku, place) DO NOTHING",
                NULL, NULL},
    [SET_UNKNOWN] = {"flag_unknown", TENANT,
                     "INSERT INTO stock_unknown (org_id, sku, place) VALUES ($org, $1, $2)"
                     " ON CONFLICT (org_id, sku, place) DO NOTHING",
                     NULL, NULL},
    [SET_KNOWN] = {"flag_known", TENANT,
                   "DELETE FROM stock_unknown WHERE org_id = $org AND sku = $1 AND place = $2", NULL, NULL},
    [SEE] = {"flag_see", TENANT,
             "SELECT EXISTS (SELECT 1 FROM stock_unknown WHERE org_id = $org AND sku = $1 AND place = $2)"
             " AS unknown",
             NULL, &SEEN},
    [SET_REFILL] = {"flag_needs_refill", TENANT,
                    "UPDATE item SET needs_refill = $2, updated_at = $3, revision = revision + 1"
                    " WHERE org_id = $org AND sku = $1 AND needs_refill <> $2",
                    NULL, NULL},
    [COUNTED] = {"flag_counted", TENANT,
                 "DELETE FROM stock_unknown WHERE org_id = $org AND place = $2 AND sku IN"
                 " (SELECT n.sku FROM stock_count_line n WHERE n.org_id = $org AND n.count_id = $1)"
                 " RETURNING sku",
                 NULL, &CLEARED},
    [RECEIVED] = {"flag_received", TENANT,
                  "UPDATE item SET needs_refill = FALSE, updated_at = $4, revision = revision + 1"
                  " WHERE org_id = $org AND sku = $1 AND needs_refill"
                  " AND EXISTS (SELECT 1 FROM place f WHERE f.org_id = $org AND f.code = $2"
                  " AND f.kind = 'supplier') AND EXISTS (SELECT 1 FROM place t WHERE t.org_id = $org"
                  " AND t.code = $3 AND t.bounded)",
                  NULL, NULL},
};

static bool brought(const struct request *rq, int field) { return rq->present >> field & 1; }

static enum err check(struct ctx *cx, const struct request *rq, struct item *it) {
    const struct flags *in = rq->in;
    struct place p;
    bool found;
    if (!brought(rq, F_UNKNOWN) && !brought(rq, F_NEEDS_REFILL))
        return fail_field(cx, S("unknown"), "is required, or else needs_refill");
    if (brought(rq, F_UNKNOWN) && !in->place.p)
        return fail_field(cx, S("place"), "is required: a quantity is unknown at a place");
    enum err e = item_find(cx, in->sku, it, &found);
    if (e)
        return e;
    if (!found)
        return fail_field(cx, S("sku"), "%.*s is not in the catalogue", STR_FMT(in->sku));
    if (!in->place.p || (e = place_find(cx, in->place, &p, &found)))
        return e;
    if (!found)
        return fail_field(cx, S("place"), "there is no place with the code %.*s", STR_FMT(in->place));
    return p.bounded ? OK
                     : fail_field(cx, S("place"), "%.*s is outside: what is there is not counted",
                                  STR_FMT(in->place));
}

static enum err note(struct ctx *cx, const char *action, const struct flags *before,
                     const struct flags *after) {
    return audit_change(cx, str_of(action), after->sku, &FLAGS, before, after);
}

static enum err set_unknown(struct ctx *cx, struct flags *f, bool to) {
    int64_t changed;
    struct flags before = *f;
    enum err e = to ? db_exec(cx, &SQL[ENSURE], ARGS(A(f->sku), A(f->place), A(cx->now)), NULL) : OK;
    if (e || (e = db_exec(cx, &SQL[to ? SET_UNKNOWN : SET_KNOWN], ARGS(A(f->sku), A(f->place)), &changed)))
        return e;
    before.reason = (struct str){0};
    before.unknown = !to;
    f->unknown = to;
    return changed ? note(cx, to ? "stock.unknown" : "stock.known", &before, f) : OK;
}

static enum err set_refill(struct ctx *cx, struct flags *f, bool to) {
    int64_t changed;
    struct flags before = *f;
    enum err e = db_exec(cx, &SQL[SET_REFILL], ARGS(A(f->sku), A(to), A(cx->now)), &changed);
    if (e)
        return e;
    before.reason = (struct str){0};
    before.needs_refill = !to;
    f->needs_refill = to;
    return changed ? note(cx, to ? "item.needs_refill" : "item.refilled", &before, f) : OK;
}

static enum err flag(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct flags *in = rq->in;
    struct flags f = {.sku = in->sku, .place = in->place, .reason = in->reason}, seen = {0};
    struct item it = {0};
    bool found;
    enum err e = check(cx, rq, &it);
    if (e || (f.place.p && (e = db_get(cx, &SQL[SEE], ARGS(A(f.sku), A(f.place)), &seen, &found))))
        return e;
    f.unknown = seen.unknown;
    f.needs_refill = it.needs_refill;
    if ((brought(rq, F_UNKNOWN) && (e = set_unknown(cx, &f, in->unknown))) ||
        (brought(rq, F_NEEDS_REFILL) && (e = set_refill(cx, &f, in->needs_refill))))
        return e;
    return answer_object(cx, an, 200, &FLAGS, &f);
}

static bool like_one_before(const struct move *moves, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (str_eq(moves[k].sku, moves[i].sku) && str_eq(moves[k].from, moves[i].from) &&
            str_eq(moves[k].to, moves[i].to))
            return true;
    return false;
}

/* Only told: it costs no round trip, and what has brought the goods stands in the trail itself. */
enum err flag_received(struct ctx *cx, const struct move *moves, size_t n) {
    enum err e = OK;
    for (size_t i = 0; !e && i < n; i++)
        if (!like_one_before(moves, i))
            e = db_tell(cx, &SQL[RECEIVED],
                        ARGS(A(moves[i].sku), A(moves[i].from), A(moves[i].to), A(cx->now)));
    return e;
}

enum err flag_counted(struct ctx *cx, struct uuid count, struct str place) {
    struct list cleared;
    enum err e = db_list(cx, &SQL[COUNTED], ARGS(A(count), A(place)), &cleared);
    const struct flags *f = cleared.items;
    for (size_t i = 0; !e && i < cleared.n; i++) {
        struct flags before = {.sku = f[i].sku, .place = place, .unknown = true};
        struct flags after = {.sku = f[i].sku, .place = place, .reason = S("counted")};
        e = note(cx, "stock.known", &before, &after);
    }
    return e;
}

static const struct route ROUTES[] = {
    ROUTE(POST, "/api/v1/stock/flags", WRITE, AREA_FLOOR, NEED_WRITE, flag,
          "Says that the quantity of an item at a place is unknown, or that an item needs a refill, or that"
          " it is so no more.",
          .in = &FLAGS, .in_use = CREATE, .out = &FLAGS),
};

const struct module FLAG_MODULE = {.name = "flags", TABLE(routes, ROUTES), TABLE(stmts, SQL)};
