#include "base/json.h"
#include "core/scan_heading.h"
#include "core/smartsheet.h"

#include "base/banned.h"

static const struct field CELL_FIELDS[] = {
    FIELD(struct kept_cell, title, CREATE | OUT, "The column's title."),
    FIELD(struct kept_cell, type, CREATE | OUT, "The column's type."),
    FIELD(struct kept_cell, value, CREATE | OUT, "What is in the cell."),
};
static const struct schema CELL = SCHEMA(struct kept_cell, "KeptCell", CELL_FIELDS);
static const struct field ROW_FIELDS[] = {
    FIELD(struct kept_row, sheet, CREATE | OUT, "The sheet's id."),
    FIELD(struct kept_row, row, CREATE | OUT, "The row's id."),
    FIELD(struct kept_row, modified_at, CREATE | OUT, "When it was changed last."),
    FIELD(struct kept_row, cells, CREATE | OUT, "Its cells.", .of = &CELL),
};
const struct schema KEPT_ROW = SCHEMA(struct kept_row, "KeptRow", ROW_FIELDS);

static const struct smartsheet_column *column_of(const struct smartsheet_page *page, int64_t id) {
    const struct smartsheet_column *c = page->columns.items;
    for (size_t i = 0; i < page->columns.n; i++)
        if (c[i].id == id)
            return &c[i];
    return NULL;
}

enum err kept_row_make(struct ctx *cx, const struct smartsheet_page *page, const struct smartsheet_row *row,
                       struct kept_row *out) {
    const struct smartsheet_cell *in = row->cells.items;
    struct kept_cell *cells = NEW_N(cx->mem, struct kept_cell, row->cells.n + 1);
    size_t n = 0;
    if (!cells)
        return fail(cx, ERR_MEMORY, "The row does not fit in memory.");
    for (size_t i = 0; i < row->cells.n; i++) {
        const struct smartsheet_column *c = column_of(page, in[i].column);
        if (c && in[i].value.text.p && scan_column_of(c->title, SCAN_OF_SHEET) != SCAN_NONE)
            cells[n++] = (struct kept_cell){c->title, c->type, in[i].value};
    }
    *out = (struct kept_row){page->id, row->id, row->modified_at, {cells, n}};
    return OK;
}

/* Columns that hold texts and numbers as they are typed; the other types that Smartsheet has mean something
 * else (a date, a person), and one that is not known may mean anything. */
static enum err check_type(struct ctx *cx, const char *member, const struct kept_cell *c) {
    static const char *const OTHERS[] = {"DATE",     "DATETIME",       "ABSTRACT_DATETIME",
                                         "CHECKBOX", "CONTACT_LIST",   "MULTI_CONTACT_LIST",
                                         "DURATION", "MULTI_PICKLIST", "PREDECESSOR"};
    if (str_eq(c->type, S("TEXT_NUMBER")) || str_eq(c->type, S("PICKLIST")))
        return OK;
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++)
        if (str_eq(c->type, str_of(OTHERS[i])))
            return fail_field(cx, str_of(member), "stands in a column of type %.*s; it must be TEXT_NUMBER",
                              STR_FMT(c->type));
    return fail_field(cx, str_of(member), "stands in a column of the unknown type %.*s", STR_FMT(c->type));
}

/* A whole number, however Smartsheet writes it: 40, 40.0, "40". */
static bool whole(struct str text, int64_t *out) {
    struct str head, tail;
    text = str_trim(text);
    if (str_cut(text, '.', &head, &tail)) {
        for (size_t i = 0; i < tail.n; i++)
            if (tail.p[i] != '0')
                return false;
        text = head;
    }
    return str_int(text, out);
}

/* A cell's value as the member of a scan wants it: quantities as numbers, the rest as text. What cannot be
 * goes as it is, for the scan's own check to name it. */
static void put_value(struct ctx *cx, struct buf *b, enum scan_column meaning, struct str value) {
    struct json_reader r;
    struct str text = value;
    int64_t n = 0;
    json_begin(&r, cx->mem, value);
    enum json_type type = json_peek(&r);
    if (type == JSON_STRING && !json_string(&r, &text))
        text = value;
    bool is_whole = (type == JSON_STRING || type == JSON_NUMBER) && whole(text, &n);
    if (meaning == SCAN_QUANTITY && is_whole)
        buf_int(b, n);
    else if (meaning != SCAN_QUANTITY && type == JSON_STRING)
        json_put_string(b, str_trim(text));
    else if (meaning != SCAN_QUANTITY &&
             type == JSON_NUMBER) /* digits typed into a cell: a code, not an amount */
        json_put_string(b, is_whole ? str_printf(cx->mem, "%lld", (long long)n) : text);
    else
        buf_add(b, value);
}

enum err kept_row_scan(struct ctx *cx, const struct kept_row *row, struct str *text) {
    const struct kept_cell *cells = row->cells.items;
    struct buf b = buf_new(cx->mem, 1 << 17);
    bool first = true, seen[SCAN_COLUMNS] = {false};
    enum err e = OK;
    buf_byte(&b, '{');
    for (size_t i = 0; i < row->cells.n; i++) {
        enum scan_column m = scan_column_of(cells[i].title, SCAN_OF_SHEET);
        if (m == SCAN_NONE)
            continue;
        if (seen[m])
            e = fail_field(cx, str_of(SCAN_FIELDS[m]), "stands in more than one column");
        else if (check_type(cx, SCAN_FIELDS[m], &cells[i]))
            e = ERR_INVALID;
        if (!seen[m]) {
            json_put_key(&b, &first, str_of(SCAN_FIELDS[m]));
            put_value(cx, &b, m, cells[i].value.text);
        }
        seen[m] = true;
    }
    buf_byte(&b, '}');
    *text = buf_str(&b);
    return b.failed ? fail(cx, ERR_MEMORY, "The row does not fit in memory.") : e;
}

enum err scan_members(struct ctx *cx, struct str body, struct str *text) {
    struct json_reader r;
    struct buf b = buf_new(cx->mem, 1 << 17);
    struct str key, value;
    bool first = true, out = true;
    json_begin(&r, cx->mem, body);
    buf_byte(&b, '{');
    bool good = json_enter(&r, JSON_OBJECT);
    while (good && json_next(&r, &key, &first) && json_skip(&r, &value))
        for (enum scan_column m = SCAN_SKU; m <= SCAN_BARCODE; m++)
            if (str_eq(key, str_of(SCAN_FIELDS[m]))) {
                json_put_key(&b, &out, key);
                buf_add(&b, value);
            }
    buf_byte(&b, '}');
    if (!json_end(&r))
        return fail(cx, ERR_MALFORMED, "The body is not a JSON object: %s.", r.problem);
    *text = buf_str(&b);
    return b.failed ? fail(cx, ERR_MEMORY, "The scan does not fit in memory.") : OK;
}
