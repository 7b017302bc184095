#include "base/json.h"
#include "base/settings.h"
#include "core/ingest.h"
#include "core/secrets.h"
#include "core/smartsheet.h"
#include "core/smartsheet_webhook.h"
#include "net/answer.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/banned.h"

#define DAY_US (24 * 3600 * US_PER_S)
#define HASH 16
#define DIRECT_MAX (64 * 1024)
/* Smartsheet switches a webhook off whose callbacks are refused, and one callback holds all that a large
 * change of a sheet did. */
#define CALLBACK_MAX (1024 * 1024)
#define EVENTS_MAX 20000
#define CHALLENGE_MAX 1000

static const struct field EVENT_FIELDS[] = {
    FIELD_AS(struct sheet_event, object, "objectType", CREATE, "What changed: a row, a cell, …"),
    FIELD_AS(struct sheet_event, event, "eventType", CREATE, "created, updated or deleted."),
    FIELD(struct sheet_event, id, CREATE, "The id of what changed."),
    FIELD_AS(struct sheet_event, row, "rowId", CREATE, "The row of a cell."),
    FIELD_AS(struct sheet_event, row_lower, "rowid", CREATE, "The same, as the published schema spells it."),
};
static const struct schema EVENT = SCHEMA(struct sheet_event, "SmartsheetEvent", EVENT_FIELDS);
static const struct field CALLBACK_FIELDS[] = {
    FIELD(struct callback, nonce, CREATE, "The callback's own name.", .max = 200),
    FIELD_AS(struct callback, status, "newWebhookStatus", CREATE, "What became of the webhook itself."),
    FIELD_AS(struct callback, sheet, "scopeObjectId", CREATE | REQUIRED, "The sheet."),
    FIELD(struct callback, events, CREATE, "What changed in it.", .max = EVENTS_MAX, .of = &EVENT),
};
const struct schema CALLBACK = SCHEMA(struct callback, "SmartsheetCallback", CALLBACK_FIELDS);

/* What the HTTP thread leaves for the closure. */
struct arrival {
    struct delivery delivery;
    bool unnamed; /* known by its body alone, and for a day */
    struct str scan;
    bool bad;
};

static enum err head(struct ctx *cx, struct request *rq, struct answer *an) {
    (void)an;
    size_t challenge, plain, service;
    (void)request_header(rq, S("Smartsheet-Hook-Challenge"), &challenge);
    (void)request_header(rq, S("X-Smartsheet-Signature"), &plain);
    (void)request_header(rq, S("Smartsheet-Hmac-SHA256"), &service);
    if (challenge > 1 || plain + service > 1)
        return fail(cx, ERR_MALFORMED, "There is more than one signature or challenge.");
    if (challenge + plain + service == 0)
        return fail(cx, ERR_UNAUTHENTICATED,
                    "Neither X-Smartsheet-Signature nor Smartsheet-Hmac-SHA256 is there.");
    return request_length(cx, rq, service ? CALLBACK_MAX : DIRECT_MAX);
}

