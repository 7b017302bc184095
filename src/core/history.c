#include "core/history.h"

#include "core/item.h"
#include "core/ledger.h"
#include "core/place.h"
#include "core/reservation.h"
#include "net/cursor.h"
#include "net/listing.h"
#include "net/path.h"
#include "net/router.h"

#include <time.h>

#include "base/banned.h"

#define SEAL_BEHIND US_PER_S /* an instant that is older is settled together with all up to a second ago */
#define SETTLE_MOST (5 * US_PER_S)
#define LOOK_FIRST 500 /* nanoseconds × 1000; then twice as long each time */
#define LOOK_MOST 20000
#define END_OF_TIME INT64_C(253402300799999999)

struct seal {
    struct instant sealed_at, settled_at;
};
static const struct field SEAL_FIELDS[] = {
    FIELD(struct seal, sealed_at, ROW, "Up to then nobody may record any more."),
    FIELD(struct seal, settled_at, ROW, "Up to then nobody who began before can."),
};
static const struct schema SEAL = SCHEMA(struct seal, "Seal", SEAL_FIELDS);

/* Transactions in the order in which they began to write: all below oldest have ended, next has not begun. */
struct horizon {
    int64_t oldest, next;
};
static const struct field HORIZON_FIELDS[] = {
    FIELD(struct horizon, oldest, ROW, "The oldest that is under way."),
    FIELD(struct horizon, next, ROW, "The next to begin."),
};
static const struct schema HORIZON = SCHEMA(struct horizon, "Horizon", HORIZON_FIELDS);

struct line {
    struct instant at;
    int64_t line;
    struct uuid id;
    int64_t quantity, balance;
    struct str from, to, reason, source, source_ref, actor;
    struct uuid reverses;
};
static const struct field LINE_FIELDS[] = {
    FIELD(struct line, at, OUT | ROW, "When it was recorded.", .column = "recorded_at"),
    FIELD(struct line, line, ROW, "Which of those recorded together."),
    FIELD(struct line, id, OUT | ROW, "The move's own id."),
    FIELD(struct line, quantity, OUT | ROW, "What it did to this place: more is above zero, less below."),
    FIELD(struct line, balance, OUT | ROW, "What was on hand here after it."),
    FIELD(struct line, from, OUT | ROW, "The place it left.", .column = "from_place"),
    FIELD(struct line, to, OUT | ROW, "The place it came to.", .column = "to_place"),
    FIELD(struct line, reason, OUT | ROW, "Why it was moved."),
    FIELD(struct line, source, OUT | ROW, "Who reported it."),
    FIELD(struct line, source_ref, OUT | ROW, "The source's own name for the event."),
    FIELD(struct line, actor, OUT | ROW, "Who recorded it."),
    FIELD(struct line, reverses, OUT | ROW, "The move that this one takes back."),
};
static const struct schema LINE = SCHEMA(struct line, "ExplainedMove", LINE_FIELDS);

struct explanation {
    struct str sku, place;
    struct instant at;
    int64_t on_hand, reserved, available;
    bool oversold;
    int64_t closing, opening;
    struct list moves;
    struct str next_cursor;
    struct list reservations;
    int64_t reserved_further;
};
static const struct field EXPLANATION_FIELDS[] = {
    FIELD(struct explanation, sku, OUT, "The item."),
    FIELD(struct explanation, place, OUT, "The code of the place."),
    FIELD(struct explanation, at, OUT, "The instant that was asked for; null for now."),
    FIELD(struct explanation, on_hand, OUT, "What is there."),
    FIELD(struct explanation, reserved, OUT, "What of it is promised."),
    FIELD(struct explanation, available, OUT, "On hand less reserved."),
    FIELD(struct explanation, oversold, OUT, "More was shipped than was there."),
    FIELD(
        struct explanation, closing, OUT,
        "What was on hand after the newest move of this page: on the first page that is on_hand, on the next"
        " the opening of the page before."),
    FIELD(
        struct explanation, opening, OUT,
        "What was on hand before the oldest move of this page: opening and the quantities add up to closing;"
        " zero on the last page."),
    FIELD(struct explanation, moves, OUT, "The moves that made the number, newest first.", .of = &LINE),
    FIELD(struct explanation, next_cursor, OUT, "Where the older moves begin; null when this is all."),
    FIELD(
        struct explanation, reservations, OUT,
        "On the first page: the pending reservations that hold what is reserved, oldest first, at most 500.",
        .of = &RESERVATION),
    FIELD(struct explanation, reserved_further, OUT,
          "What is reserved beyond those listed: with their quantities it adds up to reserved."),
};
static const struct schema EXPLANATION = SCHEMA(struct explanation, "Explanation", EXPLANATION_FIELDS);

