#include "core/shipment.h"

#include "core/item.h"
#include "core/ledger.h"
#include "core/order.h"
#include "core/promise.h"
#include "core/reservation.h"
#include "core/shipment_lot.h"

#include <stdlib.h>

#include "base/banned.h"

/* What is stored of a shipment: the deliveries that came, by status, and what they have led to. */
struct shipment {
    struct uuid order_id, came[STATUSES];
    bool shipped_done;  /* its stock has moved, or never will, because it was voided */
    bool voided_done;   /* nothing of it counts any more */
    bool returned_done; /* its stock is back */
};
static const struct field FIELDS[] = {
    FIELD(struct shipment, order_id, ROW, "The order it belongs to."),
    FIELD_AS(struct shipment, came[AWAITING_SHIPMENT], "awaiting_id", ROW, "The delivery that announced it."),
    FIELD_AS(struct shipment, came[SHIPPED], "shipped_id", ROW, "The delivery that says it left."),
    FIELD_AS(struct shipment, came[CANCELLED], "cancelled_id", ROW, "The delivery that cancels it."),
    FIELD_AS(struct shipment, came[VOIDED], "voided_id", ROW, "The delivery that takes it back."),
    FIELD_AS(struct shipment, came[RETURNED], "returned_id", ROW, "The delivery that says it came back."),
    FIELD(struct shipment, shipped_done, ROW, "Whether shipped is dealt with."),
    FIELD(struct shipment, voided_done, ROW, "Whether voided is dealt with."),
    FIELD(struct shipment, returned_done, ROW, "Whether returned is dealt with."),
};
static const struct schema SHIPMENT = SCHEMA(struct shipment, "Shipment", FIELDS);

enum { TOUCH, SETTLE };
#define KEEP(column) column " = COALESCE(shipment." column ", excluded." column ")"
static const struct stmt SQL[] = {
    [TOUCH] =
        {"shipment_touch", TENANT,
         "INSERT INTO shipment (org_id, shipment_ref, order_id, state, updated_at, awaiting_id, shipped_id,"
         " cancelled_id, voided_id, returned_id, shipped_done, voided_done, returned_done)"
         " SELECT o.org_id, $1, o.id, 'known', $4, $5, $6, $7, $8, $9, FALSE, FALSE, FALSE"
         " FROM sales_order o WHERE o.org_id = $org AND o.channel = $2 AND o.order_ref = $3"
         " ON CONFLICT (org_id, shipment_ref) DO UPDATE SET updated_at = excluded.updated_at,"
         " " KEEP("awaiting_id") ", " KEEP("shipped_id") ", " KEEP("cancelled_id") ", " KEEP(
             "voided_id") ", " KEEP("returned_id") " WHERE shipment.order_id = excluded.order_id"
                                                   " RETURNING order_id, awaiting_id, shipped_id, "
                                                   "cancelled_id, voided_id, returned_id, shipped_done,"
                                                   " voided_done, returned_done",
         NULL, &SHIPMENT},
    [SETTLE] = {"shipment_settle", TENANT,
                "UPDATE shipment SET state = $2, updated_at = $3, shipped_done = $4, voided_done = $5,"
                " returned_done = $6 WHERE org_id = $org AND shipment_ref = $1",
                NULL, NULL},
};

/* One delivery being applied: the event that it is, what is stored of its shipment, and what is to be
 * written. */
struct applying {
    struct delivery *delivery;
    struct shipment_event event;
    int status;
    struct shipment ship;
    struct order_head order;
    shipment_read_fn *read;
    struct steps *out;
};

static bool came(const struct applying *a, int status) { return !uuid_is_nil(a->ship.came[status]); }

static struct str ref(struct ctx *cx, const struct applying *a, int status) {
    return shipment_event_id(cx, a->event.shipment, str_of(SHIPMENT_STATUS[status]));
}

static void settle(struct applying *a, int status, struct str state, struct str problem) {
    inbox_settle(a->out, a->ship.came[status], state, problem);
}
static void settle_applied(struct applying *a, int status) {
    settle(a, status, S("applied"), (struct str){0});
}