/* An id is a text of 1 to 100 characters or a whole number; no value where there is none. */
static enum err read_id(struct ctx *cx, const char *field, struct str json, struct str *out) {
    struct json_reader r;
    struct str s = {0};
    json_begin(&r, cx->mem, json);
    enum json_type type = json_peek(&r);
    if (type == JSON_NULL)
        return OK;
    bool good = type == JSON_STRING ? json_string(&r, &s) : type == JSON_NUMBER && json_number(&r, &s);
    good = good && s.n >= 1 && s.n <= 100;
    for (size_t i = 0; good && i < s.n; i++)
        good = type == JSON_STRING ? (unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f
                                   : s.p[i] >= '0' && s.p[i] <= '9';
    if (!good)
        return fail_field(cx, str_of(field), "must be a whole number or a text of 1 to 100 characters");
    *out = s;
    return OK;
}

/* The top of the body: whose form it has, and its id. Only its shape; scan_members says whether it is JSON.
 */
struct top {
    bool callback;
    struct str id;
};
static enum err read_top(struct ctx *cx, struct str body, struct top *out) {
    struct json_reader r;
    struct str key, value, id = {0}, scan_id = {0};
    bool first = true;
    *out = (struct top){0};
    json_begin(&r, cx->mem, body);
    bool good = json_enter(&r, JSON_OBJECT);
    while (good && json_next(&r, &key, &first) && json_skip(&r, &value)) {
        out->callback = out->callback || str_eq(key, S("events")) || str_eq(key, S("newWebhookStatus"));
        if (str_eq(key, S("id")))
            id = value;
        if (str_eq(key, S("scan_id")))
            scan_id = value;
    }
    if (!json_end(&r))
        return fail(cx, ERR_MALFORMED, "The body is not a JSON object: %s.", r.problem);
    if (out->callback)
        return OK;
    return id.p        ? read_id(cx, "id", id, &out->id)
           : scan_id.p ? read_id(cx, "scan_id", scan_id, &out->id)
                       : OK;
}

static enum err read_callback(struct ctx *cx, struct str body, struct arrival *a) {
    struct callback c;
    enum err e = schema_decode(cx, &CALLBACK, CREATE, IGNORE_UNKNOWN, body, &c, NULL);
    if (e)
        return e;
    struct str hex = hex_encode(cx->mem, a->delivery.fingerprint);
    a->delivery.source = S("smartsheet.callback");
    a->delivery.event_id = c.nonce.n ? c.nonce : str_printf(cx->mem, "body:%.*s", STR_FMT(hex));
    return OK;
}

static enum err read_direct(struct ctx *cx, struct str body, struct str id, struct arrival *a) {
    struct scan s;
    if (body.n > DIRECT_MAX)
        return fail(cx, ERR_TOO_LARGE, "A scan may have at most %d bytes.", DIRECT_MAX);
    enum err e = scan_members(cx, body, &a->scan);
    if (e)
        return e;
    e = schema_decode(cx, &SCAN, CREATE, REFUSE_UNKNOWN, a->scan, &s, NULL);
    if (e && e != ERR_INVALID)
        return e;
    a->bad = e == ERR_INVALID; /* a bad scan is kept, and then refused by the closure */
    fault_clear(cx);
    a->delivery.source = S("smartsheet");
    a->delivery.event_id = id;
    a->unnamed = !id.p;
    return OK;
}

static enum err verify(struct ctx *cx, struct request *rq, struct arrival *a) {
    int64_t which;
    bool found;
    struct str signature = request_header(rq, S("Smartsheet-Hmac-SHA256"), NULL);
    if (!signature.p)
        signature = request_header(rq, S("X-Smartsheet-Signature"), NULL);
    enum err e = secrets_verify(cx, SECRETS_SMARTSHEET, signature, rq->body, &cx->actor.org, &which, &found);
    if (!e && !found) {
        which = 0; /* the webhook's own */
        e = webhook_verify(cx, signature, rq->body, &cx->actor.org, &found);
    }
    if (e)
        return e;
    if (!found)
        return fail(cx, ERR_BAD_SIGNATURE, "The signature does not fit the body.");
    cx->actor.name = S("smartsheet");
    a->delivery.headers = inbox_headers(cx, rq);
    a->delivery.verdict = inbox_verdict(cx, "hmac-sha256", which);
    return OK;
}

static bool printable(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.n > 0 && s.n <= CHALLENGE_MAX;
}

/* Only echoed, whoever asks: the answer says nothing that the question does not. It is whole before any
 * closure, so that nobody without a signature gets a place among the writes. */
static enum err answer_challenge(struct ctx *cx, struct answer *an, struct str challenge) {
    struct buf b = buf_new(cx->mem, 4 * CHALLENGE_MAX);
    if (!printable(challenge))
        return fail(cx, ERR_MALFORMED, "The challenge is not 1 to %d visible ASCII characters.",
                    CHALLENGE_MAX);
    buf_add(&b, S("{\"smartsheetHookResponse\":"));
    json_put_string(&b, challenge);
    buf_byte(&b, '}');
    answer_header(an, S("Smartsheet-Hook-Response"), challenge);
    an->whole = true;
    return answer_text(cx, an, 200, S("application/json"), buf_str(&b));
}

static enum err prepare(struct ctx *cx, struct request *rq, struct answer *an) {
    struct str challenge = request_header(rq, S("Smartsheet-Hook-Challenge"), NULL);
    if (challenge.p)
        return answer_challenge(cx, an, challenge);
    struct arrival *a = NEW(cx->mem, struct arrival);
    unsigned char *hash = NEW_N(cx->mem, unsigned char, HASH);
    struct top top;
    if (!a || !hash)
        return fail(cx, ERR_MEMORY, "The request needs more memory than it may have.");
    rq->prepared = a;
    enum err e = verify(cx, rq, a);
    if (e || (e = read_top(cx, rq->body, &top)))
        return e;
    crypto_generichash(hash, HASH, (const unsigned char *)rq->body.p, rq->body.n, NULL, 0);
    a->delivery.fingerprint = (struct bytes){hash, HASH};
    a->delivery.body = (struct bytes){(const unsigned char *)rq->body.p, rq->body.n};
    return top.callback ? read_callback(cx, rq->body, a) : read_direct(cx, rq->body, top.id, a);
}

/* A body without an id stands for the same scan for 24 hours. Names carry the day, so that of two at the same
 * moment one is the other's repeat. */
static enum err name_unnamed(struct ctx *cx, struct delivery *d, bool *known) {
    struct str hex = hex_encode(cx->mem, d->fingerprint);
    long long day = (long long)(cx->now.us / DAY_US);
    struct delivery before;
    enum err e = inbox_of_event(cx, d->source, str_printf(cx->mem, "body:%.*s:%lld", STR_FMT(hex), day - 1),
                                &before, known);
    *known = !e && *known && before.received_at.us > cx->now.us - DAY_US;
    d->event_id = str_printf(cx->mem, "body:%.*s:%lld", STR_FMT(hex), day);
    return e;
}

static enum err receive(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct arrival *a = rq->prepared;
    struct delivery d = a->delivery; /* a copy: the closure may run again */
    struct scan s;
    enum received received;
    bool known = false;
    enum err e = OK;
    if (a->unnamed)
        e = name_unnamed(cx, &d, &known);
    if (!e && !known)
        e = inbox_put(cx, &d, &received);
    if (e || !a->bad)
        return e ? e : answer_text(cx, an, 200, S("application/json"), S("{\"status\":\"ok\"}"));
    if ((e = schema_decode(cx, &SCAN, CREATE, REFUSE_UNKNOWN, a->scan, &s, NULL)) != ERR_INVALID)
        return e;
    answer_fault(cx, an); /* the refusal is the answer; what was kept is to be committed */
    fault_clear(cx);
    return OK;
}

/* What stands in the way of a row, for people. */
static struct str tell(struct ctx *cx) {
    struct buf b = buf_new(cx->mem, 1 << 14);
    buf_add(&b, S("Refused, and kept as an exception: "));
    for (size_t i = 0; i < cx->fault.n; i++)
        buf_printf(&b, "%s%.*s %.*s", i ? "; " : "", STR_FMT(cx->fault.problems[i].field),
                   STR_FMT(cx->fault.problems[i].problem));
    if (cx->fault.n == 0)
        buf_add(&b, cx->fault.message);
    return b.failed ? S("Refused, and kept as an exception.") : buf_str(&b);
}

/* The scan, under the delivery's name for it; a bad one becomes an exception, which stands for it from then
 * on. */
static enum err ingest(struct ctx *cx, const struct delivery *d, struct str text, enum err wrong) {
    struct exception_origin from = {
        .kind = S("scan"), .source = S("smartsheet"), .ref = inbox_ref(d), .delivery_id = d->id};
    struct steps steps = {.cx = cx};
    struct scan_result r = {0};
    struct uuid id;
    struct str problem = {0};
    bool refused = wrong != OK;
    enum err e = wrong ? exception_add(cx, &from, text, &id) : ingest_row(cx, &from, text, &r, &refused);
    if (!e && !refused && !r.repeated) /* the row may have been bad before it was completed */
        e = exception_made_good(cx, from.source, from.ref);
    if (e)
        return e;
    if (refused) {
        problem = tell(cx);
        fault_clear(cx);
    }
    inbox_settle(&steps, d->id, S("applied"), problem);
    return steps_run(&steps);
}

static enum err apply_direct(struct ctx *cx, struct delivery *const *deliveries, size_t n) {
    enum err e = OK;
    cx->actor.name = S("smartsheet");
    for (size_t i = 0; !e && i < n; i++) {
        struct str text, body = {(const char *)deliveries[i]->body.p, deliveries[i]->body.n};
        if (!(e = scan_members(cx, body, &text)))
            e = ingest(cx, deliveries[i], text, OK);
    }
    return e;
}

static enum err apply_rows(struct ctx *cx, struct delivery *const *deliveries, size_t n) {
    enum err e = OK;
    cx->actor.name = S("smartsheet");
    for (size_t i = 0; !e && i < n; i++) {
        struct kept_row row;
        struct str text, body = {(const char *)deliveries[i]->body.p, deliveries[i]->body.n};
        if ((e = schema_decode(cx, &KEPT_ROW, CREATE, IGNORE_UNKNOWN, body, &row, NULL)))
            return e;
        enum err wrong = kept_row_scan(cx, &row, &text);
        e = wrong && wrong != ERR_INVALID ? wrong : ingest(cx, deliveries[i], text, wrong);
    }
    return e;
}

static const struct intake_source SOURCES[] = {
    {"smartsheet", apply_direct},
    {"smartsheet.row", apply_rows},
    {"smartsheet.callback", callback_apply},
};

static const enum err REFUSED[] = {ERR_UNAUTHENTICATED,
                                   ERR_MALFORMED,
                                   ERR_LENGTH_REQUIRED,
                                   ERR_TOO_LARGE,
                                   ERR_BAD_SIGNATURE,
                                   ERR_INVALID,
                                   OK};
static const struct route ROUTES[] = {
    ROUTE(POST, "/webhooks/smartsheet/scan", WRITE, AREA_PUBLIC, NEED_WRITE, receive,
          "Takes one scan, or Smartsheet's callback about changed rows, signed by X-Smartsheet-Signature or "
          "Smartsheet-Hmac-SHA256 (hexadecimal HMAC-SHA256 of the body); echoes Smartsheet-Hook-Challenge.",
          .flags = ROUTE_WEBHOOK | ROUTE_RAW | ROUTE_UNLIMITED, .in = &SCAN, .in_use = CREATE,
          .body_max = CALLBACK_MAX, .errors = REFUSED, .head = head, .prepare = prepare, .lane = LANE_INTAKE),
};

static const struct setting SETTINGS[] = {
    {.name = "SMARTSHEET_WEBHOOK_SECRET",
     .type = SETTING_LIST,
     .fallback = "",
     .secret = true,
     .doc = "Secrets that sign scans from Smartsheet, comma-separated: the sharedSecret of each webhook, and "
            "those of "
            "direct senders; org:secret gives one to an organisation by its slug, without a prefix it "
            "belongs to the "
            "oldest.",
     .check_all = secrets_one_owner_each,
     .rule_all = SECRETS_RULE},
};

const struct module SMARTSHEET_SCAN_MODULE = {
    .name = "smartsheet_scan", TABLE(routes, ROUTES), TABLE(settings, SETTINGS), TABLE(sources, SOURCES)};