enum { GET_SEAL, RAISE_SEAL, SETTLE, UNDER_WAY, AT_NOW, LINES, PROMISES };
static const struct stmt SQL[] = {
    [GET_SEAL] = {"seal_get", TENANT, "SELECT sealed_at, settled_at FROM stock_seal WHERE org_id = $org",
                  NULL, &SEAL},
    [RAISE_SEAL] = {"seal_raise", TENANT,
                    "INSERT INTO stock_seal (org_id, sealed_at, settled_at) VALUES ($org, $1, $2)"
                    " ON CONFLICT (org_id) DO UPDATE SET sealed_at = excluded.sealed_at"
                    " WHERE stock_seal.sealed_at < excluded.sealed_at",
                    NULL, NULL},
    [SETTLE] = {"seal_settle", TENANT,
                "UPDATE stock_seal SET settled_at = $1 WHERE org_id = $org AND settled_at < $1", NULL, NULL},
    /* One writer at a time has no order to wait for. */
    [UNDER_WAY] = {"ledger_under_way", SYSTEM, "SELECT 0 AS oldest, 0 AS next",
                   "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest,"
                   " pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next",
                   &HORIZON},
    [AT_NOW] = {"level_explained", TENANT,
                "SELECT " LEVEL_COLUMNS " FROM stock_level WHERE org_id = $org AND sku = $1 AND place = $2",
                NULL, &LEVEL},
    [LINES] =
        {"postings_of_level", TENANT,
         "SELECT p.recorded_at, p.line, m.id, p.quantity, p.balance, m.from_place, m.to_place, m.reason,"
         " m.source, m.source_ref, m.actor, m.reverses FROM stock_posting p CROSS JOIN stock_move m"
         " WHERE p.org_id = $org AND p.sku = $1 AND p.place = $2 AND (p.recorded_at, p.line) < ($3, $4)"
         " AND m.org_id = $org AND m.id = p.move_id"
         " ORDER BY p.recorded_at DESC, p.line DESC LIMIT $5",
         NULL, &LINE},
    [PROMISES] = {"reservations_of_level", TENANT,
                  "SELECT " RESERVATION_COLUMNS
                  " FROM reservation WHERE org_id = $org AND sku = $1 AND place = $2"
                  " AND state = 'pending' ORDER BY id LIMIT 500",
                  NULL, &RESERVATION},
};

static enum err raise_seal(struct ctx *cx, void *arg) {
    const struct instant *to = arg;
    return db_exec(cx, &SQL[RAISE_SEAL], ARGS(A(*to), A((struct instant){1})), NULL);
}

static enum err note_settled(struct ctx *cx, void *arg) {
    const struct instant *to = arg;
    return db_exec(cx, &SQL[SETTLE], ARGS(A(*to)), NULL);
}

static enum err look(struct ctx *cx, struct horizon *out) {
    bool found;
    enum err e = db_read_begin(cx);
    if (!e)
        e = db_get(cx, &SQL[UNDER_WAY], ARGS(), out, &found);
    db_read_end(cx);
    return e;
}

/* Until all that may have seen the seal as it was before have ended. */
static enum err wait_for_writers(struct ctx *cx) {
    struct horizon first, now;
    int64_t until = clock_steady() + SETTLE_MOST, pause = LOOK_FIRST;
    enum err e = look(cx, &first);
    now = first;
    while (!e && now.oldest < first.next) {
        if (clock_steady() > until)
            return fail(cx, ERR_UNAVAILABLE,
                        "A transaction on the database has not ended for %d s, so the levels at this instant"
                        " are not settled; try again.",
                        (int)(SETTLE_MOST / US_PER_S));
        nanosleep(&(struct timespec){.tv_nsec = pause * 1000}, NULL);
        pause = 2 * pause < LOOK_MOST ? 2 * pause : LOOK_MOST;
        e = look(cx, &now);
    }
    return e;
}

