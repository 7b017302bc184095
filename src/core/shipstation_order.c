/* Orders of ShipStation: each state of one is kept as a delivery of source shipstation.order, and the newest
 * by the service's own time counts, whatever the order of arrival. An order that was split has several parts,
 * each with an id of its own; V2 writes V1's ids with "se-" before them, and they are one part. */
#include "core/promise.h"
#include "core/shipment_event.h"
#include "core/shipstation.h"
#include "core/shipstation_statements.h"

#include "base/banned.h"

#define ORDER_SOURCE S("shipstation.order")
#define BODY_MAX (1 << 20)
#define NEWER S("A newer state of the order is known.")

static const char *const STATUSES_OF_ORDER[] = {"unpaid", "open", "shipped", "cancelled", NULL};

struct record {
    struct str part, number, status;
    struct instant ordered_at, modified_at;
    struct list items; /* of struct shipment_line */
};
static const struct field LINE_FIELDS[] = {
    FIELD(struct shipment_line, sku, CREATE | OUT | REQUIRED, "The item.", .min = 1, .max = 64),
    FIELD(struct shipment_line, quantity, CREATE | OUT | REQUIRED, "How many.", .min = 1),
};
static const struct schema LINE = SCHEMA(struct shipment_line, "ShipStationOrderLine", LINE_FIELDS);
static const struct field RECORD_FIELDS[] = {
    FIELD_AS(struct record, part, "orderId", CREATE | OUT | REQUIRED, "ShipStation's id.", .min = 1,
             .max = 80),
    FIELD_AS(struct record, number, "orderNumber", CREATE | OUT | REQUIRED, "Its number.", .min = 1,
             .max = 100),
    FIELD(struct record, status, CREATE | OUT | REQUIRED, "What it has come to.",
          .one_of = STATUSES_OF_ORDER),
    FIELD_AS(struct record, ordered_at, "orderedAt", CREATE | OUT | REQUIRED, "When it was made."),
    FIELD_AS(struct record, modified_at, "modifiedAt", CREATE | OUT | REQUIRED, "When it was changed."),
    FIELD(struct record, items, CREATE | OUT, "What is in it.", .max = 5000, .of = &LINE),
};
static const struct schema RECORD = SCHEMA(struct record, "ShipStationOrderState", RECORD_FIELDS);

/* What is known of a part. */
struct part {
    struct str channel, order_ref, status;
    struct instant modified_at;
    struct uuid delivery_id;
};
static const struct field PART_FIELDS[] = {
    FIELD(struct part, channel, ROW, "Where its order was sold."),
    FIELD(struct part, order_ref, ROW, "The channel's name for the order."),
    FIELD(struct part, status, ROW, "What it has come to."),
    FIELD(struct part, modified_at, ROW, "When it was changed."),
    FIELD(struct part, delivery_id, ROW, "The delivery that says so."),
};
static const struct schema PART = SCHEMA(struct part, "KnownOrderPart", PART_FIELDS);

struct place_of_sale {
    struct str channel;
};
static const struct field CHANNEL_FIELDS[] = {FIELD(struct place_of_sale, channel, ROW, "A channel.")};
static const struct schema CHANNEL = SCHEMA(struct place_of_sale, "ChannelOfOrder", CHANNEL_FIELDS);

