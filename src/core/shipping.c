#include "core/shipping.h"

#include "base/json.h"
#include "base/settings.h"
#include "core/item.h"
#include "core/ledger.h"
#include "core/secrets.h"

#include <stdlib.h>

#include "base/banned.h"

#define WINDOW_US (5 * 60 * US_PER_S)

/* The body as it stands on the wire. Ids come as numbers or strings; one item may stand at the top. */
struct wire_line {
    struct str sku;
    int64_t quantity;
};
struct wire {
    struct json shipment, order;
    struct str channel, status;
    struct instant timestamp;
    struct list items; /* of struct wire_line */
    struct str sku;
    struct optional_int quantity;
};

/* What is kept while the process lives. */
struct shipping {
    struct secrets *secrets;
    size_t payload_max;
};

#define IN (CREATE | REQUIRED)
static const struct field LINE_FIELDS[] = {
    FIELD(struct wire_line, sku, IN, "What is shipped.", .min = 1, .max = SKU_MAX, .check = sku_valid,
          .rule = SKU_RULE),
    FIELD(struct wire_line, quantity, IN, "How many.", .min = 1, .max = MOVE_MAX),
};
static const struct schema LINE = SCHEMA(struct wire_line, "ShippingLine", LINE_FIELDS);

static const struct field FIELDS[] = {
    FIELD_AS(struct wire, shipment, "shipmentId", IN, "The shipment: a whole number or a text."),
    FIELD_AS(struct wire, order, "orderId", IN, "The order it belongs to: a whole number or a text."),
    FIELD(struct wire, channel, CREATE, "Where it was sold; shipstation if not said.", .min = 1, .max = 64),
    FIELD(struct wire, status, IN, "What has happened to it.", .one_of = SHIPMENT_STATUS),
    FIELD(struct wire, timestamp, IN, "When; within five minutes of the arrival."),
    FIELD(struct wire, items, CREATE, "What is in it; or sku and quantity beside it for one item.", .min = 1,
          .max = 500, .of = &LINE),
    FIELD(struct wire, sku, CREATE, "The one item.", .min = 1, .max = SKU_MAX, .check = sku_valid,
          .rule = SKU_RULE),
    FIELD(struct wire, quantity, CREATE, "How many of the one item.", .min = 1, .max = MOVE_MAX),
};
static const struct schema WIRE = SCHEMA(struct wire, "ShippingEvent", FIELDS);

