#include "core/stock.h"

#include "core/flag.h"
#include "core/history.h"
#include "core/inbox.h"
#include "core/ledger.h"
#include "identity/audit.h"
#include "net/listing.h"

#include "base/banned.h"

enum { BY_ITEM, OVERSOLD, UNKNOWN, AS_OF, NEWEST, NEWEST_OF_ITEM };
/* Between bounds that are the filter's value or the ends of all there is, so that one text uses the index
 * both ways. */
#define SKU_FILTER " AND sku BETWEEN COALESCE($5, '') AND COALESCE($5, '\x7f')"
static const struct stmt SQL[] = {
    [BY_ITEM] = {"levels_by_item", TENANT,
                 "SELECT " LEVEL_COLUMNS " FROM stock_level WHERE org_id = $org AND (sku, place) > "
                 "(COALESCE($3, ''), COALESCE($4, ''))" SKU_FILTER
                 " AND (CAST($6 AS text) IS NULL OR place = $6) AND CAST($7 AS text) IS NULL"
                 " AND CAST($8 AS text) IS NULL AND CAST($9 AS text) IS NULL"
                 " ORDER BY sku, place LIMIT $1 OFFSET $2",
                 NULL, &LEVEL},
    [OVERSOLD] =
        {"levels_oversold", TENANT,
         "SELECT " LEVEL_COLUMNS " FROM stock_level WHERE org_id = $org AND oversold = $7"
         " AND (sku, place) > (COALESCE($3, ''), COALESCE($4, ''))" SKU_FILTER
         " AND (CAST($6 AS text) IS NULL OR place = $6) AND CAST($8 AS text) IS NULL"
         " AND (CAST($9 AS text) IS NULL OR EXISTS (SELECT 1 FROM stock_unknown n WHERE n.org_id = $org"
         " AND n.sku = stock_level.sku AND n.place = stock_level.place))"
         " ORDER BY sku, place LIMIT $1 OFFSET $2",
         NULL, &LEVEL},
    [UNKNOWN] =
        {"levels_unknown", TENANT,
         "SELECT l.sku, l.place, l.on_hand, l.reserved, l.on_hand - l.reserved AS available, l.oversold,"
         " TRUE AS unknown FROM stock_unknown u CROSS JOIN stock_level l WHERE u.org_id = $org"
         " AND (u.sku, u.place) > (COALESCE($3, ''), COALESCE($4, ''))"
         " AND u.sku BETWEEN COALESCE($5, '') AND COALESCE($5, '\x7f')"
         " AND (CAST($6 AS text) IS NULL OR u.place = $6) AND l.org_id = $org AND l.sku = u.sku"
         " AND l.place = u.place AND (CAST($7 AS boolean) IS NULL OR l.oversold = $7)"
         " AND CAST($8 AS text) IS NULL AND $9 = 'true' ORDER BY u.sku, u.place LIMIT $1 OFFSET $2",
         NULL, &LEVEL},
    /* Of a page of levels, the newest posting up to then. */
    [AS_OF] = {"levels_as_of", TENANT,
               "SELECT sku, place, on_hand, 0 AS reserved, on_hand AS available, (bounded AND on_hand < 0) AS"
               " oversold, FALSE AS unknown FROM (SELECT l.sku, l.place, l.bounded, COALESCE((SELECT "
               "p.balance FROM stock_posting p"
               " WHERE p.org_id = $org AND p.sku = l.sku AND p.place = l.place AND p.recorded_at <= $8"
               " ORDER BY p.recorded_at DESC, p.line DESC LIMIT 1), 0) AS on_hand FROM stock_level l"
               " WHERE l.org_id = $org AND (l.sku, l.place) > (COALESCE($3, ''), COALESCE($4, ''))" SKU_FILTER
               " AND (CAST($6 AS text) IS NULL OR l.place = $6) AND CAST($7 AS text) IS NULL"
               " AND CAST($9 AS text) IS NULL ORDER BY l.sku, l.place LIMIT $1 OFFSET $2) AS past"
               " ORDER BY sku, place",
               NULL, &LEVEL},
    [NEWEST] =
        {"moves_newest", TENANT,
         "SELECT " MOVE_COLUMNS
         " FROM stock_move WHERE org_id = $org AND id < COALESCE($3, x'ffffffffffffffffffffffffffffffff')"
         " AND CAST($4 AS text) IS NULL AND CAST($5 AS text) IS NULL ORDER BY id DESC LIMIT $1 OFFSET $2",
         "SELECT " MOVE_COLUMNS " FROM stock_move WHERE org_id = $org"
         " AND id < COALESCE($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)"
         " AND CAST($4 AS text) IS NULL AND CAST($5 AS text) IS NULL ORDER BY id DESC LIMIT $1 OFFSET $2",
         &MOVE},
    [NEWEST_OF_ITEM] =
        {"moves_newest_of_item", TENANT,
         "SELECT " MOVE_COLUMNS " FROM stock_move WHERE org_id = $org AND sku = $5"
         " AND id < COALESCE($3, x'ffffffffffffffffffffffffffffffff') AND CAST($4 AS text) IS NULL"
         " ORDER BY id DESC LIMIT $1 OFFSET $2",
         "SELECT " MOVE_COLUMNS " FROM stock_move WHERE org_id = $org AND sku = $5"
         " AND id < COALESCE($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)"
         " AND CAST($4 AS text) IS NULL ORDER BY id DESC LIMIT $1 OFFSET $2",
         &MOVE},
};

