#include "base/xlsx.h"

#include "base/arena.h"

#include <expat.h>
#include <string.h>
#include <zip.h>

#include "base/banned.h"

#define ENTRIES_MAX 2000
#define INFLATED_MAX ((uint64_t)256 << 20)
#define RATIO_MAX 300
#define STRINGS_MAX 500000
#define ROWS_MAX 250000
#define ROW_NUMBER_MAX 1048576 /* the format's own */
#define CELLS_MAX 256
#define CELL_MAX 32767 /* the format's own */
#define STYLES_MAX 4096

enum style { PLAIN, DATE, ZEROS };
enum part { STRINGS, STYLES, SHEET };

struct reader {
    struct arena *mem;
    const char *problem;
    XML_Parser parser;
    enum part part;
    struct buf text;
    bool keep; /* inside an element whose text counts */
    struct str *strings;
    size_t n_strings, strings_cap;
    bool phonetic;
    struct {
        int64_t id;
        unsigned char style, zeros;
    } formats[STYLES_MAX];
    size_t n_formats;
    unsigned char style[STYLES_MAX], zeros[STYLES_MAX];
    size_t n_styles;
    bool in_cell_styles;
    struct xlsx_row *rows;
    size_t n_rows, rows_cap;
    struct str cells[CELLS_MAX];
    const char *problems[CELLS_MAX];
    size_t n_cells, at;
    int64_t row_number;
    char type;
    size_t cell_style;
    bool formula;
};

static void stop(struct reader *r, const char *problem) {
    if (!r->problem)
        r->problem = problem;
    XML_StopParser(r->parser, XML_FALSE);
}

/* Names without their prefix: some writers put one before every element. */
static struct str local(const char *name) {
    const char *colon = strchr(name, ':');
    return str_of(colon ? colon + 1 : name);
}

static struct str attribute(const char **attributes, struct str name) {
    for (; *attributes; attributes += 2)
        if (str_eq(local(attributes[0]), name))
            return str_of(attributes[1]);
    return (struct str){0};
}

/* Room for one more of size; the array moves and its old place stays behind in the arena. */
static bool room(struct reader *r, void **items, size_t n, size_t *cap, size_t size) {
    if (n < *cap)
        return true;
    size_t larger = *cap ? 2 * *cap : 256;
    void *moved = arena_alloc_n(r->mem, size, larger);
    if (!moved) {
        stop(r, "does not fit in memory");
        return false;
    }
    if (n)
        memcpy(moved, *items, n * size);
    *items = moved;
    *cap = larger;
    return true;
}

/* What a number format shows: a date when it has y, d, h or s outside of quotes and brackets. */
static void classify(struct str code, unsigned char *style, unsigned char *zeros) {
    bool quoted = false, bracket = false, all = code.n > 0 && code.n < 32;
    *style = PLAIN;
    for (size_t i = 0; i < code.n; i++) {
        char c = code.p[i];
        quoted ^= c == '"';
        bracket = c == '[' || (bracket && c != ']');
        all = all && c == '0';
        if (!quoted && !bracket && (c == 'y' || c == 'd' || c == 'h' || c == 's'))
            *style = DATE;
        if (c == '\\')
            i++;
    }
    if (all && code.n > 1) {
        *style = ZEROS;
        *zeros = (unsigned char)code.n;
    }
}

static void add_style(struct reader *r, struct str id) {
    int64_t n = 0;
    (void)str_int(id, &n);
    if (r->n_styles == STYLES_MAX) {
        stop(r, "has too many cell formats");
        return;
    }
    bool date = (n >= 14 && n <= 22) || (n >= 27 && n <= 36) || (n >= 45 && n <= 47) || (n >= 50 && n <= 58);
    r->style[r->n_styles] = date ? DATE : PLAIN;
    for (size_t i = 0; i < r->n_formats; i++)
        if (r->formats[i].id == n) {
            r->style[r->n_styles] = r->formats[i].style;
            r->zeros[r->n_styles] = r->formats[i].zeros;
        }
    r->n_styles++;
}

