#include "base/csv.h"

#include "base/arena.h"
#include "base/charset.h"
#include "base/csv_record.h"
#include "base/csv_sniff.h"
#include "base/csv_source.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/banned.h"

#define WINDOW ((size_t)256 << 10)

struct csv {
    struct arena *mem;
    struct csv_source source; /* not used over memory */
    char *window;             /* NULL over memory */
    size_t cap;
    struct str text; /* what was read and not yet given */
    bool ended;      /* nothing follows it */
    struct csv_dialect dialect;
    struct csv_place place; /* where text begins */
    struct csv_cells cells;
    int error;
};

/* Reads more behind text, for which it moves to the beginning of the window; false when there is no more. */
static bool fill(struct csv *c) {
    if (c->ended)
        return false;
    size_t kept = c->text.n;
    if (kept > c->cap / 2 && c->cap < 2 * CSV_ROW_MAX) {
        char *larger = arena_alloc(c->mem, 2 * c->cap);
        if (!larger) {
            c->error = ENOMEM;
            c->ended = true;
            return false;
        }
        memcpy(larger, c->text.p, kept);
        c->window = larger;
        c->cap *= 2;
    } else if (kept > 0) {
        memmove(c->window, c->text.p, kept);
    }
    size_t n = csv_source_read(&c->source, c->window + kept, c->cap - kept);
    c->text = (struct str){c->window, kept + n};
    c->ended = n == 0;
    c->error = c->source.error;
    return n > 0;
}

/* Takes n bytes of text as read. */
static void take(struct csv *c, size_t n) {
    c->place.offset += csv_source_length(&c->source, str_sub(c->text, 0, n));
    c->text = str_sub(c->text, n, c->text.n);
}

static bool init(struct csv *c) {
    size_t named;
    while (c->text.n < CSV_SNIFF_MAX && fill(c))
        ;
    named = csv_sniff_named(c->text, &c->dialect.delimiter);
    if (named == 0) {
        c->dialect.delimiter = csv_sniff_delimiter(c->text, c->ended, &c->cells);
    } else {
        take(c, named);
        c->place.line++;
        c->place.number++;
    }
    return !c->error;
}

static struct csv *new_reader(struct arena *mem, struct csv_place from) {
    struct csv *c = NEW(mem, struct csv);
    if (c) {
        c->mem = c->cells.mem = mem;
        c->place = from;
    }
    return c;
}

static bool open_window(struct csv *c, int fd, int64_t to) {
    c->cap = WINDOW;
    c->window = arena_alloc(c->mem, c->cap);
    c->text = (struct str){c->window, 0};
    return c->window && csv_source_init(&c->source, c->mem, fd, c->place.offset, to);
}

struct csv *csv_open(struct arena *mem, int fd) {
    struct csv *c = new_reader(mem, (struct csv_place){0, 1, 1});
    if (!c || !open_window(c, fd, INT64_MAX))
        return NULL;
    c->place.offset += (int64_t)csv_source_sniff(&c->source);
    c->dialect.charset = c->source.charset;
    (void)init(c);
    return c;
}

struct csv *csv_over(struct arena *mem, struct str text) {
    struct csv *c = new_reader(mem, (struct csv_place){0, 1, 1});
    if (!c)
        return NULL;
    c->text = text;
    c->ended = true;
    (void)init(c);
    return c;
}

struct csv *csv_part(struct arena *mem, int fd, struct csv_dialect dialect, struct csv_place from,
                     int64_t to) {
    struct csv *c = new_reader(mem, from);
    if (!c || !open_window(c, fd, to))
        return NULL;
    c->dialect = dialect;
    c->source.charset = dialect.charset;
    return c;
}

static bool has_utf8(struct str s) {
    for (size_t i = 0; i < s.n;) {
        size_t n = str_utf8_next(str_sub(s, i, s.n));
        if (n > 1)
            return true;
        i += n + (n == 0);
    }
    return false;
}

/* A row that is not UTF-8 is Windows-1252 when the file does not say what it is and nothing in the row looks
 * like UTF-8. */
static void read_1252(struct csv *c, struct csv_row *row) {
    if (c->dialect.charset != CSV_UTF8 || has_utf8(row->raw)) {
        row->problem = "has bytes that are not UTF-8";
        return;
    }
    for (size_t i = 0; i < c->cells.n; i++) {
        struct str *cell = &c->cells.at[i];
        if (str_utf8_valid(*cell))
            continue;
        char *to = csv_cells_room(&c->cells, 3 * cell->n);
        if (!to) {
            row->problem = c->cells.problem;
            return;
        }
        *cell =
            (struct str){to, charset_from_1252((struct bytes){(const unsigned char *)cell->p, cell->n}, to)};
    }
}

static void check_text(struct csv *c, struct csv_row *row) {
    if (row->problem)
        return;
    if (memchr(row->raw.p, 0, row->raw.n)) {
        row->problem = "has a NUL character";
    } else if (!str_utf8_valid(row->raw)) {
        row->exact = false;
        read_1252(c, row);
    }
}

/* What goes on past CSV_ROW_MAX is passed over up to its line end. */
static bool too_long(struct csv *c, struct csv_row *row) {
    char *excerpt = csv_cells_room(&c->cells, CSV_EXCERPT);
    if (excerpt)
        memcpy(excerpt, c->text.p, CSV_EXCERPT);
    row->raw = (struct str){excerpt, excerpt ? CSV_EXCERPT : 0};
    row->problem = "is longer than 16 MiB";
    row->n = row->column = 0;
    row->exact = false;
    size_t n = CSV_ROW_MAX;
    for (;;) {
        while (n < c->text.n && c->text.p[n] != '\n' && c->text.p[n] != '\r')
            n++;
        if (n + 1 < c->text.n || c->ended)
            break;
        take(c, n);
        n = 0;
        (void)fill(c);
    }
    bool crlf = n + 1 < c->text.n && c->text.p[n] == '\r' && c->text.p[n + 1] == '\n';
    bool ended = n < c->text.n;
    take(c, n + ended + crlf);
    c->place.line += ended;
    c->place.number++;
    return true;
}

static bool read_carefully(struct csv *c, struct csv_row *row) {
    for (;;) {
        struct str text = str_sub(c->text, 0, CSV_ROW_MAX);
        bool cut = c->text.n > CSV_ROW_MAX;
        csv_cells_begin(&c->cells);
        struct csv_record record = csv_record(text, c->ended || cut, c->dialect.delimiter, &c->cells);
        if (record.whole == 0) {
            if (!fill(c) && c->error)
                return false;
            continue;
        }
        *row = (struct csv_row){.at = c->place,
                                .raw = {text.p, record.raw},
                                .cells = c->cells.at,
                                .n = c->cells.n,
                                .problem = c->cells.problem,
                                .column = c->cells.problem ? c->cells.column : 0,
                                .exact = record.exact};
        if (cut && record.whole == text.n && record.raw == text.n)
            return too_long(c, row);
        check_text(c, row);
        row->cells = c->cells.at;
        take(c, record.whole);
        c->place.line += record.lines;
        c->place.number++;
        return true;
    }
}

bool csv_next(struct csv *c, struct csv_row *row) {
    while (c->text.n == 0)
        if (!fill(c))
            return false;
    return !c->error && read_carefully(c, row);
}

int csv_error(const struct csv *c) { return c->error; }
struct csv_place csv_at(const struct csv *c) {
    return c->place;
}
struct csv_dialect csv_dialect(const struct csv *c) {
    return c->dialect;
}