bool stock_source_reserved(const struct ctx *cx, struct str source) {
    bool is = str_eq(source, S("scan")) || str_eq(source, S("seed")) || str_eq(source, S("undo")) ||
              str_eq(source, S("count")) || str_eq(source, S("reservation")) || str_eq(source, S("upload"));
    for (size_t m = 0; m < cx->modules->n; m++)
        for (size_t i = 0; i < cx->modules->list[m]->n_sources; i++)
            is = is || str_eq(source, str_of(cx->modules->list[m]->sources[i].name));
    return is;
}

static enum err post_move(struct ctx *cx, struct request *rq, struct answer *an) {
    struct move *m = rq->in;
    if (!m->source.p)
        m->source = S("api");
    if (stock_source_reserved(cx, m->source))
        return fail_field(cx, S("source"), "%.*s is a name that the server itself records under",
                          STR_FMT(m->source));
    size_t n = 1;
    enum posted posted;
    enum err e = ledger_post(cx, m, &n, REQUEST, &posted);
    if (e)
        return e;
    if (posted == REPEATED)
        return answer_object(cx, an, 200, &MOVE, m);
    if ((e = flag_received(cx, m, n)) || (e = audit_change(cx, S("stock.move"), m->sku, &MOVE, NULL, m)))
        return e;
    return answer_object(cx, an, 201, &MOVE, m);
}

/* The plain case of many requests at once: new moves, each covered when its turn comes. */
static enum err post_moves(const struct piece *v, size_t n) {
    struct ctx *cx = v[0].cx;
    struct steps trail = {.cx = cx};
    struct move *m = NEW_N(cx->mem, struct move, n);
    if (!m)
        return fail(cx, ERR_MEMORY, "The requests do not fit in memory.");
    for (size_t i = 0; i < n; i++) {
        m[i] = *(const struct move *)v[i].rq->in;
        m[i].source = m[i].source.p ? m[i].source : S("api");
        m[i].actor = v[i].cx->actor.name;
        if (stock_source_reserved(cx, m[i].source) || str_eq(m[i].from, m[i].to))
            return fail(cx, ERR_INVALID, "One of the moves has to be refused.");
    }
    enum err e = ledger_post_lot(cx, m, n, REQUEST);
    if (e || (e = flag_received(cx, m, n)))
        return e;
    for (size_t i = 0; !e && i < n; i++)
        if (!(e = audit_add(&trail, v[i].cx, S("stock.move"), m[i].sku, (struct json){0},
                            audit_json(v[i].cx, &MOVE, &m[i]))))
            e = answer_object(v[i].cx, v[i].an, 201, &MOVE, &m[i]);
    return e ? e : steps_tell(&trail);
}