static void begin_style(struct reader *r, struct str name, const char **attributes) {
    if (str_eq(name, S("numFmt")) && r->n_formats < STYLES_MAX) {
        r->formats[r->n_formats].id = -1;
        (void)str_int(attribute(attributes, S("numFmtId")), &r->formats[r->n_formats].id);
        classify(attribute(attributes, S("formatCode")), &r->formats[r->n_formats].style,
                 &r->formats[r->n_formats].zeros);
        r->n_formats++;
    } else if (str_eq(name, S("cellXfs"))) {
        r->in_cell_styles = true;
    } else if (r->in_cell_styles && str_eq(name, S("xf"))) {
        add_style(r, attribute(attributes, S("numFmtId")));
    }
}

/* "BC12" is column 54, from 0; past the end where there is none. */
static size_t column_of(struct str ref, size_t fallback) {
    size_t column = 0, i = 0;
    for (; i < ref.n && i < 3 && ref.p[i] >= 'A' && ref.p[i] <= 'Z'; i++)
        column = column * 26 + (size_t)(ref.p[i] - 'A' + 1);
    return i ? column - 1 : fallback;
}

static void begin_cell(struct reader *r, const char **attributes) {
    struct str type = attribute(attributes, S("t"));
    int64_t style = 0;
    (void)str_int(attribute(attributes, S("s")), &style);
    r->at = column_of(attribute(attributes, S("r")), r->n_cells);
    r->cell_style = style >= 0 && (size_t)style < r->n_styles ? (size_t)style : STYLES_MAX;
    r->type = str_eq(type, S("inlineStr"))       ? 'i'
              : type.p && str_eq(type, S("str")) ? 't'
              : type.n                           ? type.p[0]
                                                 : 'n';
    r->formula = false;
    r->text.n = 0;
    if (r->at >= CELLS_MAX) {
        stop(r, "has a row with more than 256 columns");
        return;
    }
    for (; r->n_cells <= r->at; r->n_cells++) {
        r->cells[r->n_cells] = S("");
        r->problems[r->n_cells] = NULL;
    }
}

static void begin(void *arg, const char *full, const char **attributes) {
    struct reader *r = arg;
    struct str name = local(full);
    if (r->part == STYLES) {
        begin_style(r, name, attributes);
    } else if (r->part == STRINGS) {
        if (str_eq(name, S("si")))
            r->text.n = 0;
        r->phonetic = r->phonetic || str_eq(name, S("rPh"));
        r->keep = str_eq(name, S("t")) && !r->phonetic;
    } else if (str_eq(name, S("row"))) {
        int64_t n = 0;
        r->row_number =
            str_int(attribute(attributes, S("r")), &n) && n > r->row_number ? n : r->row_number + 1;
        r->n_cells = 0;
        if (r->row_number > ROW_NUMBER_MAX)
            stop(r, "has a row with a number above 1,048,576");
    } else if (str_eq(name, S("c"))) {
        begin_cell(r, attributes);
    } else if (str_eq(name, S("f"))) {
        r->formula = true;
    } else {
        r->keep = str_eq(name, S("v")) || (str_eq(name, S("t")) && r->type == 'i');
    }
}

static void text(void *arg, const char *s, int n) {
    struct reader *r = arg;
    if (!r->keep)
        return;
    if (r->text.n + (size_t)n > CELL_MAX * 4)
        stop(r, "has a cell that is too long");
    else
        buf_add(&r->text, (struct str){s, (size_t)n});
}

static struct str taken(struct reader *r) {
    struct str copy = str_dup(r->mem, buf_str(&r->text));
    if (!copy.p || r->text.failed)
        stop(r, "does not fit in memory");
    return copy.p ? copy : S("");
}