static int status_of(struct str name) {
    int i = 0;
    while (SHIPMENT_STATUS[i + 1] && !str_eq(name, str_of(SHIPMENT_STATUS[i])))
        i++;
    return i;
}

/* Locks order and shipment for the rest of the transaction, and learns what is known of it. */
static void touch(struct steps *steps, struct applying *a) {
    const struct shipment_event *ev = &a->event;
    struct uuid id[STATUSES] = {0};
    id[a->status] = a->delivery->id;
    order_touch(steps, ev->channel, ev->order, ev->at, ev->shipment, a->status == AWAITING_SHIPMENT,
                &a->order);
    steps_add(steps, &SQL[TOUCH],
              ARGS(A(ev->shipment), A(ev->channel), A(ev->order), A(steps->cx->now), A(id[AWAITING_SHIPMENT]),
                   A(id[SHIPPED]), A(id[CANCELLED]), A(id[VOIDED]), A(id[RETURNED])),
              &a->ship);
}

enum err shipment_moves(struct ctx *cx, struct str shipment, int status, const struct list *event_lines,
                        struct move **out) {
    const struct shipment_line *lines = event_lines->items;
    struct move *m = NEW_N(cx->mem, struct move, event_lines->n);
    bool back = status == RETURNED;
    if (!m)
        return fail(cx, ERR_MEMORY, "The shipment has too many lines.");
    for (size_t i = 0; i < event_lines->n; i++)
        m[i] = (struct move){.sku = lines[i].sku,
                             .quantity = lines[i].quantity,
                             .from = back ? S("customer") : S("warehouse"),
                             .to = back ? S("warehouse") : S("customer"),
                             .reason = str_of(SHIPMENT_STATUS[status]),
                             .source = SHIPMENT_SOURCE,
                             .source_ref = shipment_event_id(cx, shipment, str_of(SHIPMENT_STATUS[status]))};
    *out = m;
    return OK;
}

/* One line needs no look beforehand: the ledger refuses it without having changed anything. */
static enum err first_unknown(struct ctx *cx, const struct move *m, size_t n, struct str *sku) {
    struct item it;
    bool found = true;
    for (size_t i = 0; n > 1 && i < n; i++) {
        enum err e = item_find(cx, m[i].sku, &it, &found);
        if (e)
            return e;
        if (!found) {
            *sku = m[i].sku;
            return OK;
        }
    }
    return OK;
}

static enum err wait_for_item(struct ctx *cx, struct applying *a, int status, struct str sku) {
    struct str why = str_printf(cx->mem, "%.*s is not in the catalogue; applied when it is.", STR_FMT(sku));
    bool come = false;
    enum err e = inbox_wait(cx, a->ship.came[status], sku, &come);
    if (e)
        return e;
    if (come) /* just now, from elsewhere: the job is run again */
        return fail(cx, ERR_UNAVAILABLE, "%.*s has just entered the catalogue.", STR_FMT(sku));
    settle(a, status, S("exception"), why);
    return OK;
}

/* What is reserved for the shipment, as holds that fall. */
static enum err promised(struct ctx *cx, const struct applying *a, struct list *rows, struct holds *holds) {
    *holds = (struct holds){0};
    *rows = (struct list){0};
    if (!came(a, AWAITING_SHIPMENT))
        return OK;
    enum err e = reservation_of_event(cx, SHIPMENT_SOURCE, ref(cx, a, AWAITING_SHIPMENT), rows);
    const struct reservation *r = rows->items;
    if (!e && rows->n && !(holds->v = NEW_N(cx->mem, struct hold, rows->n)))
        return fail(cx, ERR_MEMORY, "The shipment has too many lines.");
    for (size_t i = 0; !e && i < rows->n; i++)
        if (str_eq(r[i].state, S("pending")))
            holds->v[holds->n++] = (struct hold){r[i].sku, r[i].place, -r[i].quantity};
    return e;
}

static int64_t quantity_of(const struct move *m, size_t n, struct str sku) {
    for (size_t i = 0; i < n; i++)
        if (str_eq(m[i].sku, sku))
            return m[i].quantity;
    return 0;
}