enum err history_settle(struct ctx *cx, struct instant at) {
    struct instant now = clock_now(cx->clock);
    struct seal seal;
    bool found;
    if (at.us > now.us)
        return fail_field(cx, S("at"), "must not be in the future");
    enum err e = db_get(cx, &SQL[GET_SEAL], ARGS(), &seal, &found);
    if (e || (found && seal.settled_at.us >= at.us))
        return e;
    struct instant to = {now.us - SEAL_BEHIND > at.us ? now.us - SEAL_BEHIND : at.us};
    db_read_end(cx);
    if ((e = db_write_wait(cx, raise_seal, &to)) || (e = wait_for_writers(cx)) ||
        (e = db_write_wait(cx, note_settled, &to)))
        return e;
    return db_read_begin(cx);
}

static const struct field AT_FIELD = {
    .name = "at", .kind = KIND_INSTANT, .doc = "The levels as they were at this past instant."};

enum err history_at(struct ctx *cx, const struct request *rq, struct instant *out) {
    struct str text;
    *out = (struct instant){0};
    enum err e = request_query(cx, rq, S("at"), &text);
    if (!e && !text.p)
        e = request_query(cx, rq, S("filter[at]"), &text);
    if (e || !text.p)
        return e;
    e = field_parse(cx, &AT_FIELD, S("at"), text, out);
    return e ? e : history_settle(cx, *out);
}

bool history_asked(struct ctx *cx, const struct request *rq) {
    struct str path, query, name, value;
    enum err e;
    target_cut(rq->target, &path, &query);
    while (query_next(cx, &query, &name, &value, &e))
        if (str_eq(name, S("at")) || str_eq(name, S("filter[at]")))
            return true;
    fault_clear(cx); /* a broken query is for the handler to refuse, and nothing to wait for */
    return false;
}

/* What was asked for. */
struct wish {
    struct str sku, place;
    struct instant at;
    int64_t page_size;
    struct str binding, cursor;
    struct cursor from;
};

static const struct field QUERY_FIELDS[] = {
    {.name = "sku", .kind = KIND_STR, .uses = REQUIRED, .min = 1, .max = SKU_MAX, .doc = "The item."},
    {.name = "place",
     .kind = KIND_STR,
     .uses = REQUIRED,
     .min = 1,
     .max = 64,
     .doc = "The code of the place."},
    {.name = "page_size",
     .kind = KIND_INT,
     .min = 1,
     .max = PAGE_SIZE_MAX,
     .doc = "How many moves at once; 50 if not said."},
    {.name = "cursor", .kind = KIND_STR, .min = 1, .max = 1000, .doc = "The next_cursor of the page before."},
};
static const struct query QUERY[] = {
    {"sku", &QUERY_FIELDS[0]},       {"place", &QUERY_FIELDS[1]},  {"at", &AT_FIELD},
    {"page_size", &QUERY_FIELDS[2]}, {"cursor", &QUERY_FIELDS[3]}, {NULL, NULL}};

static enum err read_wish(struct ctx *cx, const struct request *rq, struct wish *w) {
    struct str size, at;
    *w = (struct wish){.page_size = PAGE_SIZE_DEFAULT};
    enum err e;
    if ((e = request_query(cx, rq, S("sku"), &w->sku)) ||
        (e = request_query(cx, rq, S("place"), &w->place)) ||
        (e = request_query(cx, rq, S("page_size"), &size)) || (e = request_query(cx, rq, S("at"), &at)) ||
        (e = request_query(cx, rq, S("cursor"), &w->cursor)))
        return e;
    if (!w->sku.p)
        e = fail_field(cx, S("sku"), "is missing");
    if (!w->place.p)
        e = fail_field(cx, S("place"), "is missing");
    if (e || (size.p && (e = field_parse(cx, &QUERY_FIELDS[2], S("page_size"), size, &w->page_size))) ||
        (e = history_at(cx, rq, &w->at)))
        return e;
    w->binding = str_printf(cx->mem, "explain\n%.*s%zu:%.*s%zu:%.*s%lld", (int)sizeof(cx->actor.org.b),
                            (const char *)cx->actor.org.b, w->sku.n, STR_FMT(w->sku), w->place.n,
                            STR_FMT(w->place), (long long)w->at.us);
    w->from = (struct cursor){.key = arg_instant((struct instant){w->at.us ? w->at.us : END_OF_TIME}),
                              .tie = arg_int(INT64_MAX)};
    if (w->cursor.p && !cursor_parse(cx->mem, rq->router->cursor_key, w->binding, w->cursor, &w->from))
        return fail_field(cx, S("cursor"), "is not one that this item, place and instant gave out");
    return OK;
}

