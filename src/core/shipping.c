#include "core/shipping.h"

#include "base/json.h"
#include "base/settings.h"
#include "core/item.h"
#include "core/ledger.h"
#include "core/secrets.h"
#include "core/shipstation.h"
#include "core/shipstation_keys.h"
#include "net/answer.h"

#include <sodium.h>
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
    struct shipstation_keys *keys;
    size_t payload_max;
    bool thin; /* a token is set, so that V1 and V2 may come */
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
    ev.shipment = shipstation_plain_id(ev.shipment);
    ev.channel = w.channel.p ? w.channel : S("shipstation");
    ev.status = w.status;
    ev.at = w.timestamp;
    *out = ev;
    return OK;
}

/* How a delivery proves where it comes from. */
enum form { DIRECT, THIN, THIN_SIGNED };
enum proof { SIGNATURE, KEY_ID, RSA_SIGNATURE, TIMESTAMP, PROOFS };
static const char *const PROOF_HEADERS[] = {
    [SIGNATURE] = "X-ShipStation-Signature",
    [KEY_ID] = "x-shipengine-rsa-sha256-key-id",
    [RSA_SIGNATURE] = "x-shipengine-rsa-sha256-signature",
    [TIMESTAMP] = "x-shipengine-timestamp",
};
#define THIN_MAX (64 * 1024)

static struct str proof(const struct request *rq, enum proof which, size_t *n) {
    return request_header(rq, str_of(PROOF_HEADERS[which]), n);
}

static enum err thin_form(struct ctx *cx, const size_t n[static PROOFS], struct str token, enum form *out) {
    bool rsa = n[KEY_ID] + n[RSA_SIGNATURE] + n[TIMESTAMP] > 0;
    for (int i = KEY_ID; rsa && i < PROOFS; i++)
        if (n[i] == 0)
            return fail(cx, ERR_UNAUTHENTICATED, "The header %s is missing.", PROOF_HEADERS[i]);
    if (!token.p)
        return fail(
            cx, ERR_UNAUTHENTICATED,
            rsa ? "The token in the URL is missing: the signature is that of all the vendor's customers."
                : "The header X-ShipStation-Signature is missing.");
    *out = rsa ? THIN_SIGNED : THIN;
    return OK;
}

static enum err form_of(struct ctx *cx, const struct request *rq, struct str *token, enum form *out) {
    size_t n[PROOFS];
    for (int i = 0; i < PROOFS; i++) {
        (void)proof(rq, (enum proof)i, &n[i]);
        if (n[i] > 1)
            return fail(cx, ERR_MALFORMED, "The header %s is there more than once.", PROOF_HEADERS[i]);
    }
    *token = (struct str){0};
    if (request_query(cx, rq, S("token"), token)) {
        fault_clear(cx);
        return fail(cx, ERR_MALFORMED, "The token in the URL is there more than once, or cannot be read.");
    }
    if (n[SIGNATURE] && (n[KEY_ID] + n[RSA_SIGNATURE] + n[TIMESTAMP] || token->p))
        return fail(cx, ERR_MALFORMED, "It is signed in more than one form.");
    *out = DIRECT;
    return n[SIGNATURE] ? OK : thin_form(cx, n, *token, out);
}

static enum err head(struct ctx *cx, struct request *rq, struct answer *an) {
    (void)an;
    const struct shipping *state = module_state(cx, &SHIPPING_MODULE);
    struct str token;
    enum form form;
    enum err e = form_of(cx, rq, &token, &form);
    return e ? e : request_length(cx, rq, form == DIRECT ? state->payload_max : THIN_MAX);
}

/* What the HTTP thread leaves for the closure. */
struct arrival {
    struct delivery delivery;
    bool in_window;
    bool key_unknown, keys_stale;
};

static bool in_window(const struct ctx *cx, struct instant at) {
    int64_t apart = cx->now.us - at.us;
    return apart <= WINDOW_US && apart >= -WINDOW_US;
}

static enum err prepare_direct(struct ctx *cx, const struct request *rq, struct arrival *a) {
    struct shipment_event ev;
    bool found;
    int64_t which;
    struct str signature = proof(rq, SIGNATURE, NULL);
    enum err e = secrets_verify(cx, SECRETS_DIRECT, signature, rq->body, &cx->actor.org, &which, &found);
    if (e)
        return e;
    if (!found)
        return fail(cx, ERR_BAD_SIGNATURE, "The signature does not fit the body.");
    if ((e = shipping_read(cx, rq->body, &ev)) ||
        (e = shipment_fingerprint(cx, &ev, &a->delivery.fingerprint)))
        return e;
    a->delivery.source = SHIPMENT_SOURCE;
    a->delivery.event_id = shipment_event_id(cx, ev.shipment, ev.status);
    a->delivery.verdict = inbox_verdict(cx, "hmac-sha256", which);
    a->in_window = in_window(cx, ev.at);
    return OK;
}

