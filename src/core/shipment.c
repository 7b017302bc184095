#include "core/shipment.h"

#include "core/item.h"
#include "core/ledger.h"
#include "core/order.h"

#include "base/banned.h"

const char *const SHIPMENT_STATUS[] = {"awaiting_shipment", "shipped", "cancelled", "voided",
                                       "returned",          NULL};

struct str shipment_event_id(struct ctx *cx, struct str shipment, struct str status) {
    return str_printf(cx->mem, "%.*s:%.*s", STR_FMT(shipment), STR_FMT(status));
}

/* All that is known of one shipment. A delivery that did not come has no source. */
struct known {
    struct shipment_event event; /* the one being applied */
    shipment_read_fn *read;
    struct str id[STATUSES];
    struct delivery came[STATUSES];
    bool settled[STATUSES]; /* its state is to be written */
};

static bool came(const struct known *k, int status) { return k->came[status].source.p != NULL; }
static bool applied(const struct known *k, int status) {
    return came(k, status) && str_eq(k->came[status].state, S("applied"));
}

/* Decides what becomes of a delivery; written at the end, with the order. */
static enum err settle(struct known *k, int status, struct str state, struct str problem) {
    k->came[status].state = state;
    k->came[status].problem = problem;
    k->settled[status] = true;
    return OK;
}

static enum err load(struct ctx *cx, struct known *k) {
    struct list rows;
    for (int i = 0; i < STATUSES; i++)
        k->id[i] = shipment_event_id(cx, k->event.shipment, str_of(SHIPMENT_STATUS[i]));
    enum err e = inbox_events(cx, S("shipstation"), k->id, &rows);
    if (e)
        return e;
    const struct delivery *d = rows.items;
    for (size_t r = 0; r < rows.n; r++)
        for (int i = 0; i < STATUSES; i++)
            if (str_eq(d[r].event_id, k->id[i]))
                k->came[i] = d[r];
    return OK;
}

