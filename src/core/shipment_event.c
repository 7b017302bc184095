#include "core/shipment_event.h"

#include "base/json.h"
#include "core/ledger.h"

#include <sodium.h>
#include <stddef.h>

#include "base/banned.h"

#define EVENT_TEXT_MAX (1 << 17)

const char *const SHIPMENT_STATUS[] = {"awaiting_shipment", "shipped", "cancelled", "voided",
                                       "returned",          NULL};

struct str shipment_event_id(struct ctx *cx, struct str shipment, struct str status) {
    return str_printf(cx->mem, "%.*s:%.*s", STR_FMT(shipment), STR_FMT(status));
}

static int by_sku(const void *a, const void *b) {
    return str_cmp(((const struct shipment_line *)a)->sku, ((const struct shipment_line *)b)->sku);
}

enum err shipment_sum_lines(struct ctx *cx, struct list *lines) {
    bool fits = ledger_sum_lines(lines->items, &lines->n, sizeof(struct shipment_line),
                                 offsetof(struct shipment_line, quantity), by_sku);
    return fits ? OK : fail_field(cx, S("items"), "must hold at most %d of one item in all", MOVE_MAX);
}

enum err shipment_fingerprint(struct ctx *cx, const struct shipment_event *ev, struct bytes *out) {
    struct buf text = buf_new(cx->mem, EVENT_TEXT_MAX);
    unsigned char *hash = NEW_N(cx->mem, unsigned char, 16);
    const struct shipment_line *l = ev->lines.items;
    json_put_string(&text, ev->order);
    for (size_t i = 0; i < ev->lines.n; i++) {
        buf_byte(&text, '\n');
        buf_int(&text, l[i].quantity);
        buf_byte(&text, ' ');
        buf_add(&text, l[i].sku);
    }
    if (text.failed || !hash)
        return fail(cx, ERR_MEMORY, "The event has too many lines.");
    crypto_generichash(hash, 16, (const unsigned char *)text.p, text.n, NULL, 0);
    *out = (struct bytes){hash, 16};
    return OK;
}

static void put(struct buf *b, bool *first, struct str key, struct str value) {
    json_put_key(b, first, key);
    json_put_string(b, value);
}

/* The event as the webhook's direct form has it, which is how the job reads it back. */
static void encode(const struct shipment_event *ev, struct buf *b) {
    const struct shipment_line *l = ev->lines.items;
    char at[32];
    bool first = true;
    buf_byte(b, '{');
    put(b, &first, S("shipmentId"), ev->shipment);
    put(b, &first, S("orderId"), ev->order);
    put(b, &first, S("channel"), ev->channel);
    put(b, &first, S("status"), ev->status);
    put(b, &first, S("timestamp"), instant_format(ev->at, at));
    if (ev->lines.n)
        json_put_key(b, &first, S("items"));
    for (size_t i = 0; i < ev->lines.n; i++) {
        bool inner = true;
        buf_add(b, i ? S(",{") : S("[{"));
        put(b, &inner, S("sku"), l[i].sku);
        json_put_key(b, &inner, S("quantity"));
        buf_int(b, l[i].quantity);
        buf_byte(b, '}');
    }
    buf_add(b, ev->lines.n ? S("]}") : S("}"));
}

enum err shipment_delivery(struct ctx *cx, const struct shipment_event *ev, struct delivery *out) {
    struct buf body = buf_new(cx->mem, EVENT_TEXT_MAX);
    *out = (struct delivery){.source = SHIPMENT_SOURCE,
                             .event_id = shipment_event_id(cx, ev->shipment, ev->status)};
    encode(ev, &body);
    if (body.failed || !out->event_id.p)
        return fail(cx, ERR_MEMORY, "The event has too many lines.");
    struct str text = buf_str(&body);
    out->body = (struct bytes){(const unsigned char *)text.p, text.n};
    return shipment_fingerprint(cx, ev, &out->fingerprint);
}

enum err shipment_take(struct ctx *cx, const struct shipment_event *ev, struct uuid cause,
                       enum received *out) {
    struct delivery d;
    enum err e = shipment_delivery(cx, ev, &d);
    d.cause_id = cause;
    return e ? e : inbox_put(cx, &d, out);
}