/* The reservations of a shipment that has left with these moves, or never will. */
static void settle_promised(struct applying *a, const struct list *rows, const struct move *m, size_t n) {
    const struct reservation *r = rows->items;
    for (size_t i = 0; i < rows->n; i++) {
        int64_t left = quantity_of(m, n, r[i].sku);
        reservation_settle(a->out, r[i].id, left ? S("posted") : S("voided"),
                           left < r[i].quantity ? left : r[i].quantity);
    }
}

static int64_t total_of(const struct move *m, size_t n, const struct move *like) {
    int64_t total = 0;
    for (size_t i = 0; i < n; i++)
        if (str_eq(m[i].sku, like->sku) && str_eq(m[i].from, like->from) && str_eq(m[i].to, like->to))
            total += m[i].quantity;
    return total;
}

/* Whether the ledger has other moves under this event's name. One line needs no look beforehand here either;
 * of several, the first would stand when a later one is refused. */
static enum err recorded_otherwise(struct ctx *cx, const struct move *m, size_t n, bool *otherwise) {
    struct list known = {0};
    enum err e = n > 1 ? ledger_of_event(cx, m[0].source, m[0].source_ref, &known) : OK;
    *otherwise = false;
    for (size_t i = 0; known.n > 0 && i < n; i++)
        *otherwise = *otherwise || total_of(m, n, &m[i]) != total_of(known.items, known.n, &m[i]);
    return e;
}

#define RECORDED_OTHERWISE S("The ledger has other moves under this event's name.")

/* Posts the lines as facts, or leaves the event waiting for the item that the catalogue does not have. */
static enum err post(struct ctx *cx, struct applying *a, int status, struct move *m, size_t n, bool *done) {
    struct str unknown = {0}, only = m[0].sku;
    bool otherwise;
    struct list rows = {0};
    struct holds holds = {0};
    enum posted posted;
    enum err e = first_unknown(cx, m, n, &unknown);
    if (e)
        return e;
    if (unknown.p)
        return wait_for_item(cx, a, status, unknown);
    if ((e = recorded_otherwise(cx, m, n, &otherwise)))
        return e;
    if (otherwise) {
        settle(a, status, S("exception"), RECORDED_OTHERWISE);
        return OK;
    }
    if (status == SHIPPED && (e = promised(cx, a, &rows, &holds)))
        return e;
    e = ledger_post_holds(cx, m, &n, holds, FACT, &posted);
    if (e == ERR_INVALID && n == 1) {
        fault_clear(cx);
        return wait_for_item(cx, a, status, only);
    }
    if (e == ERR_CONFLICT && n == 1) {
        fault_clear(cx);
        settle(a, status, S("exception"), RECORDED_OTHERWISE);
        return OK;
    }
    if (e)
        return e;
    if (posted == POSTED && holds.n)
        settle_promised(a, &rows, m, n);
    *done = true;
    settle_applied(a, status);
    return OK;
}

static void settle_cancelled(struct applying *a) {
    bool left = came(a, SHIPPED) && !a->ship.voided_done;
    if (came(a, CANCELLED) && left)
        settle(a, CANCELLED, S("exception"), S("The shipment has left already, so it cannot be cancelled."));
    else if (came(a, CANCELLED))
        settle_applied(a, CANCELLED);
}

static enum err apply_shipped(struct ctx *cx, struct applying *a) {
    struct move *m;
    if (a->ship.shipped_done || a->ship.voided_done) {
        a->ship.shipped_done = true;
        settle_applied(a, SHIPPED);
        return OK;
    }
    enum err e = shipment_moves(cx, a->event.shipment, SHIPPED, &a->event.lines, &m);
    return e ? e : post(cx, a, SHIPPED, m, a->event.lines.n, &a->ship.shipped_done);
}