static enum err require_both(struct ctx *cx, const struct wish *w) {
    struct item it;
    struct place p;
    bool found;
    enum err e = item_find(cx, w->sku, &it, &found);
    if (!e && !found)
        e = fail(cx, ERR_NOT_FOUND, "There is no item with the SKU %.*s.", STR_FMT(w->sku));
    if (e || (e = place_find(cx, w->place, &p, &found)))
        return e;
    return found ? OK : fail(cx, ERR_NOT_FOUND, "There is no place with the code %.*s.", STR_FMT(w->place));
}

/* The moves of this page, and what they add up to. */
static enum err take_lines(struct ctx *cx, const struct request *rq, const struct wish *w,
                           struct explanation *x) {
    struct args args = ARGS(A(w->sku), A(w->place), w->from.key, w->from.tie, A((int64_t)(w->page_size + 1)));
    enum err e = db_list(cx, &SQL[LINES], args, &x->moves);
    if (e)
        return e;
    const struct line *lines = x->moves.items;
    bool more = (int64_t)x->moves.n > w->page_size;
    if (more)
        x->moves.n = (size_t)w->page_size;
    if (x->moves.n == 0)
        return OK;
    const struct line *last = &lines[x->moves.n - 1];
    x->closing = lines[0].balance;
    x->opening = last->balance - last->quantity;
    if (!more)
        return OK;
    struct cursor next = {.page = w->from.page + 1, .key = arg_instant(last->at), .tie = arg_int(last->line)};
    x->next_cursor = cursor_format(cx->mem, rq->router->cursor_key, w->binding, &next);
    return x->next_cursor.p ? OK : fail(cx, ERR_MEMORY, "There is not enough memory for the cursor.");
}

/* The level as it was: its newest posting up to then, whichever page is asked for. */
static enum err level_then(struct ctx *cx, const struct wish *w, struct stock_level *out) {
    struct line newest;
    bool found;
    struct args args = ARGS(A(w->sku), A(w->place), A(w->at), A(INT64_MAX), A((int64_t)1));
    enum err e = db_get(cx, &SQL[LINES], args, &newest, &found);
    if (!e && found)
        out->on_hand = newest.balance;
    return e;
}

/* What is promised now; what was promised once is not kept. */
static enum err take_promises(struct ctx *cx, const struct wish *w, const struct stock_level *level,
                              struct explanation *x) {
    x->reserved = x->reserved_further = level->reserved;
    if (level->reserved == 0 || w->cursor.p)
        return OK;
    enum err e = db_list(cx, &SQL[PROMISES], ARGS(A(w->sku), A(w->place)), &x->reservations);
    const struct reservation *r = x->reservations.items;
    for (size_t i = 0; !e && i < x->reservations.n; i++)
        x->reserved_further -= r[i].quantity;
    return e;
}

static enum err explain(struct ctx *cx, struct request *rq, struct answer *an) {
    struct wish w;
    struct stock_level level = {0};
    bool found;
    enum err e = read_wish(cx, rq, &w);
    if (e || (e = require_both(cx, &w)) ||
        (e = w.at.us ? level_then(cx, &w, &level)
                     : db_get(cx, &SQL[AT_NOW], ARGS(A(w.sku), A(w.place)), &level, &found)))
        return e;
    struct explanation x = {.sku = w.sku, .place = w.place, .at = w.at, .oversold = level.oversold};
    if ((e = take_lines(cx, rq, &w, &x)) || (e = take_promises(cx, &w, &level, &x)))
        return e;
    x.on_hand = level.on_hand;
    x.available = x.on_hand - x.reserved;
    return answer_object(cx, an, 200, &EXPLANATION, &x);
}

static const enum err WAITS[] = {ERR_NOT_FOUND, ERR_UNAVAILABLE, OK};
static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/stock/explain", READ, AREA_FLOOR, NEED_READ, explain,
          "Explains a level, now or at an instant: the moves that add up to it, newest first.",
          .out = &EXPLANATION, .query = QUERY, .errors = WAITS, .patient = history_asked),
};

const struct module HISTORY_MODULE = {.name = "history", TABLE(routes, ROUTES), TABLE(stmts, SQL)};
