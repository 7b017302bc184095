#include "core/ingest.h"

#include "base/json.h"
#include "core/exception.h"
#include "core/flag.h"
#include "core/item.h"
#include "core/ledger.h"
#include "core/place.h"
#include "identity/audit.h"
#include "net/answer.h"

#include "base/banned.h"

#define ROWS_MAX 500

static const struct field FIELDS[] = {
    FIELD(struct scan, sku, CREATE | REQUIRED, "What was scanned.", .min = 1, .max = SKU_MAX,
          .check = sku_valid, .rule = SKU_RULE),
    FIELD(struct scan, name, CREATE, "A name for an item that is new.", .max = 500),
    FIELD(struct scan, quantity, CREATE | REQUIRED, "How many; 0 makes or touches the item only.", .min = 0,
          .max = MOVE_MAX),
    FIELD(struct scan, location, CREATE, "The code of the place that receives it; warehouse if not said.",
          .min = 1, .max = 64),
    FIELD(struct scan, barcode, CREATE, "The code that was read, for an item that is new.", .min = 1,
          .max = 128),
    FIELD(struct scan, scan_id, CREATE,
          "The scanner's own name for this scan; with it, sending twice counts once.", .min = 1, .max = 200),
};
const struct schema SCAN = SCHEMA(struct scan, "Scan", FIELDS);

static const struct field RESULT_FIELDS[] = {
    FIELD(struct scan_result, sku, OUT, "What was scanned."),
    FIELD(struct scan_result, quantity, OUT, "How many were received."),
    FIELD(struct scan_result, place, OUT, "Where."),
    FIELD(struct scan_result, created, OUT, "Whether the item is new."),
    FIELD(struct scan_result, move_id, OUT, "The move in the ledger; null when nothing moved."),
};
static const struct schema RESULT = SCHEMA(struct scan_result, "ScanResult", RESULT_FIELDS);

struct row_result {
    int64_t index;
    struct json result;
    struct str problem;
};
static const struct field ROW_FIELDS[] = {
    FIELD(struct row_result, index, OUT, "Which scan of the array, from 0."),
    FIELD(struct row_result, result, OUT, "What it came to, as for a single scan; null when it was refused."),
    FIELD(struct row_result, problem, OUT, "Why it was refused and kept as an exception."),
};
static const struct schema ROW_RESULT = SCHEMA(struct row_result, "ScanRowResult", ROW_FIELDS);

static struct str barcode_type(struct str code) {
    bool digits = true;
    for (size_t i = 0; i < code.n; i++)
        digits = digits && code.p[i] >= '0' && code.p[i] <= '9';
    return digits && code.n == 12 ? S("UPC") : digits && code.n == 13 ? S("EAN") : S("OTHER");
}

static enum err ensure_item(struct ctx *cx, const struct scan *s, bool *created) {
    struct item it;
    bool found;
    enum err e = item_find(cx, s->sku, &it, &found);
    *created = false;
    if (e || found)
        return e;
    struct barcode *code = NEW(cx->mem, struct barcode);
    if (!code)
        return fail(cx, ERR_MEMORY, "The scan does not fit.");
    *code = (struct barcode){barcode_type(s->barcode), s->barcode};
    it = (struct item){.sku = s->sku, .name = s->name};
    if (s->barcode.p)
        it.barcodes = (struct list){code, 1};
    return item_create(cx, &it, created);
}

/* The scanner's name stands for one scan: what came under it before must have been the same. Looked at first,
 * so that a refusal leaves nothing behind. */
static enum err same_scan(struct ctx *cx, const struct scan *s, struct str source, struct str place) {
    struct list known;
    enum err e = ledger_of_event(cx, source, s->scan_id, &known);
    if (e || known.n == 0)
        return e;
    const struct move *m = known.items;
    if (str_eq(m->sku, s->sku) && str_eq(m->to, place) && m->quantity == s->quantity)
        return OK;
    return fail(cx, ERR_CONFLICT, "The scan_id %.*s was used before for another scan.", STR_FMT(s->scan_id));
}