/* Takes back exactly what the event moved, as moves of the void. */
static enum err take_back(struct ctx *cx, const struct applying *a, int status) {
    struct list moved;
    enum posted posted;
    enum err e = ledger_of_event(cx, SHIPMENT_SOURCE, ref(cx, a, status), &moved);
    if (e || moved.n == 0)
        return e;
    struct move *m = moved.items;
    for (size_t i = 0; i < moved.n; i++) {
        struct str from = m[i].from;
        m[i].from = m[i].to;
        m[i].to = from;
        m[i].reverses = m[i].id;
        m[i].reason = S("voided");
        m[i].source_ref = ref(cx, a, VOIDED);
    }
    return ledger_post(cx, m, &moved.n, FACT, &posted);
}

#define NOTHING_TO_RETURN S("The shipment was voided, so nothing of it can come back.")

/* A shipped event that waits for an item need not wait any more, and a return cannot stand. */
static enum err apply_voided(struct ctx *cx, struct applying *a) {
    enum err e = a->ship.voided_done ? OK : take_back(cx, a, SHIPPED);
    if (!e && a->ship.returned_done)
        e = take_back(cx, a, RETURNED);
    if (e)
        return e;
    if (came(a, SHIPPED) && !a->ship.shipped_done)
        settle_applied(a, SHIPPED);
    if (came(a, RETURNED))
        settle(a, RETURNED, S("exception"), NOTHING_TO_RETURN);
    a->ship.shipped_done = came(a, SHIPPED);
    a->ship.returned_done = false;
    a->ship.voided_done = true;
    settle_applied(a, VOIDED);
    return OK;
}

static bool within(const struct move *returned, size_t n, const struct list *shipped) {
    const struct move *s = shipped->items;
    for (size_t i = 0; i < n; i++) {
        int64_t left = 0;
        for (size_t j = 0; j < shipped->n; j++)
            if (str_eq(s[j].sku, returned[i].sku))
                left += s[j].quantity;
        if (returned[i].quantity > left)
            return false;
    }
    return true;
}

static enum err apply_returned(struct ctx *cx, struct applying *a, const struct list *lines) {
    struct move *m;
    struct list shipped;
    if (a->ship.voided_done) {
        settle(a, RETURNED, S("exception"), NOTHING_TO_RETURN);
        return OK;
    }
    enum err e = shipment_moves(cx, a->event.shipment, RETURNED, lines, &m);
    if (e || (e = ledger_of_event(cx, SHIPMENT_SOURCE, ref(cx, a, SHIPPED), &shipped)))
        return e;
    if (!within(m, lines->n, &shipped)) {
        settle(a, RETURNED, S("exception"), S("More came back than is known to be shipped."));
        return OK;
    }
    return post(cx, a, RETURNED, m, lines->n, &a->ship.returned_done);
}

/* A return that came before its shipment is looked at again once that has moved. */
static enum err return_again(struct ctx *cx, struct applying *a) {
    struct delivery d;
    struct shipment_event ev;
    bool found;
    enum err e = inbox_to_apply(cx, a->ship.came[RETURNED], &d, &found);
    if (e || !found || (e = a->read(cx, &d, &ev)))
        return e;
    return apply_returned(cx, a, &ev.lines);
}

static enum err decide(struct ctx *cx, struct applying *a) {
    enum err e = OK;
    switch (a->status) {
    case SHIPPED:
        e = apply_shipped(cx, a);
        if (!e && a->ship.shipped_done && came(a, RETURNED) && !a->ship.returned_done)
            e = return_again(cx, a);
        break;
    case VOIDED:
        e = apply_voided(cx, a);
        break;
    case RETURNED:
        if (!a->ship.returned_done)
            return apply_returned(cx, a, &a->event.lines);
        settle_applied(a, RETURNED);
        return OK;
    default:
        break;
    }
    if (!e)
        settle_cancelled(a);
    return e;
}

/* What the shipment has come to, from all that is known of it. */
static struct str conclude(const struct applying *a) {
    if (a->ship.voided_done)
        return S("voided");
    if (a->ship.returned_done)
        return S("returned");
    if (came(a, SHIPPED))
        return S("shipped");
    if (came(a, CANCELLED))
        return S("cancelled");
    return came(a, AWAITING_SHIPMENT) ? S("awaiting_shipment") : S("known");
}