/* A token is compared as a key is: by what it signs, in constant time. */
static enum err verify_token(struct ctx *cx, struct str token, int64_t *which) {
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state keyed;
    struct str text = S("token");
    bool found;
    crypto_auth_hmacsha256_init(&keyed, (const unsigned char *)token.p, token.n);
    crypto_auth_hmacsha256_update(&keyed, (const unsigned char *)text.p, text.n);
    crypto_auth_hmacsha256_final(&keyed, mac);
    struct str made = hex_encode(cx->mem, (struct bytes){mac, sizeof(mac)});
    enum err e = secrets_verify(cx, SECRETS_TOKENS, made, text, &cx->actor.org, which, &found);
    if (e)
        return e;
    return found && token.n ? OK : fail(cx, ERR_BAD_SIGNATURE, "The token is not one of those that are set.");
}

static enum err verify_signed(struct ctx *cx, const struct request *rq, struct arrival *a) {
    const struct shipping *state = module_state(cx, &SHIPPING_MODULE);
    struct shipstation_signature s = {proof(rq, KEY_ID, NULL), proof(rq, TIMESTAMP, NULL),
                                      proof(rq, RSA_SIGNATURE, NULL)};
    enum verdict verdict;
    struct instant at;
    enum err e = shipstation_keys_verify(cx, state->keys, &s, rq->body, &verdict, &a->keys_stale);
    if (e)
        return e;
    a->key_unknown = verdict == KEY_UNKNOWN;
    if (verdict == NOT_SIGNED)
        return fail(cx, ERR_BAD_SIGNATURE, "The signature does not fit the body.");
    a->in_window = shipstation_timestamp(s.timestamp, &at) && in_window(cx, at);
    return OK;
}

static enum err prepare_thin(struct ctx *cx, const struct request *rq, struct str token, bool is_signed,
                             struct arrival *a) {
    struct shipstation_notice notice;
    a->in_window = true; /* V1 says no time */
    int64_t which;
    enum err e = verify_token(cx, token, &which);
    if (e || (is_signed && (e = verify_signed(cx, rq, a))) || a->key_unknown)
        return e;
    if ((e = shipstation_notice_read(cx, is_signed, rq->body, &notice, &a->delivery.source)))
        return e;
    unsigned char *hash = NEW_N(cx->mem, unsigned char, 16);
    a->delivery.event_id =
        str_printf(cx->mem, "%.*s %.*s", STR_FMT(notice.resource_type), STR_FMT(notice.resource_url));
    if (!hash || !a->delivery.event_id.p)
        return fail(cx, ERR_MEMORY, "The request needs more memory than it may have.");
    crypto_generichash(hash, 16, (const unsigned char *)a->delivery.event_id.p, a->delivery.event_id.n, NULL,
                       0);
    a->delivery.fingerprint = (struct bytes){hash, 16};
    a->delivery.verdict = inbox_verdict(cx, is_signed ? "token and rsa-sha256" : "token", which);
    return OK;
}

static enum err prepare(struct ctx *cx, struct request *rq, struct answer *an) {
    (void)an;
    struct arrival *a = NEW(cx->mem, struct arrival);
    struct str token;
    enum form form;
    if (!a)
        return fail(cx, ERR_MEMORY, "The request needs more memory than it may have.");
    enum err e = form_of(cx, rq, &token, &form);
    if (e)
        return e;
    cx->actor.name = SHIPMENT_SOURCE;
    a->delivery.body = (struct bytes){(const unsigned char *)rq->body.p, rq->body.n};
    a->delivery.headers = inbox_headers(cx, rq);
    rq->prepared = a;
    return form == DIRECT ? prepare_direct(cx, rq, a) : prepare_thin(cx, rq, token, form == THIN_SIGNED, a);
}

/* The answer is an error, but what it asks for is kept: the keys are fetched, and the sender comes again. */
static enum err ask_for_keys(struct ctx *cx, struct answer *an) {
    enum err e = shipstation_keys_want(cx);
    if (e)
        return e;
    (void)fail(cx, ERR_UNAVAILABLE, "The key that signed it is not known yet; it is being fetched.");
    answer_fault(cx, an);
    answer_header(an, S("Retry-After"), S("10"));
    fault_clear(cx);
    return OK;
}

static enum err receive(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct arrival *a = rq->prepared;
    struct delivery d = a->delivery; /* a copy: the closure may run again */
    enum received received;
    if (a->key_unknown)
        return ask_for_keys(cx, an);
    enum err e = a->keys_stale ? shipstation_keys_want(cx) : OK;
    if (e)
        return e;
    e = a->in_window ? inbox_put(cx, &d, &received) : inbox_known(cx, &d, &received);
    if (e)
        return e;
    if (received == DUPLICATE)
        return answer_text(cx, an, 200, S("application/json"), S("{\"status\":\"duplicate\"}"));
    if (!a->in_window)
        return fail(cx, ERR_OUTSIDE_WINDOW, "Its time is more than five minutes from now.");
    return answer_text(cx, an, 200, S("application/json"), S("{\"status\":\"ok\"}"));
}