enum { KNOWN, CHANNELS, PUT_PART, CLEAR_PART, ADD_LINE };
static const struct stmt SQL[] = {
    [KNOWN] = {"order_part_known", TENANT,
               "SELECT o.channel, o.order_ref, p.status, p.modified_at, p.delivery_id FROM order_part p"
               " JOIN sales_order o ON o.org_id = p.org_id AND o.id = p.order_id"
               " WHERE p.org_id = $org AND p.part_ref = $1",
               NULL, &PART},
    /* From channel to channel by the index, of which there are few; their orders are many. */
    [CHANNELS] = {"order_channels_of_number", TENANT,
                  "WITH RECURSIVE c (channel) AS (SELECT min(channel) FROM sales_order WHERE org_id = $org"
                  " UNION ALL SELECT (SELECT min(o.channel) FROM sales_order o WHERE o.org_id = $org"
                  " AND o.channel > c.channel) FROM c WHERE c.channel IS NOT NULL)"
                  " SELECT o.channel FROM c JOIN sales_order o ON o.org_id = $org AND o.channel = c.channel"
                  " AND o.order_ref = $1 ORDER BY o.channel",
                  NULL, &CHANNEL},
    [PUT_PART] = {"order_part_put", TENANT,
                  "INSERT INTO order_part (org_id, part_ref, order_id, status, modified_at, delivery_id)"
                  " VALUES ($org, $1, $2, $3, $4, $5) ON CONFLICT (org_id, part_ref) DO UPDATE SET"
                  " status = excluded.status, modified_at = excluded.modified_at,"
                  " delivery_id = excluded.delivery_id",
                  NULL, NULL},
    [CLEAR_PART] = {"order_part_clear", TENANT,
                    "DELETE FROM order_part_line WHERE org_id = $org AND part_ref = $1", NULL, NULL},
    [ADD_LINE] = {"order_part_line", TENANT,
                  "INSERT INTO order_part_line (org_id, part_ref, sku, quantity) VALUES ($org, $1, $2, $3)"
                  " ON CONFLICT (org_id, part_ref, sku) DO UPDATE SET quantity = excluded.quantity",
                  NULL, NULL},
};

static enum err lines_of(struct ctx *cx, const struct shipstation_parcel *p, struct list *out) {
    const struct shipstation_line *from = p->lines.items;
    struct shipment_line *to = NEW_N(cx->mem, struct shipment_line, p->lines.n + 1);
    if (!to)
        return fail(cx, ERR_MEMORY, "The order has too many lines.");
    for (size_t i = 0; i < p->lines.n; i++)
        to[i] = (struct shipment_line){from[i].sku, from[i].quantity};
    *out = (struct list){to, p->lines.n};
    return shipment_sum_lines(cx, out);
}

/* One state of an order is one event; the same time and status with other items is another, for a person. */
enum err shipstation_order_take(struct ctx *cx, const struct shipstation_parcel *p, struct uuid cause) {
    struct record r = {.part = p->ref,
                       .number = p->order,
                       .status = p->status,
                       .ordered_at = p->at,
                       .modified_at = p->modified};
    struct shipment_event said = {.order = p->order};
    struct delivery d = {.source = ORDER_SOURCE, .cause_id = cause};
    struct buf body = buf_new(cx->mem, BODY_MAX);
    char at[32];
    enum received received;
    enum err e = lines_of(cx, p, &r.items);
    said.lines = r.items;
    if (e || (e = shipment_fingerprint(cx, &said, &d.fingerprint)))
        return e;
    schema_encode(&RECORD, OUT, &r, &body);
    d.event_id = str_printf(cx->mem, "order-%.*s@%.*s:%.*s", STR_FMT(p->ref),
                            STR_FMT(instant_format(p->modified, at)), STR_FMT(p->status));
    if (body.failed || !d.event_id.p)
        return fail(cx, ERR_MEMORY, "The order has too many lines.");
    struct str text = buf_str(&body);
    d.body = (struct bytes){(const unsigned char *)text.p, text.n};
    return inbox_put(cx, &d, &received);
}

static int rank(struct str status) {
    int i = 0;
    while (STATUSES_OF_ORDER[i] && !str_eq(status, str_of(STATUSES_OF_ORDER[i])))
        i++;
    return i;
}

static bool older(const struct record *r, const struct part *known) {
    if (r->modified_at.us != known->modified_at.us)
        return r->modified_at.us < known->modified_at.us;
    return rank(r->status) < rank(known->status);
}