/* The order's lines: what was shipped counts; what was announced before stands until then. */
static void write_lines(struct applying *a) {
    const struct shipment_line *l = a->event.lines.items;
    bool speaks = a->status == SHIPPED || (a->status == AWAITING_SHIPMENT && !came(a, SHIPPED));
    if (speaks && came(a, AWAITING_SHIPMENT))
        order_clear_lines(a->out, a->ship.order_id, a->event.shipment);
    for (size_t i = 0; speaks && i < a->event.lines.n; i++) {
        struct order_line line = {a->event.shipment, l[i].sku, l[i].quantity};
        order_add_line(a->out, a->ship.order_id, &line);
    }
}

static void write_result(struct applying *a) {
    write_lines(a);
    steps_add(a->out, &SQL[SETTLE],
              ARGS(A(a->event.shipment), A(conclude(a)), A(a->out->cx->now), A(a->ship.shipped_done),
                   A(a->ship.voided_done), A(a->ship.returned_done)),
              NULL);
    order_settle(a->out, a->ship.order_id);
}

static enum err apply_one(struct ctx *cx, struct applying *a) {
    struct steps first = {.cx = cx}, last = {.cx = cx};
    touch(&first, a);
    a->out = &last;
    enum err e = steps_run(&first);
    if (!e && first.v[first.n - 1].changed == 0) {
        inbox_settle(&last, a->delivery->id, S("exception"),
                     S("The shipment belongs to another order, so this has no effect."));
        return steps_run(&last);
    }
    if (e || (a->order.promised && (e = promise_lock(cx, a->order.id))) || (e = decide(cx, a)))
        return e;
    write_result(a);
    e = steps_run(&last);
    return e || !a->order.promised ? e : promise_balance(cx, a->order.id);
}

static int by_order(const void *x, const void *y) {
    const struct shipment_event *a = &((const struct applying *)x)->event,
                                *b = &((const struct applying *)y)->event;
    int c = str_cmp(a->channel, b->channel);
    if (c == 0)
        c = str_cmp(a->order, b->order);
    return c ? c : str_cmp(a->shipment, b->shipment);
}

/* All at once if they are what most are: the first that is heard of their shipments. */
static enum err apply_lot(struct ctx *cx, const struct applying *a, size_t n, bool *applied) {
    struct lot lot = {NEW_N(cx->mem, struct shipped, n), n};
    *applied = false;
    if (!lot.v)
        return fail(cx, ERR_MEMORY, "The deliveries do not fit in memory.");
    for (size_t i = 0; i < n; i++) {
        if (a[i].status != SHIPPED || !a[i].event.lines.n || !str_eq(a[i].delivery->state, S("pending")))
            return OK;
        lot.v[i] = (struct shipped){a[i].delivery->id, &a[i].event};
    }
    enum err e = db_attempt(cx, shipment_lot, &lot);
    *applied = e == OK;
    if (e != ERR_CONFLICT)
        return e;
    fault_clear(cx);
    return OK;
}

enum err shipment_apply(struct ctx *cx, struct delivery *const *deliveries, size_t n,
                        shipment_read_fn *read) {
    struct applying *a = NEW_N(cx->mem, struct applying, n);
    bool applied = false;
    enum err e = OK;
    if (!a)
        return fail(cx, ERR_MEMORY, "The deliveries do not fit in memory.");
    cx->actor.name = deliveries[0]->source;
    for (size_t i = 0; !e && i < n; i++) {
        a[i] = (struct applying){.delivery = deliveries[i], .read = read};
        e = read(cx, deliveries[i], &a[i].event);
        a[i].status = e ? 0 : status_of(a[i].event.status);
    }
    if (e)
        return e;
    qsort(a, n, sizeof(*a), by_order); /* rows are locked in one order by all who take several */
    if (n > 1)
        e = apply_lot(cx, a, n, &applied);
    for (size_t i = 0; !e && !applied && i < n; i++)
        e = apply_one(cx, &a[i]);
    return e;
}

const struct module SHIPMENT_MODULE = {.name = "shipments", TABLE(stmts, SQL)};
