/* Open scans as a CSV file that a person corrects in a spreadsheet and uploads again: the column exception_id
 * says which exception a row repairs. */
#include "base/csv.h"
#include "base/json.h"
#include "core/exception.h"

#include "base/banned.h"

#define ROWS_MAX 20000
#define FILE_MAX ((size_t)24 << 20)

static const char *const MEMBERS[] = {"sku", "quantity", "name", "location", "barcode", "scan_id"};
#define MEMBERS_N (sizeof MEMBERS / sizeof MEMBERS[0])
#define HEAD       \
    "\xef\xbb\xbf" \
    "exception_id,Row,SKU,Quantity,Name,Location,Barcode,Scan ID,Problems\r\n"

enum { EXPORT };
#define SELECT                                                                                            \
    "SELECT " EXCEPTION_COLUMNS " FROM intake_exception WHERE org_id = $org AND CAST($2 AS text) IS NULL" \
    " AND CAST($3 AS text) IS NULL AND CAST($4 AS text) IS NULL"
static const struct stmt SQL[] = {
    [EXPORT] = {"exception_export", TENANT,
                SELECT EXCEPTION_LIKE_SQLITE " AND state = $7 ORDER BY id LIMIT $1",
                SELECT EXCEPTION_LIKE_POSTGRES " AND state = $7 ORDER BY id LIMIT $1", &EXCEPTION},
};

/* A value as a cell: the text of a string, anything else as it is written. */
static struct str cell_of(struct ctx *cx, struct str value) {
    struct json_reader r;
    struct str text;
    json_begin(&r, cx->mem, value);
    if (json_peek(&r) == JSON_NULL)
        return S("");
    return json_peek(&r) == JSON_STRING && json_string(&r, &text) ? text : value;
}

static void read_members(struct ctx *cx, struct str row, struct str cells[MEMBERS_N]) {
    struct json_reader r;
    struct str key, value;
    bool first = true;
    json_begin(&r, cx->mem, row);
    if (json_peek(&r) != JSON_OBJECT || !json_enter(&r, JSON_OBJECT))
        return;
    while (json_next(&r, &key, &first) && json_skip(&r, &value))
        for (size_t i = 0; i < MEMBERS_N; i++)
            if (str_eq(key, str_of(MEMBERS[i])))
                cells[i] = cell_of(cx, value);
}

/* "quantity must be at least 0; sku is required" */
static struct str problems_text(struct ctx *cx, struct str problems) {
    struct buf b = buf_new(cx->mem, 1 << 16);
    struct json_reader r;
    struct str key, value;
    bool first = true;
    json_begin(&r, cx->mem, problems);
    if (!json_enter(&r, JSON_ARRAY))
        return S("");
    while (json_next(&r, NULL, &first)) {
        struct str field = S(""), problem = S("");
        bool inner = true;
        if (!json_enter(&r, JSON_OBJECT))
            break;
        while (json_next(&r, &key, &inner) && json_skip(&r, &value))
            *(str_eq(key, S("field")) ? &field : &problem) = cell_of(cx, value);
        buf_printf(&b, "%s%.*s%s%.*s", b.n ? "; " : "", STR_FMT(field), field.n ? " " : "", STR_FMT(problem));
    }
    return b.failed ? S("") : buf_str(&b);
}

static enum err put_row(struct ctx *cx, void *row, void *arg) {
    const struct exception *x = row;
    struct buf *b = arg;
    struct str cells[MEMBERS_N] = {{0}};
    char id[36];
    read_members(cx, x->repaired.p ? x->repaired : x->body, cells);
    buf_add(b, uuid_format(x->id, id));
    buf_byte(b, ',');
    if (x->row_number.has)
        buf_int(b, x->row_number.v);
    for (size_t i = 0; i < MEMBERS_N; i++) {
        buf_byte(b, ',');
        csv_put(b, cells[i], true);
    }
    buf_byte(b, ',');
    csv_put(b, problems_text(cx, x->problems.text), true);
    buf_add(b, S("\r\n"));
    return b->failed ? fail(cx, ERR_MEMORY, "The file would be too large; filter it.") : OK;
}

static const struct field SOURCE_QUERY = {
    .name = "source", .kind = KIND_STR, .min = 1, .max = 64, .doc = "Only those that came this way."};
static const struct field FIELD_QUERY = {
    .name = "field", .kind = KIND_STR, .min = 1, .max = 200, .doc = "Only those with this field wrong."};
static const struct field TEXT_QUERY = {
    .name = "text", .kind = KIND_STR, .min = 1, .max = 200, .doc = "Only those that hold this text."};
static const struct field UPLOAD_QUERY = {
    .name = "upload_id", .kind = KIND_UUID, .doc = "Only those of this upload."};
static const struct query QUERY[] = {{"source", &SOURCE_QUERY},
                                     {"field", &FIELD_QUERY},
                                     {"text", &TEXT_QUERY},
                                     {"upload_id", &UPLOAD_QUERY},
                                     {NULL, NULL}};

static enum err export(struct ctx *cx, struct request *rq, struct answer *an) {
    struct str value[4]; struct uuid upload = {0}; struct buf b = buf_new(cx->mem, FILE_MAX); enum err e = OK;
    for (size_t i = 0; !e && i < 4; i++) e = request_query(cx, rq, str_of(QUERY[i].name), &value[i]);
    if (!e && value[3].p && !uuid_parse(value[3], &upload))
        e = fail_field(cx, S("upload_id"), "is not an id");
    if (e) return e;
    buf_add(&b, S(HEAD));
    struct str none = {0};
    if ((e = db_each(cx, &SQL[EXPORT],
                     ARGS(A(ROWS_MAX), A(none), A(none), A(none), A(S("scan")), A(value[0]), A(S("open")),
                          A(value[1]), A(value[2]), A(upload)),
                     put_row, &b))) return e;
    answer_header(an, S("Content-Disposition"), S("attachment; filename=\"exceptions.csv\""));
    return answer_text(cx, an, 200, S("text/csv; charset=utf-8"), buf_str(&b));
}

static const enum err REFUSED[] = {ERR_INVALID, OK};
static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/catalog/exceptions/export", READ, AREA_FLOOR, NEED_READ, export,
          "The open scans as CSV, up to 20,000: correct it in a spreadsheet and upload it again.",
          .flags = ROUTE_RAW, .out_type = "text/csv", .query = QUERY, .errors = REFUSED,
          .patient = exception_search),
};

const struct module EXCEPTION_EXPORT_MODULE = {
    .name = "exception-export", TABLE(routes, ROUTES), TABLE(stmts, SQL)};