/* An order that was reported under the name of one other channel is that one. */
static enum err name_order(struct ctx *cx, struct str number, struct part *out) {
    struct list rows;
    enum err e = db_list(cx, &SQL[CHANNELS], ARGS(A(number)), &rows);
    const struct place_of_sale *c = rows.items;
    out->order_ref = number;
    out->channel = !e && rows.n == 1 ? c->channel : S("shipstation");
    return e;
}

/* What stood for the part until now need not wait for a person any more. */
static enum err take_over(struct ctx *cx, struct steps *steps, const struct part *known, struct uuid by) {
    struct delivery d;
    bool found;
    if (uuid_eq(known->delivery_id, by))
        return OK;
    enum err e = inbox_get(cx, known->delivery_id, &d, &found);
    if (!e && found && str_eq(d.state, S("exception")))
        inbox_settle(steps, d.id, S("ignored"), NEWER);
    return e;
}

static void write_part(struct steps *steps, const struct record *r, struct uuid order_id,
                       struct uuid delivery) {
    const struct shipment_line *l = r->items.items;
    steps_add(steps, &SQL[PUT_PART],
              ARGS(A(r->part), A(order_id), A(r->status), A(r->modified_at), A(delivery)), NULL);
    steps_add(steps, &SQL[CLEAR_PART], ARGS(A(r->part)), NULL);
    for (size_t i = 0; i < r->items.n; i++)
        steps_add(steps, &SQL[ADD_LINE], ARGS(A(r->part), A(l[i].sku), A(l[i].quantity)), NULL);
    order_settle(steps, order_id);
    inbox_settle(steps, delivery, S("applied"), (struct str){0});
}

static enum err settle(struct ctx *cx, struct uuid id, struct str state, struct str problem) {
    struct steps steps = {.cx = cx};
    inbox_settle(&steps, id, state, problem);
    return steps_run(&steps);
}

static enum err apply_one(struct ctx *cx, const struct delivery *d) {
    struct steps first = {.cx = cx}, last = {.cx = cx};
    struct order_head order = {0};
    struct record r;
    struct part known;
    bool found;
    struct str body = {(const char *)d->body.p, d->body.n};
    enum err e = schema_decode(cx, &RECORD, CREATE, REFUSE_UNKNOWN, body, &r, NULL);
    if (e || (e = shipment_sum_lines(cx, &r.items)) ||
        (e = db_get(cx, &SQL[KNOWN], ARGS(A(r.part)), &known, &found)) ||
        (!found && (e = name_order(cx, r.number, &known))))
        return e;
    if (!str_eq(known.order_ref, r.number))
        return settle(cx, d->id, S("exception"),
                      str_printf(cx->mem, "This order is known under the number %.*s; it keeps that.",
                                 STR_FMT(known.order_ref)));
    order_touch(&first, known.channel, r.number, r.ordered_at, S(""), true, &order);
    if ((e = steps_run(&first)) || (e = promise_lock(cx, order.id)) ||
        (e = db_get(cx, &SQL[KNOWN], ARGS(A(r.part)), &known, &found)))
        return e;
    if (found && older(&r, &known))
        return settle(cx, d->id, S("ignored"), NEWER);
    if (found && (e = take_over(cx, &last, &known, d->id)))
        return e;
    write_part(&last, &r, order.id, d->id);
    e = steps_run(&last);
    return e ? e : promise_balance(cx, order.id);
}

static enum err apply(struct ctx *cx, struct delivery *const *deliveries, size_t n) {
    enum err e = OK;
    cx->actor.name = SHIPMENT_SOURCE;
    for (size_t i = 0; !e && i < n; i++)
        e = apply_one(cx, deliveries[i]);
    return e;
}

static const struct intake_source SOURCES[] = {{"shipstation.order", apply}};

const struct module SHIPSTATION_ORDER_MODULE = {
    .name = "shipstation_order", TABLE(stmts, SQL), TABLE(sources, SOURCES)};