/* A text of 1 to 100 characters without control characters, or the digits of a whole number of any size. */
static enum err read_id(struct ctx *cx, struct str field, struct str json, struct str *out) {
    struct json_reader r;
    struct str s = {0};
    json_begin(&r, cx->mem, json);
    bool text = json_peek(&r) == JSON_STRING;
    bool good = text ? json_string(&r, &s) : json_peek(&r) == JSON_NUMBER && json_number(&r, &s);
    good = good && s.n >= 1 && s.n <= 100;
    for (size_t i = 0; good && i < s.n; i++)
        good = text ? (unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f : s.p[i] >= '0' && s.p[i] <= '9';
    if (!good)
        return fail_field(cx, field, "must be a whole number or a text of 1 to 100 characters");
    *out = s;
    return OK;
}

static enum err take_lines(struct ctx *cx, const struct wire_line *in, size_t n, struct list *out) {
    struct shipment_line *v = NEW_N(cx->mem, struct shipment_line, n + 1);
    if (!v)
        return fail(cx, ERR_MEMORY, "The event has too many lines.");
    for (size_t i = 0; i < n; i++)
        v[i] = (struct shipment_line){in[i].sku, in[i].quantity};
    *out = (struct list){v, n};
    return shipment_sum_lines(cx, out);
}

static enum err read_lines(struct ctx *cx, const struct wire *w, struct list *out) {
    struct wire_line one = {w->sku, w->quantity.v};
    bool needed = !str_eq(w->status, S("voided")) && !str_eq(w->status, S("cancelled"));
    if (w->items.items && (w->sku.p || w->quantity.has))
        return fail_field(cx, w->sku.p ? S("sku") : S("quantity"), "must not stand beside items");
    if (w->items.items)
        return take_lines(cx, w->items.items, w->items.n, out);
    if (w->sku.p && w->quantity.has)
        return take_lines(cx, &one, 1, out);
    if (w->sku.p)
        return fail_field(cx, S("quantity"), "is required");
    if (w->quantity.has)
        return fail_field(cx, S("sku"), "is required");
    return needed ? fail_field(cx, S("items"), "is required") : take_lines(cx, &one, 0, out);
}

enum err shipping_read(struct ctx *cx, struct str body, struct shipment_event *out) {
    struct wire w;
    struct shipment_event ev = {0};
    enum err e = schema_decode(cx, &WIRE, CREATE, IGNORE_UNKNOWN, body, &w, NULL);
    if (e == ERR_MALFORMED)
        return e;
    if (w.shipment.text.p)
        (void)read_id(cx, S("shipmentId"), w.shipment.text, &ev.shipment);
    if (w.order.text.p)
        (void)read_id(cx, S("orderId"), w.order.text, &ev.order);
    if (w.status.p)
        (void)read_lines(cx, &w, &ev.lines);
    if (cx->fault.code)
        return cx->fault.code;
    ev.channel = w.channel.p ? w.channel : S("shipstation");
    ev.status = w.status;
    ev.at = w.timestamp;
    *out = ev;
    return OK;
}

static enum err head(struct ctx *cx, struct request *rq, struct answer *an) {
    (void)an;
    const struct shipping *state = module_state(cx, &SHIPPING_MODULE);
    size_t n;
    (void)request_header(rq, S("X-ShipStation-Signature"), &n);
    if (n == 0)
        return fail(cx, ERR_UNAUTHENTICATED, "The header X-ShipStation-Signature is missing.");
    if (n > 1)
        return fail(cx, ERR_MALFORMED, "The header X-ShipStation-Signature is there more than once.");
    return request_length(cx, rq, state->payload_max);
}

/* What the HTTP thread leaves for the closure. */
struct arrival {
    struct delivery delivery;
    bool in_window;
};

static enum err prepare(struct ctx *cx, struct request *rq, struct answer *an) {
    (void)an;
    const struct shipping *state = module_state(cx, &SHIPPING_MODULE);
    struct arrival *a = NEW(cx->mem, struct arrival);
    struct shipment_event ev;
    size_t n;
    int64_t which;
    bool found;
    if (!a)
        return fail(cx, ERR_MEMORY, "The request needs more memory than it may have.");
    struct str signature = request_header(rq, S("X-ShipStation-Signature"), &n);
    enum err e = secrets_verify(cx, state->secrets, signature, rq->body, &cx->actor.org, &which, &found);
    if (e)
        return e;
    if (!found)
        return fail(cx, ERR_BAD_SIGNATURE, "The signature does not fit the body.");
    cx->actor.name = S("shipstation");
    if ((e = shipping_read(cx, rq->body, &ev)) ||
        (e = shipment_fingerprint(cx, &ev, &a->delivery.fingerprint)))
        return e;
    a->delivery.source = S("shipstation");
    a->delivery.event_id = shipment_event_id(cx, ev.shipment, ev.status);
    a->delivery.body = (struct bytes){(const unsigned char *)rq->body.p, rq->body.n};
    a->delivery.headers = inbox_headers(cx, rq);
    a->delivery.verdict = inbox_verdict(cx, "hmac-sha256", which);
    int64_t apart = cx->now.us - ev.at.us;
    a->in_window = apart <= WINDOW_US && apart >= -WINDOW_US;
    rq->prepared = a;
    return OK;
}

static enum err receive(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct arrival *a = rq->prepared;
    struct delivery d = a->delivery; /* a copy: the closure may run again */
    enum received received;
    enum err e = a->in_window ? inbox_put(cx, &d, &received) : inbox_known(cx, &d, &received);
    if (e)
        return e;
    if (received == DUPLICATE)
        return answer_text(cx, an, 200, S("application/json"), S("{\"status\":\"duplicate\"}"));
    if (!a->in_window)
        return fail(cx, ERR_OUTSIDE_WINDOW, "timestamp is more than five minutes from now.");
    return answer_text(cx, an, 200, S("application/json"), S("{\"status\":\"ok\"}"));
}

static enum err read_stored(struct ctx *cx, const struct delivery *d, struct shipment_event *out) {
    return shipping_read(cx, (struct str){(const char *)d->body.p, d->body.n}, out);
}
static enum err apply(struct ctx *cx, struct delivery *const *deliveries, size_t n) {
    return shipment_apply(cx, deliveries, n, read_stored);
}
static const struct intake_source SOURCES[] = {{"shipstation", apply}};

static const enum err REFUSED[] = {ERR_UNAUTHENTICATED, ERR_MALFORMED, ERR_LENGTH_REQUIRED,
                                   ERR_TOO_LARGE,       ERR_RATE,      ERR_BAD_SIGNATURE,
                                   ERR_OUTSIDE_WINDOW,  ERR_INVALID,   OK};
static const struct route ROUTES[] = {
    ROUTE(
        POST, "/webhooks/shipstation", WRITE, AREA_PUBLIC, NEED_WRITE, receive,
        "Takes one shipping event, signed by X-ShipStation-Signature (hexadecimal HMAC-SHA256 of the body).",
        .flags = ROUTE_WEBHOOK | ROUTE_RAW, .in = &WIRE, .in_use = CREATE, .errors = REFUSED, .head = head,
        .prepare = prepare, .lane = LANE_INTAKE),
};

static const struct setting SETTINGS[] = {
    {.name = "WEBHOOK_SECRETS",
     .alias = "APP_WEBHOOK_SECRETS",
     .type = SETTING_LIST,
     .fallback = "",
     .secret = true,
     .doc = "Secrets that sign shipping webhooks, comma-separated; org:secret gives one to an organisation "
            "by its slug,"
            " without a prefix it belongs to the oldest. Several are active at once, so that they can be "
            "rotated."},
    {.name = "APP_MAX_PAYLOAD",
     .type = SETTING_INT,
     .fallback = "1024",
     .min = 64,
     .max = 65536,
     .doc = "The largest body of a shipping webhook in its direct form, in bytes."},
};

static enum err start(struct ctx *cx, void **kept) {
    struct shipping *s = calloc(1, sizeof(*s));
    if (s)
        s->secrets = secrets_new(setting_list(cx->modules->settings, "WEBHOOK_SECRETS"));
    if (!s || !s->secrets) {
        free(s);
        return fail(cx, ERR_MEMORY, "The shipping webhook could not start.");
    }
    s->payload_max = (size_t)setting_int(cx->modules->settings, "APP_MAX_PAYLOAD");
    *kept = s;
    return OK;
}

static enum err refresh(struct ctx *cx, void *kept) {
    return secrets_refresh(cx, ((struct shipping *)kept)->secrets);
}

static void stop(void *kept) {
    struct shipping *s = kept;
    secrets_free(s->secrets);
    free(s);
}

const struct module SHIPPING_MODULE = {.name = "shipping",
                                       TABLE(routes, ROUTES),
                                       TABLE(settings, SETTINGS),
                                       TABLE(sources, SOURCES),
                                       .start = start,
                                       .stop = stop,
                                       .refresh = refresh};
