/* Parcels into the inbox. */
#include "core/item.h"
#include "core/ledger.h"
#include "core/shipment_event.h"
#include "core/shipstation.h"
#include "core/shipstation_statements.h"

#include <sodium.h>

#include "base/banned.h"

#define CHANNEL S("shipstation")

struct known_order {
    struct str channel, order_ref;
};
static const struct field ORDER_FIELDS[] = {
    FIELD(struct known_order, channel, ROW, "Where it was sold."),
    FIELD(struct known_order, order_ref, ROW, "The channel's name for it."),
};
static const struct schema KNOWN_ORDER = SCHEMA(struct known_order, "KnownOrder", ORDER_FIELDS);

const struct stmt SHIPSTATION_ORDER_OF = {
    "shipstation_order_of", TENANT,
    "SELECT o.channel, o.order_ref FROM shipment s JOIN sales_order o ON o.org_id = s.org_id"
    " AND o.id = s.order_id WHERE s.org_id = $org AND s.shipment_ref = $1",
    NULL, &KNOWN_ORDER};

const char *const SHIPSTATION_LISTS[] = {
    [SHIPMENT_LIST] = "shipment", [FULFILLMENT_LIST] = "fulfillment",       [ORDER_LIST] = "order",
    [LABEL_LIST] = "label",       [V2_FULFILLMENT_LIST] = "fulfillment-v2", [V2_ORDER_LIST] = "order-v2"};

/* Beside the events, by its content, so that it stands there once however often it is read. */
static enum err keep(struct ctx *cx, enum shipstation_list list, const struct shipstation_parcel *p,
                     struct uuid cause, struct str problem) {
    unsigned char *hash = NEW_N(cx->mem, unsigned char, 16);
    enum received received;
    if (!hash)
        return fail(cx, ERR_MEMORY, "The record does not fit in memory.");
    crypto_generichash(hash, 16, (const unsigned char *)p->raw.p, p->raw.n, NULL, 0);
    struct str hex = hex_encode(cx->mem, (struct bytes){hash, 16});
    struct delivery d = {
        .source = SHIPSTATION_RECORD,
        .event_id = str_printf(cx->mem, "%s#%.*s", SHIPSTATION_LISTS[list], STR_FMT(hex)),
        .fingerprint = {hash, 16},
        .body = {(const unsigned char *)p->raw.p, p->raw.n},
        .cause_id = cause,
    };
    struct steps steps = {.cx = cx};
    enum err e = inbox_put(cx, &d, &received);
    if (e || received != RECEIVED)
        return e;
    inbox_settle(&steps, d.id, S("exception"), problem);
    return steps_run(&steps);
}

/* Why the lines cannot be moved; no value: they can. */
static struct str problem_of_lines(struct ctx *cx, const struct list *lines) {
    const struct shipstation_line *l = lines->items;
    for (size_t i = 0; i < lines->n; i++) {
        if (l[i].sku.n > SKU_MAX || !sku_valid(l[i].sku))
            return str_printf(cx->mem, "The SKU of item %zu " SKU_RULE ".", i + 1);
        if (l[i].quantity > MOVE_MAX)
            return str_printf(cx->mem, "The quantity of %.*s is too large.", STR_FMT(l[i].sku));
    }
    return (struct str){0};
}

static struct str problem_of(struct ctx *cx, const struct shipstation_parcel *p) {
    if (p->problem.p || p->voided || p->is_return)
        return p->problem;
    if (!p->lines.n && !shipstation_is_order(p->list))
        return S("It has no items with a SKU.");
    return problem_of_lines(cx, &p->lines);
}

/* An order that was reported under another channel's name keeps it. */
static enum err name_order(struct ctx *cx, struct shipment_event *ev) {
    struct known_order known;
    bool found;
    enum err e = db_get(cx, &SHIPSTATION_ORDER_OF, ARGS(A(ev->shipment)), &known, &found);
    if (!e && found) {
        ev->channel = known.channel;
        ev->order = known.order_ref;
    }
    return e;
}

static enum err take_event(struct ctx *cx, const struct shipstation_parcel *p, struct uuid cause) {
    if (shipstation_is_order(p->list))
        return shipstation_order_take(cx, p, cause);
    const struct shipstation_line *from = p->lines.items;
    size_t n = p->voided ? 0 : p->lines.n;
    struct shipment_line *lines = NEW_N(cx->mem, struct shipment_line, n + 1);
    struct shipment_event ev = {.shipment = p->ref,
                                .order = p->order,
                                .channel = CHANNEL,
                                .status = p->voided ? S("voided") : S("shipped"),
                                .at = p->at};
    enum received received;
    if (!lines)
        return fail(cx, ERR_MEMORY, "The shipment has too many lines.");
    for (size_t i = 0; i < n; i++)
        lines[i] = (struct shipment_line){from[i].sku, from[i].quantity};
    ev.lines = (struct list){lines, n};
    enum err e = name_order(cx, &ev);
    if (e || (e = shipment_sum_lines(cx, &ev.lines)))
        return e;
    return shipment_take(cx, &ev, cause, &received);
}

enum err shipstation_take(struct ctx *cx, enum shipstation_list list, const struct shipstation_parcel *p,
                          struct uuid cause) {
    if (p->known)
        return OK;
    struct str problem = problem_of(cx, p);
    if (problem.p)
        return keep(cx, list, p, cause, problem);
    return p->is_return ? OK : take_event(cx, p, cause);
}

static enum shipstation_list list_of(const struct delivery *d) {
    struct str name = d->event_id, rest;
    int list = SHIPMENT_LIST;
    (void)str_cut(d->event_id, '#', &name, &rest);
    while (list < V2_ORDER_LIST && !str_eq(name, str_of(SHIPSTATION_LISTS[list])))
        list++;
    return (enum shipstation_list)list;
}

/* A kept record is read again: after an update of the server it may be understood. What it lacks beyond that
 * is asked for by the next fetch or sync. */
enum err shipstation_apply_records(struct ctx *cx, struct delivery *const *deliveries, size_t n) {
    struct steps steps = {.cx = cx};
    enum err e = OK;
    for (size_t i = 0; !e && i < n; i++) {
        const struct delivery *d = deliveries[i];
        struct shipstation_parcel p;
        shipstation_read_parcel(cx, list_of(d), (struct str){(const char *)d->body.p, d->body.n}, &p);
        struct str problem = d->problem.p && !p.has_lines ? d->problem : problem_of(cx, &p);
        if (!problem.p && !p.is_return)
            e = take_event(cx, &p, d->id);
        inbox_settle(&steps, d->id, problem.p ? S("exception") : S("applied"), problem);
    }
    return e ? e : steps_run(&steps);
}
