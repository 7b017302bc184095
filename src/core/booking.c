#include "core/booking.h"

#include "core/flag.h"
#include "core/item.h"
#include "core/ledger.h"
#include "core/place.h"
#include "core/stock.h"
#include "identity/audit.h"

#include "base/banned.h"

#define LINES_MAX 500

struct booking_line {
    struct str sku;
    int64_t quantity;
    struct str from, to;
};
static const struct field LINE_FIELDS[] = {
    FIELD(struct booking_line, sku, CREATE | REQUIRED, "What is moved.", .min = 1, .max = SKU_MAX,
          .check = sku_valid, .rule = SKU_RULE),
    FIELD(struct booking_line, quantity, CREATE | REQUIRED, "How many, in the item's unit.", .min = 1,
          .max = MOVE_MAX),
    FIELD(struct booking_line, from, CREATE, "The code of the place it leaves; the booking's if not said.",
          .min = 1, .max = 64),
    FIELD(struct booking_line, to, CREATE, "The code of the place it comes to; the booking's if not said.",
          .min = 1, .max = 64),
};
static const struct schema LINE = SCHEMA(struct booking_line, "BookingLine", LINE_FIELDS);

struct booking {
    struct list lines; /* of struct booking_line */
    struct str from, to, reason, source, source_ref;
    struct list moves; /* of struct move: what it came to */
};
static const struct field FIELDS[] = {
    FIELD(struct booking, lines, CREATE | REQUIRED, "What is moved.", .min = 1, .max = LINES_MAX,
          .of = &LINE),
    FIELD(struct booking, from, CREATE, "The place that lines leave which name none.", .min = 1, .max = 64),
    FIELD(struct booking, to, CREATE, "The place that lines come to which name none.", .min = 1, .max = 64),
    FIELD(struct booking, reason, CREATE | OUT, "The remark of all its moves, for people.", .max = 500),
    FIELD(struct booking, source, CREATE | OUT, "Who reports it: a system, a device; api if not said.",
          .min = 1, .max = 64),
    FIELD(struct booking, source_ref, CREATE | OUT,
          "The source's own name for it; with it, sending twice moves once.", .min = 1, .max = 200),
    FIELD(struct booking, moves, OUT, "Its moves, summed per item and places.", .of = &MOVE),
};
static const struct schema BOOKING = SCHEMA(struct booking, "Booking", FIELDS);

static struct str field_of(struct ctx *cx, size_t line, const char *name) {
    return str_printf(cx->mem, "lines[%zu].%s", line, name);
}

static enum err lines_of(struct ctx *cx, const struct booking *b, struct move **out) {
    const struct booking_line *l = b->lines.items;
    struct move *m = NEW_N(cx->mem, struct move, b->lines.n);
    if (!m)
        return fail(cx, ERR_MEMORY, "The booking has too many lines.");
    for (size_t i = 0; i < b->lines.n; i++) {
        m[i] = (struct move){.sku = l[i].sku,
                             .quantity = l[i].quantity,
                             .from = l[i].from.p ? l[i].from : b->from,
                             .to = l[i].to.p ? l[i].to : b->to,
                             .reason = b->reason,
                             .source = b->source,
                             .source_ref = b->source_ref};
        if (!m[i].from.p)
            (void)fail_field(cx, field_of(cx, i, "from"), "is required, here or for the whole booking");
        if (!m[i].to.p)
            (void)fail_field(cx, field_of(cx, i, "to"), "is required, here or for the whole booking");
        if (m[i].from.p && str_eq(m[i].from, m[i].to))
            (void)fail_field(cx, field_of(cx, i, "to"), "must not be the place that the item leaves");
    }
    *out = m;
    return cx->fault.code;
}

static enum err check_place(struct ctx *cx, size_t line, const char *field, struct str code) {
    struct place p;
    bool found;
    enum err e = place_find(cx, code, &p, &found);
    if (!e && !found)
        (void)fail_field(cx, field_of(cx, line, field), "there is no place with the code %.*s",
                         STR_FMT(code));
    return e;
}

/* The ledger has met something that does not exist: says in which rows. */
static enum err name_rows(struct ctx *cx, const struct move *m, size_t n) {
    enum err e = OK;
    fault_clear(cx);
    for (size_t i = 0; !e && i < n; i++) {
        struct item it;
        bool found;
        if ((e = item_find(cx, m[i].sku, &it, &found)))
            return e;
        if (!found)
            (void)fail_field(cx, field_of(cx, i, "sku"), "%.*s is not in the catalogue", STR_FMT(m[i].sku));
        if (!(e = check_place(cx, i, "from", m[i].from)))
            e = check_place(cx, i, "to", m[i].to);
    }
    if (!e && !cx->fault.code)
        return fail_field(cx, S("lines"), "must hold at most %d of one item in all", MOVE_MAX);
    return e ? e : cx->fault.code;
}

static enum err book(struct ctx *cx, struct request *rq, struct answer *an) {
    struct booking b = *(struct booking *)rq->in; /* a copy: the closure may run again */
    struct move *m, *rows;
    enum posted posted;
    if (!b.source.p)
        b.source = S("api");
    if (stock_source_reserved(cx, b.source))
        return fail_field(cx, S("source"), "%.*s is a name that the server itself records under",
                          STR_FMT(b.source));
    enum err e = lines_of(cx, &b, &m);
    if (e || (e = lines_of(cx, &b, &rows)))
        return e;
    b.moves = (struct list){m, b.lines.n};
    e = ledger_post(cx, m, &b.moves.n, REQUEST, &posted);
    if (e == ERR_INVALID)
        return name_rows(cx, rows, b.lines.n);
    if (e)
        return e;
    if (posted == REPEATED)
        return answer_object(cx, an, 200, &BOOKING, &b);
    struct str target = b.source_ref.p ? b.source_ref : m[0].sku;
    if ((e = flag_received(cx, m, b.moves.n)) ||
        (e = audit_write(cx, S("stock.booking"), target, (struct json){0}, audit_json(cx, &BOOKING, &b))))
        return e;
    return answer_object(cx, an, 201, &BOOKING, &b);
}

static const enum err REFUSED[] = {ERR_CONFLICT, ERR_INSUFFICIENT, OK};
static const struct route ROUTES[] = {
    ROUTE(POST, "/api/v1/stock/moves/bulk", WRITE, AREA_FLOOR, NEED_WRITE, book,
          "Books several moves under one remark, all or none; with source_ref, sending it again moves"
          " nothing.",
          .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT, .in = &BOOKING, .in_use = CREATE, .out = &BOOKING,
          .body_max = 256 * 1024, .errors = REFUSED),
};

const struct module BOOKING_MODULE = {.name = "bookings", TABLE(routes, ROUTES)};