/* The digits of [-]123.45[E+6] as a whole number, if it is one. */
static bool whole(struct str s, int64_t *out) {
    size_t i = s.n > 0 && s.p[0] == '-';
    bool negative = i > 0, point = false;
    int64_t v = 0, shift = 0, exponent = 0;
    for (; i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] == '.' && !point)); i++) {
        if (s.p[i] == '.') {
            point = true;
            continue;
        }
        if (v > INT64_MAX / 10 - 1)
            return false;
        v = v * 10 + (s.p[i] - '0');
        shift -= point;
    }
    if (i < s.n) {
        struct str e = str_sub(s, i + 1, s.n);
        if ((s.p[i] != 'E' && s.p[i] != 'e') ||
            !str_int(e.n > 0 && e.p[0] == '+' ? str_sub(e, 1, e.n) : e, &exponent) || exponent > 18 ||
            exponent < -18)
            return false;
    }
    for (shift += exponent; shift < 0; shift++) {
        if (v % 10)
            return false;
        v /= 10;
    }
    for (; shift > 0; shift--) {
        if (v > INT64_MAX / 10)
            return false;
        v *= 10;
    }
    *out = negative ? -v : v;
    return s.n > 0;
}

/* A number as it would be typed: whole ones without exponent, with the zeros that its format shows. */
static struct str number(struct reader *r) {
    int64_t v;
    size_t style = r->cell_style;
    int digits = style < r->n_styles && r->style[style] == ZEROS ? r->zeros[style] : 1;
    if (!whole(buf_str(&r->text), &v))
        return taken(r);
    return str_printf(r->mem, "%0*lld", digits, (long long)v);
}

static void end_cell(struct reader *r) {
    int64_t i;
    struct str *cell = &r->cells[r->at];
    if (r->at >= CELLS_MAX)
        return;
    bool lost = false;
    if (r->type == 's') {
        lost = !str_int(buf_str(&r->text), &i) || i < 0 || (size_t)i >= r->n_strings;
        *cell = lost ? S("") : r->strings[i];
    } else if (r->type == 'b') {
        *cell = str_eq(buf_str(&r->text), S("0")) ? S("FALSE") : S("TRUE");
    } else if (r->type == 'n' && r->text.n > 0)
        *cell = number(r);
    else
        *cell = taken(r);
    bool date =
        r->type == 'n' && r->text.n > 0 && r->cell_style < r->n_styles && r->style[r->cell_style] == DATE;
    r->problems[r->at] = r->formula               ? "is a formula; paste its value instead"
                         : r->type == 'e'         ? "is an error of the spreadsheet"
                         : lost                   ? "refers to a text that is not in the file"
                         : date || r->type == 'd' ? "is a date; format the column as text"
                                                  : NULL;
}

static void end_row(struct reader *r) {
    if (r->n_rows == ROWS_MAX) {
        stop(r, "has more than 250,000 rows");
        return;
    }
    void *rows = r->rows;
    if (r->n_cells == 0 || !room(r, &rows, r->n_rows, &r->rows_cap, sizeof *r->rows))
        return;
    r->rows = rows;
    struct xlsx_row *row = &r->rows[r->n_rows++];
    *row = (struct xlsx_row){r->row_number, NEW_N(r->mem, struct str, r->n_cells),
                             NEW_N(r->mem, const char *, r->n_cells), r->n_cells};
    if (!row->cells || !row->problems) {
        r->n_rows--;
        stop(r, "does not fit in memory");
        return;
    }
    memcpy(row->cells, r->cells, r->n_cells * sizeof *row->cells);
    memcpy(row->problems, r->problems, r->n_cells * sizeof *row->problems);
}

static void end(void *arg, const char *full) {
    struct reader *r = arg;
    struct str name = local(full);
    r->keep = false;
    if (r->part == STYLES && str_eq(name, S("cellXfs")))
        r->in_cell_styles = false;
    else if (r->part == STRINGS && str_eq(name, S("rPh")))
        r->phonetic = false;
    else if (r->part == SHEET && str_eq(name, S("c")))
        end_cell(r);
    else if (r->part == SHEET && str_eq(name, S("row")))
        end_row(r);
    if (r->part != STRINGS || !str_eq(name, S("si")))
        return;
    void *strings = r->strings;
    if (r->n_strings == STRINGS_MAX)
        stop(r, "has more than 500,000 texts");
    else if (room(r, &strings, r->n_strings, &r->strings_cap, sizeof *r->strings)) {
        r->strings = strings;
        r->strings[r->n_strings++] = taken(r);
    }
}