/* The plain case of many at once: they are new. */
static enum err receive_lot(const struct piece *v, size_t n) {
    struct steps rows = {.cx = v[0].cx};
    enum err e = OK;
    for (size_t i = 0; !e && i < n; i++) {
        const struct arrival *a = v[i].rq->prepared;
        struct delivery d = a->delivery;
        if (a->key_unknown || a->keys_stale || !a->in_window)
            return fail(v[0].cx, ERR_CONFLICT, "One of the deliveries is not plain.");
        if (!(e = inbox_put_row(&rows, v[i].cx, &d)))
            e = answer_text(v[i].cx, v[i].an, 200, S("application/json"), S("{\"status\":\"ok\"}"));
    }
    return e ? e : inbox_put_rows(&rows);
}

static enum err read_stored(struct ctx *cx, const struct delivery *d, struct shipment_event *out) {
    enum err e = shipping_read(cx, (struct str){(const char *)d->body.p, d->body.n}, out);
    struct str kept = d->event_id, status;
    /* Before 0026 "se-1001" was a shipment of its own, and what came so stays it. */
    if (!e && str_starts(d->event_id, S("se-")) && !str_starts(out->shipment, S("se-"))) {
        (void)str_cut(d->event_id, ':', &kept, &status);
        out->shipment = kept;
    }
    return e;
}
static enum err apply(struct ctx *cx, struct delivery *const *deliveries, size_t n) {
    return shipment_apply(cx, deliveries, n, read_stored);
}
static const struct intake_source SOURCES[] = {{"shipstation", apply}};

static const enum err REFUSED[] = {ERR_UNAUTHENTICATED, ERR_MALFORMED, ERR_LENGTH_REQUIRED,
                                   ERR_TOO_LARGE,       ERR_RATE,      ERR_BAD_SIGNATURE,
                                   ERR_OUTSIDE_WINDOW,  ERR_INVALID,   OK};
static const struct route ROUTES[] = {
    ROUTE(POST, "/webhooks/shipstation", WRITE, AREA_PUBLIC, NEED_WRITE, receive,
          "Takes one shipping event, signed by X-ShipStation-Signature (hexadecimal HMAC-SHA256 of the "
          "body); or"
          " a thin payload of ShipStation ({resource_url, resource_type}) with its secret as ?token=, in V2 "
          "signed"
          " by the vendor's key as well.",
          .flags = ROUTE_WEBHOOK | ROUTE_RAW, .in = &WIRE, .in_use = CREATE, .errors = REFUSED, .head = head,
          .prepare = prepare, .lane = LANE_INTAKE, .lot = receive_lot),
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
            "rotated.",
     .check_all = secrets_one_owner_each,
     .rule_all = SECRETS_RULE},
    {.name = "SHIPSTATION_WEBHOOK_TOKENS",
     .type = SETTING_LIST,
     .fallback = "",
     .secret = true,
     .doc = "Secrets that ShipStation's own webhooks carry as ?token=, comma-separated, in the form of "
            "WEBHOOK_SECRETS. Needed for V1 and V2.",
     .check_all = secrets_one_owner_each,
     .rule_all = SECRETS_RULE},
    {.name = "APP_MAX_PAYLOAD",
     .type = SETTING_INT,
     .fallback = "1024",
     .min = 64,
     .max = 65536,
     .doc = "The largest body of a shipping webhook in its direct form, in bytes."},
};

static void stop(void *kept) {
    struct shipping *s = kept;
    shipstation_keys_free(s->keys);
    free(s);
}

static enum err start(struct ctx *cx, void **kept) {
    const struct settings *settings = cx->modules->settings;
    struct shipping *s = calloc(1, sizeof(*s));
    if (!s)
        return fail(cx, ERR_MEMORY, "The shipping webhook could not start.");
    s->thin = setting_list(settings, "SHIPSTATION_WEBHOOK_TOKENS").n > 0;
    s->keys = shipstation_keys_new();
    s->payload_max = (size_t)setting_int(settings, "APP_MAX_PAYLOAD");
    if (!s->keys) {
        stop(s);
        return fail(cx, ERR_MEMORY, "The shipping webhook could not start.");
    }
    *kept = s;
    return OK;
}

static enum err refresh(struct ctx *cx, void *kept) {
    struct shipping *s = kept;
    return s->thin ? shipstation_keys_refresh(cx, s->keys) : OK;
}

const struct module SHIPPING_MODULE = {.name = "shipping",
                                       TABLE(routes, ROUTES),
                                       TABLE(settings, SETTINGS),
                                       TABLE(sources, SOURCES),
                                       .start = start,
                                       .stop = stop,
                                       .refresh = refresh};