/* The lines of an event as moves of that event. */
static enum err moves_of(struct ctx *cx, const struct known *k, int status, struct str from, struct str to,
                         struct move **out, size_t *n) {
    struct shipment_event ev;
    enum err e = k->read(cx, &k->came[status], &ev);
    if (e)
        return e;
    const struct shipment_line *lines = ev.lines.items;
    struct move *m = NEW_N(cx->mem, struct move, ev.lines.n);
    if (!m)
        return fail(cx, ERR_MEMORY, "The shipment has too many lines.");
    for (size_t i = 0; i < ev.lines.n; i++)
        m[i] = (struct move){.sku = lines[i].sku,
                             .quantity = lines[i].quantity,
                             .from = from,
                             .to = to,
                             .reason = str_of(SHIPMENT_STATUS[status]),
                             .source = S("shipstation"),
                             .source_ref = k->id[status]};
    *out = m;
    *n = ev.lines.n;
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

static enum err wait_for_item(struct ctx *cx, struct known *k, int status, struct str sku) {
    struct str why = str_printf(cx->mem, "%.*s is not in the catalogue; applied when it is.", STR_FMT(sku));
    enum err e = inbox_wait(cx, &k->came[status], sku);
    return e ? e : settle(k, status, S("exception"), why);
}

/* Posts the event's lines as facts, or leaves it waiting for the item that the catalogue does not have. */
static enum err post(struct ctx *cx, struct known *k, int status, struct move *m, size_t n) {
    struct str unknown = {0};
    enum posted posted;
    enum err e = first_unknown(cx, m, n, &unknown);
    if (e)
        return e;
    if (unknown.p)
        return wait_for_item(cx, k, status, unknown);
    struct str only = m[0].sku;
    e = ledger_post(cx, m, &n, FACT, &posted);
    if (e == ERR_INVALID && n == 1) {
        fault_clear(cx);
        return wait_for_item(cx, k, status, only);
    }
    return e ? e : settle(k, status, S("applied"), (struct str){0});
}

static enum err settle_shipped(struct ctx *cx, struct known *k) {
    struct move *m;
    size_t n;
    if (!came(k, SHIPPED) || applied(k, SHIPPED))
        return OK;
    if (applied(k, VOIDED))
        return settle(k, SHIPPED, S("applied"), (struct str){0});
    enum err e = moves_of(cx, k, SHIPPED, S("warehouse"), S("customer"), &m, &n);
    return e ? e : post(cx, k, SHIPPED, m, n);
}

/* Takes back exactly what the event moved, as moves of the void. */
static enum err take_back(struct ctx *cx, const struct known *k, int status) {
    struct list moved;
    enum posted posted;
    enum err e = ledger_of_event(cx, S("shipstation"), k->id[status], &moved);
    if (e || moved.n == 0)
        return e;
    struct move *m = moved.items;
    for (size_t i = 0; i < moved.n; i++) {
        struct str from = m[i].from;
        m[i].from = m[i].to;
        m[i].to = from;
        m[i].reverses = m[i].id;
        m[i].reason = S("voided");
        m[i].source_ref = k->id[VOIDED];
    }
    return ledger_post(cx, m, &moved.n, FACT, &posted);
}

static enum err settle_voided(struct ctx *cx, struct known *k) {
    if (!came(k, VOIDED) || applied(k, VOIDED))
        return OK;
    enum err e = take_back(cx, k, SHIPPED);
    if (e)
        return e;
    if (applied(k, RETURNED)) {
        if ((e = take_back(cx, k, RETURNED)))
            return e;
        k->came[RETURNED].state = S("pending");
    }
    if (came(k, SHIPPED) && !applied(k, SHIPPED)) /* it waits for an item, and need not any more */
        (void)settle(k, SHIPPED, S("applied"), (struct str){0});
    return settle(k, VOIDED, S("applied"), (struct str){0});
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

static enum err settle_returned(struct ctx *cx, struct known *k) {
    struct move *m;
    size_t n;
    struct list shipped;
    if (!came(k, RETURNED) || applied(k, RETURNED))
        return OK;
    if (came(k, VOIDED))
        return settle(k, RETURNED, S("exception"),
                      S("The shipment was voided, so nothing of it can come back."));
    enum err e = moves_of(cx, k, RETURNED, S("customer"), S("warehouse"), &m, &n);
    if (e || (e = ledger_of_event(cx, S("shipstation"), k->id[SHIPPED], &shipped)))
        return e;
    if (!within(m, n, &shipped))
        return settle(k, RETURNED, S("exception"), S("More came back than is known to be shipped."));
    return post(cx, k, RETURNED, m, n);
}

/* What the shipment has come to, from all that is known of it. */
static struct str conclude(const struct known *k) {
    if (came(k, VOIDED))
        return S("voided");
    if (applied(k, RETURNED))
        return S("returned");
    if (came(k, SHIPPED))
        return S("shipped");
    if (came(k, CANCELLED))
        return S("cancelled");
    return came(k, AWAITING_SHIPMENT) ? S("awaiting_shipment") : S("known");
}

/* The order's lines: what was shipped counts; what was announced before stands until then. */
static enum err lines_of(struct ctx *cx, const struct known *k, struct order_lines *out) {
    const struct shipment_line *l = k->event.lines.items;
    bool shipped = str_eq(k->event.status, S("shipped"));
    bool speaks = shipped || (str_eq(k->event.status, S("awaiting_shipment")) && !came(k, SHIPPED));
    out->n = speaks ? k->event.lines.n : 0;
    out->replace = shipped && came(k, AWAITING_SHIPMENT);
    out->v = NEW_N(cx->mem, struct order_line, out->n + 1);
    if (!out->v)
        return fail(cx, ERR_MEMORY, "The shipment has too many lines.");
    for (size_t i = 0; i < out->n; i++)
        out->v[i] = (struct order_line){k->event.shipment, l[i].sku, l[i].quantity};
    return OK;
}

/* awaiting_shipment and cancelled act on the order alone. */
static void settle_recorded(struct known *k) {
    static const int RECORDED[] = {AWAITING_SHIPMENT, CANCELLED};
    for (size_t i = 0; i < 2; i++)
        if (str_eq(k->event.status, str_of(SHIPMENT_STATUS[RECORDED[i]])))
            (void)settle(k, RECORDED[i], S("applied"), (struct str){0});
}

enum err shipment_apply(struct ctx *cx, struct delivery *d, shipment_read_fn *read) {
    struct known k = {.read = read};
    struct order_shipment sh;
    struct order_lines lines;
    struct step also[STATUSES];
    size_t n = 0;
    cx->actor.name = d->source;
    enum err e = read(cx, d, &k.event);
    if (e || (e = order_touch(cx, k.event.channel, k.event.order, k.event.shipment, k.event.at, &sh)) ||
        (e = load(cx, &k)) || (e = settle_shipped(cx, &k)) || (e = settle_voided(cx, &k)) ||
        (e = settle_returned(cx, &k)) || (e = lines_of(cx, &k, &lines)))
        return e;
    settle_recorded(&k);
    for (int i = 0; i < STATUSES; i++)
        if (k.settled[i])
            also[n++] = inbox_settle_step(cx, &k.came[i], k.came[i].state, k.came[i].problem);
    return order_settle(cx, sh.order_id, k.event.shipment, conclude(&k), lines, also, n);
}