/* source names the move's source. An error leaves everything as it was (the statements that ran refused), so
 * the closure may go on. */
static enum err ingest_scan(struct ctx *cx, const struct scan *s, struct str source,
                            struct scan_result *out) {
    struct place p;
    bool found;
    struct str code = s->location.p ? s->location : S("warehouse");
    enum err e = place_find(cx, code, &p, &found);
    if (e)
        return e;
    if (!found)
        return fail_field(cx, S("location"), "there is no place with the code %.*s", STR_FMT(code));
    if (!p.bounded)
        return fail_field(cx, S("location"), "%.*s is no place that stock can be received at", STR_FMT(code));
    if (s->scan_id.p && (e = same_scan(cx, s, source, p.code)))
        return e;
    *out = (struct scan_result){.sku = s->sku, .quantity = s->quantity, .place = p.code};
    if ((e = ensure_item(cx, s, &out->created)) || s->quantity == 0)
        return e;
    struct move m = {.sku = s->sku,
                     .quantity = s->quantity,
                     .from = S("supplier"),
                     .to = p.code,
                     .reason = S("received"),
                     .source = source,
                     .source_ref = s->scan_id};
    size_t n = 1;
    enum posted posted;
    if ((e = ledger_post(cx, &m, &n, REQUEST, &posted)))
        return e;
    out->move_id = m.id;
    out->repeated = posted == REPEATED;
    if (out->repeated || (e = flag_received(cx, &m, 1)))
        return e;
    return audit_change(cx, S("stock.scan"), m.sku, &MOVE, NULL, &m);
}

/* A scan counts under its own name; one without, under the name that its source has for it. */
static enum err take(struct ctx *cx, struct scan *s, struct str source, struct str ref,
                     struct scan_result *out) {
    bool named = s->scan_id.p != NULL;
    if (!named)
        s->scan_id = ref;
    return ingest_scan(cx, s, named ? S("scan") : source, out);
}

enum err ingest_row(struct ctx *cx, const struct exception_origin *from, struct str text,
                    struct scan_result *out, bool *refused) {
    struct scan s;
    struct uuid id;
    struct exception_origin origin = *from;
    enum err e = schema_decode(cx, &SCAN, CREATE, REFUSE_UNKNOWN, text, &s, NULL);
    bool named = (!e || e == ERR_INVALID) && s.scan_id.p;
    if (named)
        origin.ref = s.scan_id;
    if (!e)
        e = take(cx, &s, from->source, from->ref, out);
    *refused = e == ERR_INVALID || e == ERR_CONFLICT;
    if (*refused)
        return exception_add(cx, &origin, text, &id);
    return !e && named && !out->repeated ? exception_made_good(cx, origin.source, origin.ref) : e;
}

static const struct exception_origin BY_API = {.kind = {"scan", 4}, .source = {"scan", 4}};

static enum err answer_result(struct ctx *cx, struct answer *an, const struct scan_result *r,
                              bool touched_only) {
    int status = r->repeated || (touched_only && !r->created) ? 200 : 201;
    return answer_object(cx, an, status, &RESULT, r);
}

static enum err ingest_one(struct ctx *cx, struct str text, struct answer *an) {
    struct scan_result r;
    bool refused;
    enum err e = ingest_row(cx, &BY_API, text, &r, &refused);
    if (e)
        return e;
    if (!refused)
        return answer_result(cx, an, &r, r.quantity == 0);
    answer_fault(cx, an);
    fault_clear(cx); /* the refusal is the answer; the exception that was kept is to be committed */
    return OK;
}

/* The fault of one row as one line of text. */
static struct str tell(struct ctx *cx) {
    struct buf b = buf_new(cx->mem, 1 << 14);
    for (size_t i = 0; i < cx->fault.n; i++)
        buf_printf(&b, "%s%.*s %.*s", i ? "; " : "", STR_FMT(cx->fault.problems[i].field),
                   STR_FMT(cx->fault.problems[i].problem));
    return cx->fault.n && !b.failed ? buf_str(&b) : cx->fault.message;
}