static enum err list_levels(struct ctx *cx, struct request *rq, struct answer *an) {
    struct instant at;
    struct str oversold, unknown;
    enum err e = history_at(cx, rq, &at);
    if (e || (e = request_query(cx, rq, S("filter[oversold]"), &oversold)) ||
        (e = request_query(cx, rq, S("filter[unknown]"), &unknown)))
        return e;
    if (at.us && (oversold.p || unknown.p))
        return fail_field(cx, oversold.p ? S("filter[oversold]") : S("filter[unknown]"),
                          "is known of the present only, not together with at");
    return listing_answer(cx, rq, an);
}

static const char *const ONLY_TRUE[] = {"true", NULL};
static const struct field FILTER_FIELDS[] = {
    {.name = "sku", .kind = KIND_STR, .min = 1, .max = 64, .doc = "Only this item."},
    {.name = "place", .kind = KIND_STR, .min = 1, .max = 64, .doc = "Only this place."},
    {.name = "oversold", .kind = KIND_BOOL, .doc = "Only levels of which more was shipped than was there."},
    {.name = "at", .kind = KIND_INSTANT, .doc = "The levels as they were at this past instant."},
    {.name = "unknown", .kind = KIND_STR, .one_of = ONLY_TRUE, .doc = "Only levels that nobody vouches for."},
};
static const struct listing_sort LEVEL_SORTS[] = {{"sku", &SQL[BY_ITEM], "sku", "place"}};
static const struct listing_filter LEVEL_FILTERS[] = {
    {"sku", NULL, "sku", &FILTER_FIELDS[0], NULL},
    {"place", NULL, "place", &FILTER_FIELDS[1], NULL},
    {"oversold", NULL, NULL, &FILTER_FIELDS[2], &SQL[OVERSOLD]},
    {"at", NULL, "at", &FILTER_FIELDS[3], &SQL[AS_OF]},
    {"unknown", NULL, NULL, &FILTER_FIELDS[4], &SQL[UNKNOWN]}};
static const struct listing LEVELS = {&LEVEL, LEVEL_SORTS, 1, LEVEL_FILTERS, 5};

static const struct listing_sort MOVE_SORTS[] = {{"-at", &SQL[NEWEST], "id", NULL}};
static const struct listing_filter MOVE_FILTERS[] = {
    {"sku", NULL, "sku", &FILTER_FIELDS[0], &SQL[NEWEST_OF_ITEM]}};
static const struct listing MOVES = {&MOVE, MOVE_SORTS, 1, MOVE_FILTERS, 1};

static const enum err WAITS[] = {ERR_UNAVAILABLE, OK};
static const enum err REFUSED[] = {ERR_CONFLICT, ERR_INSUFFICIENT, OK};
static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/stock", READ, AREA_FLOOR, NEED_READ, list_levels,
          "Lists the levels: what is on hand, reserved and available, per item and place, now or as of an"
          " instant.",
          .flags = ROUTE_LIST, .out = &LEVEL, .listing = &LEVELS, .errors = WAITS, .patient = history_asked),
    ROUTE(POST, "/api/v1/stock/moves", WRITE, AREA_FLOOR, NEED_WRITE, post_move,
          "Moves stock from one place to another; with source_ref, sending it again moves nothing.",
          .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT, .in = &MOVE, .in_use = CREATE, .out = &MOVE,
          .errors = REFUSED, .lot = post_moves),
    ROUTE(GET, "/api/v1/stock/moves", READ, AREA_FLOOR, NEED_READ, listing_answer,
          "Lists the moves, newest first.", .flags = ROUTE_LIST, .out = &MOVE, .listing = &MOVES),
};

const struct module STOCK_MODULE = {.name = "stock", TABLE(routes, ROUTES), TABLE(stmts, SQL)};