/* A workbook needs no document type; entities are how such a file is made to explode. */
static void doctype(void *arg, const char *name, const char *system_id, const char *public_id, int internal) {
    (void)name, (void)system_id, (void)public_id, (void)internal;
    stop(arg, "has a document type, which no spreadsheet writes");
}

static void feed(struct reader *r, zip_file_t *file, uint64_t packed) {
    char chunk[16384];
    uint64_t total = 0;
    for (;;) {
        zip_int64_t n = zip_fread(file, chunk, sizeof chunk);
        if (n < 0) {
            r->problem = "is damaged";
            return;
        }
        total += (uint64_t)n;
        if (total > INFLATED_MAX || total > (packed + 4096) * RATIO_MAX) {
            r->problem = "inflates to more than is allowed";
            return;
        }
        if (XML_Parse(r->parser, chunk, (int)n, n == 0) != XML_STATUS_OK) {
            if (!r->problem)
                r->problem = "is damaged: its XML cannot be read";
            return;
        }
        if (n == 0)
            return;
    }
}

/* False when the part is not there. */
static bool read_part(struct reader *r, zip_t *zip, const char *name, enum part part) {
    zip_stat_t st;
    if (r->problem || zip_stat(zip, name, 0, &st) != 0 || !(st.valid & ZIP_STAT_COMP_SIZE))
        return false;
    zip_file_t *file = zip_fopen(zip, name, 0);
    r->part = part;
    r->parser = XML_ParserCreate(NULL);
    if (!file || !r->parser) {
        r->problem = st.encryption_method ? "is protected by a password" : "does not fit in memory";
    } else {
        XML_SetUserData(r->parser, r);
        XML_SetElementHandler(r->parser, begin, end);
        XML_SetCharacterDataHandler(r->parser, text);
        XML_SetStartDoctypeDeclHandler(r->parser, doctype);
        feed(r, file, st.comp_size);
    }
    if (r->parser)
        XML_ParserFree(r->parser);
    if (file)
        zip_fclose(file);
    return true;
}

static void read_book(struct reader *r, zip_t *zip) {
    zip_int64_t n = zip_get_num_entries(zip, 0);
    const char *sheet = NULL;
    if (n > ENTRIES_MAX) {
        r->problem = "has too many entries";
        return;
    }
    for (zip_int64_t i = 0; i < n; i++) {
        const char *name = zip_get_name(zip, (zip_uint64_t)i, 0);
        if (name && strstr(name, "vbaProject"))
            r->problem = "has macros; save it as .xlsx without them";
        if (name && str_starts(str_of(name), S("xl/worksheets/sheet")) &&
            (!sheet || strlen(name) < strlen(sheet) ||
             (strlen(name) == strlen(sheet) && strcmp(name, sheet) < 0)))
            sheet = name;
    }
    if (!r->problem && (!sheet || zip_name_locate(zip, "xl/workbook.xml", 0) < 0))
        r->problem = "is no XLSX workbook";
    (void)read_part(r, zip, "xl/sharedStrings.xml", STRINGS);
    (void)read_part(r, zip, "xl/styles.xml", STYLES);
    if (!r->problem && !read_part(r, zip, sheet, SHEET))
        r->problem = "is damaged: its first sheet cannot be read";
}

const char *xlsx_read(struct arena *mem, struct bytes file, struct xlsx_row **rows, size_t *n) {
    struct reader *r = NEW(mem, struct reader);
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(file.p, file.n, 0, &error);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    zip_error_fini(&error);
    if (!zip) {
        zip_source_free(source);
        return "is damaged: it cannot be opened as XLSX";
    }
    if (r) {
        r->mem = mem;
        r->text = buf_new(mem, CELL_MAX * 4);
        read_book(r, zip);
    }
    zip_discard(zip);
    if (!r)
        return "does not fit in memory";
    *rows = r->rows;
    *n = r->n_rows;
    return r->problem;
}