static enum err ingest_in_array(struct ctx *cx, struct str text, struct row_result *out) {
    struct scan_result r;
    bool refused;
    enum err e = ingest_row(cx, &BY_API, text, &r, &refused);
    if (e)
        return e;
    if (refused) {
        out->problem = tell(cx);
        fault_clear(cx);
        return OK;
    }
    struct buf b = buf_new(cx->mem, 4096);
    schema_encode(&RESULT, OUT, &r, &b);
    out->result.text = buf_str(&b);
    return b.failed ? fail(cx, ERR_MEMORY, "The result does not fit.") : OK;
}

static enum err ingest_array(struct ctx *cx, struct str body, struct answer *an) {
    struct json_reader r;
    struct str text;
    struct row_result *rows = NEW_N(cx->mem, struct row_result, ROWS_MAX);
    size_t n = 0;
    bool first = true;
    if (!rows)
        return fail(cx, ERR_MEMORY, "The array does not fit.");
    json_begin(&r, cx->mem, body);
    bool good = json_enter(&r, JSON_ARRAY);
    while (good && json_next(&r, NULL, &first)) {
        if (!json_skip(&r, &text))
            break;
        if (n == ROWS_MAX)
            return fail_field(cx, S("body"), "must hold at most %d scans", ROWS_MAX);
        rows[n].index = (int64_t)n;
        enum err e = ingest_in_array(cx, text, &rows[n++]);
        if (e)
            return e;
    }
    if (!json_end(&r))
        return fail(cx, ERR_MALFORMED, "The body is not JSON: %s.", r.problem);
    return answer_list(cx, an, &ROW_RESULT, (struct list){rows, n}, 0, 0, (struct str){0});
}

static enum err ingest(struct ctx *cx, struct request *rq, struct answer *an) {
    struct json_reader r;
    json_begin(&r, cx->mem, rq->body);
    return json_peek(&r) == JSON_ARRAY ? ingest_array(cx, rq->body, an) : ingest_one(cx, rq->body, an);
}

/* The kind `scan`: a refused scan, applied under the source that it came by. */
static enum err replay(struct ctx *cx, const struct exception *x, struct str text, struct json *result) {
    struct scan s;
    struct scan_result r;
    struct buf b = buf_new(cx->mem, 4096);
    char id[36];
    /* A scan that was refused for its scan_id and lost it in the repair goes by the exception's name. */
    bool by_id = !x->ref.p || str_eq(x->source, S("scan"));
    struct str ref = by_id ? str_dup(cx->mem, uuid_format(x->id, id)) : x->ref;
    enum err e = schema_decode(cx, &SCAN, CREATE, REFUSE_UNKNOWN, text, &s, NULL);
    if (e || (e = take(cx, &s, x->source, ref, &r)))
        return e;
    schema_encode(&RESULT, OUT, &r, &b);
    result->text = buf_str(&b);
    return b.failed ? fail(cx, ERR_MEMORY, "The result does not fit.") : OK;
}

static const struct exception_kind EXCEPTIONS[] = {
    {"scan", &SCAN, replay, NULL, "A scan that was refused."},
};

static const enum err KEPT[] = {ERR_INVALID, ERR_CONFLICT, OK};
static const struct route ROUTES[] = {
    ROUTE(POST, "/api/v1/catalog/ingest", WRITE, AREA_FLOOR, NEED_WRITE, ingest,
          "Takes one scan, or an array of up to 500: new items are made, stock is received, bad rows are "
          "kept as"
          " exceptions.",
          .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT | ROUTE_BODY_ANY, .in = &SCAN, .in_use = CREATE,
          .out = &RESULT, .out_each = &ROW_RESULT, .errors = KEPT),
};

const struct module INGEST_MODULE = {.name = "ingest", TABLE(routes, ROUTES), TABLE(exceptions, EXCEPTIONS)};
