#include "base/csv_record.h"

#include "base/arena.h"
#include "base/csv.h"

#include <string.h>

#include "base/banned.h"

#define NEVER_CLOSED "has a quote that is never closed"
#define TEXT_BEHIND "has text behind a closing quote"
#define NO_MEMORY "does not fit in memory"

void csv_cells_begin(struct csv_cells *cells) {
    cells->n = cells->used = cells->column = 0;
    cells->problem = NULL;
}

/* What is too small is left behind, for cells may stand in it; the next row has all of the larger one. */
char *csv_cells_room(struct csv_cells *cells, size_t n) {
    if (cells->room - cells->used < n) {
        size_t room = n < 2048 ? 4096 : 2 * n;
        char *scratch = arena_alloc(cells->mem, room);
        if (!scratch) {
            csv_cells_problem(cells, NO_MEMORY);
            return NULL;
        }
        cells->scratch = scratch;
        cells->room = room;
        cells->used = 0;
    }
    char *p = cells->scratch + cells->used;
    cells->used += n;
    return p;
}

void csv_cells_problem(struct csv_cells *cells, const char *problem) {
    if (cells->problem)
        return;
    cells->problem = problem;
    cells->column = cells->n + 1;
}

static bool grow(struct csv_cells *cells) {
    size_t cap = cells->cap ? 4 * cells->cap : 64;
    struct str *more = cap <= CSV_CELLS_MAX ? NEW_N(cells->mem, struct str, cap) : NULL;
    if (!more)
        return false;
    if (cells->n)
        memcpy(more, cells->at, cells->n * sizeof *more);
    cells->at = more;
    cells->cap = cap;
    return true;
}

void csv_cells_add(struct csv_cells *cells, struct str cell) {
    if (cells->n < cells->cap || grow(cells))
        cells->at[cells->n++] = cell;
    else
        csv_cells_problem(cells, cells->cap < CSV_CELLS_MAX ? NO_MEMORY : "has too many cells");
}

struct str csv_cells_unquote(struct csv_cells *cells, struct str inside) {
    char *start = csv_cells_room(cells, inside.n), *to = start;
    const char *from = inside.p, *end = inside.p + inside.n;
    if (!start)
        return inside;
    while (from < end) {
        const char *quote = memchr(from, '"', (size_t)(end - from));
        size_t n = (size_t)((quote ? quote + 1 : end) - from);
        memcpy(to, from, n);
        to += n;
        from += n + (quote != NULL);
    }
    return (struct str){start, (size_t)(to - start)};
}

struct reader {
    const char *start, *p, *end;
    bool final, exact, plain; /* plain: quotes mean nothing up to the end of the line */
    char delimiter;
    int64_t breaks; /* line ends inside cells */
    struct csv_cells *cells;
};

static bool is_break(char c) { return c == '\n' || c == '\r'; }

static const char *plain_end(const struct reader *r, const char *p) {
    while (p < r->end && *p != r->delimiter && !is_break(*p))
        p++;
    return p;
}

static void plain_cell(struct reader *r) {
    const char *start = r->p;
    r->p = plain_end(r, start);
    struct str cell = {start, (size_t)(r->p - start)};
    if (memchr(start, '"', cell.n))
        r->exact = false;
    csv_cells_add(r->cells, cell);
}

/* The quote that closes the cell whose inside begins at p, or the end of the text. */
static const char *closing(const struct reader *r, const char *p) {
    for (; p < r->end; p += 2) {
        p = memchr(p, '"', (size_t)(r->end - p));
        if (!p)
            return r->end;
        if (p + 1 >= r->end || p[1] != '"')
            return p;
    }
    return r->end;
}

static int64_t count_breaks(const char *p, const char *end) {
    int64_t n = 0;
    for (; p < end; p++)
        n += *p == '\n' || (*p == '\r' && (p + 1 == end || p[1] != '\n'));
    return n;
}

/* False: more text is needed. */
static bool quoted_cell(struct reader *r) {
    const char *inside = r->p + 1, *quote = closing(r, inside), *after = quote + (quote < r->end);
    while (after < r->end && (*after == ' ' || *after == '\t') && *after != r->delimiter)
        after++;
    if (after == r->end && !r->final)
        return false;
    int64_t breaks = count_breaks(inside, quote);
    bool closed = quote < r->end, ended = after == r->end || *after == r->delimiter || is_break(*after);
    if (closed && ended) {
        struct str cell = {inside, (size_t)(quote - inside)};
        r->exact = r->exact && after == quote + 1;
        r->breaks += breaks;
        csv_cells_add(r->cells, memchr(inside, '"', cell.n) ? csv_cells_unquote(r->cells, cell) : cell);
        r->p = after;
        return true;
    }
    /* The cell goes wrong. If it has led into other lines, they are taken back: they are rows of their own.
     */
    r->plain = !closed || breaks > 0;
    csv_cells_problem(r->cells, r->plain ? NEVER_CLOSED : TEXT_BEHIND);
    if (r->plain) {
        plain_cell(r);
    } else {
        csv_cells_add(r->cells, (struct str){inside, (size_t)(quote - inside)});
        r->p = plain_end(r, after);
    }
    return true;
}

struct csv_record csv_record(struct str text, bool final, char delimiter, struct csv_cells *cells) {
    struct reader r = {text.p, text.p, text.p + text.n, final, true, false, delimiter, 0, cells};
    for (;; r.p++) {
        if (r.p < r.end && *r.p == '"' && !r.plain) {
            if (!quoted_cell(&r))
                return (struct csv_record){0};
        } else {
            plain_cell(&r);
        }
        if (r.p >= r.end || *r.p != delimiter)
            break;
    }
    size_t raw = (size_t)(r.p - r.start);
    bool crlf = r.p + 1 < r.end && r.p[0] == '\r' && r.p[1] == '\n';
    size_t end = r.p == r.end ? 0 : crlf ? 2 : 1;
    bool unsure = r.p == r.end || (*r.p == '\r' && r.p + 1 == r.end);
    if (unsure && !final)
        return (struct csv_record){0};
    return (struct csv_record){raw, raw + end, r.breaks + (end > 0), r.exact && !cells->problem};
}
