#include "base/charset.h"
#include "base/csv.h"
#include "core/upload.h"

#include <string.h>

#include "base/banned.h"

struct sheet {
    const char *format, *encoding;
    struct csv csv;
    struct csv_row row;
};

static enum err open_text(struct ctx *cx, struct str content, struct sheet *s) {
    struct str text;
    s->format = "csv";
    if (!charset_to_utf8(cx->mem, (struct bytes){(const unsigned char *)content.p, content.n}, &text,
                         &s->encoding))
        return fail_field(cx, S("file"), "cannot be read as text; save it as CSV in UTF-8");
    csv_begin(&s->csv, cx->mem, text);
    return OK;
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
    if (str_starts(content, S("%PDF")) || str_starts(content, S("\x89PNG")) ||
        str_starts(content, S("\xff\xd8\xff")) || str_starts(content, S("PK\x03\x04")))
        return fail_field(cx, S("file"), "is not a table; save it as CSV");
    return open_text(cx, content, s);
}

static bool empty(const struct csv_row *row) {
    for (size_t i = 0; i < row->n; i++)
        if (str_trim(row->cells[i]).n > 0)
            return false;
    return !row->problem;
}

bool sheet_next(struct sheet *s, struct sheet_row *out) {
    do {
        if (!csv_next(&s->csv, &s->row))
            return false;
    } while (empty(&s->row));
    *out = (struct sheet_row){
        .number = s->row.number, .cells = s->row.cells, .n = s->row.n, .problem = s->row.problem};
    return true;
}

const char *sheet_format(const struct sheet *s) { return s->format; }
const char *sheet_encoding(const struct sheet *s) { return s->encoding; }
