#include "base/charset.h"
#include "base/csv.h"
#include "base/xlsx.h"
#include "core/upload.h"

#include <string.h>

#include "base/banned.h"

struct sheet {
    const char *format, *encoding;
    struct csv *csv;
    struct csv_row row;
    struct xlsx_row *rows; /* of a workbook */
    size_t n_rows, at;
};

static enum err open_text(struct ctx *cx, struct str content, struct sheet *s) {
    struct str text;
    s->format = "csv";
    if (!charset_to_utf8(cx->mem, (struct bytes){(const unsigned char *)content.p, content.n}, &text,
                         &s->encoding))
        return fail_field(cx, S("file"), "cannot be read as text; save it as CSV in UTF-8");
    s->csv = csv_over(cx->mem, text);
    return s->csv ? OK : fail(cx, ERR_MEMORY, "The file does not fit in memory.");
}

enum err sheet_open(struct ctx *cx, struct str content, struct sheet **out) {
    struct sheet *s = *out = NEW(cx->mem, struct sheet);
    if (!s)
        return fail(cx, ERR_MEMORY, "The file does not fit in memory.");
    if (content.n == 0)
        return fail_field(cx, S("file"), "is empty");
    if (str_starts(content, S("\xd0\xcf\x11\xe0")))
        return fail_field(
            cx, S("file"),
            "is an old .xls or is protected by a password; save it as .xlsx or CSV without one");
    if (str_starts(content, S("PK\x03\x04"))) {
        s->format = "xlsx";
        const char *problem = xlsx_read(cx->mem, (struct bytes){(const unsigned char *)content.p, content.n},
                                        &s->rows, &s->n_rows);
        return problem ? fail_field(cx, S("file"), "%s", problem) : OK;
    }
    if (str_starts(content, S("%PDF")) || str_starts(content, S("\x89PNG")) ||
        str_starts(content, S("\xff\xd8\xff")))
        return fail_field(cx, S("file"), "is not a table; save it as CSV or XLSX");
    return open_text(cx, content, s);
}

static bool empty(const struct sheet_row *row) {
    for (size_t i = 0; i < row->n; i++)
        if (str_trim(row->cells[i]).n > 0 || (row->cell_problems && row->cell_problems[i]))
            return false;
    return !row->problem;
}

static bool next_of_book(struct sheet *s, struct sheet_row *out) {
    if (s->at == s->n_rows)
        return false;
    const struct xlsx_row *row = &s->rows[s->at++];
    *out = (struct sheet_row){
        .number = row->number, .cells = row->cells, .n = row->n, .cell_problems = row->problems};
    return true;
}

static bool next_of_text(struct sheet *s, struct sheet_row *out) {
    if (!csv_next(s->csv, &s->row))
        return false;
    *out = (struct sheet_row){
        .number = s->row.at.number, .cells = s->row.cells, .n = s->row.n, .problem = s->row.problem};
    return true;
}

bool sheet_next(struct sheet *s, struct sheet_row *out) {
    do {
        if (!(s->encoding ? next_of_text(s, out) : next_of_book(s, out)))
            return false;
    } while (empty(out));
    return true;
}

enum err sheet_end(struct ctx *cx, const struct sheet *s) {
    if (!s->csv || !csv_error(s->csv))
        return OK;
    struct csv_place at = csv_at(s->csv);
    return fail_field(cx, S("file"), "cannot be read beyond line %lld: what begins there is too long",
                      (long long)at.line);
}

const char *sheet_format(const struct sheet *s) { return s->format; }
const char *sheet_encoding(const struct sheet *s) { return s->encoding; }
