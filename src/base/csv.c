#include "base/csv.h"

#include "base/arena.h"

#include <string.h>

#include "base/banned.h"

static const char DELIMITERS[] = {',', ';', '\t', '|'};

static const char *line_end(const char *p, const char *end) {
    while (p < end && *p != '\n' && *p != '\r')
        p++;
    return p;
}

static const char *skip_end(const char *p, const char *end) {
    if (p < end && *p == '\r')
        p++;
    return p < end && *p == '\n' ? p + 1 : p;
}

static char most_used(const char *p, const char *end) {
    size_t count[sizeof DELIMITERS] = {0}, best = 0;
    bool quoted = false;
    for (; p < end; p++) {
        quoted ^= *p == '"';
        for (size_t i = 0; !quoted && i < sizeof DELIMITERS; i++)
            count[i] += *p == DELIMITERS[i];
    }
    for (size_t i = 1; i < sizeof DELIMITERS; i++)
        if (count[i] > count[best])
            best = i;
    return DELIMITERS[best];
}

void csv_begin(struct csv *c, struct arena *mem, struct str text) {
    *c = (struct csv){.mem = mem, .p = text.p, .end = text.p + text.n};
    const char *first = line_end(c->p, c->end);
    struct str line = {c->p, (size_t)(first - c->p)};
    if (line.n == 5 && str_eq_nocase(str_sub(line, 0, 4), S("sep="))) {
        c->delimiter = line.p[4];
        c->p = skip_end(first, c->end);
        c->row = 1;
        return;
    }
    c->delimiter = most_used(c->p, first);
}

static void add(struct csv_row *row, struct str cell) {
    if (row->n == CSV_CELLS_MAX)
        row->problem = "has too many cells";
    else
        row->cells[row->n++] = cell;
}

/* A quoted cell from behind its quote: up to the closing one, with doubled ones made single. NULL when there
 * is none within a cell's length. */
static const char *quoted(struct csv *c, const char *p, struct str *cell, struct csv_row *row) {
    const char *start = p, *limit = c->end - p > CSV_CELL_MAX ? p + CSV_CELL_MAX : c->end;
    size_t doubled = 0;
    for (; p < limit; p++) {
        if (*p != '"')
            continue;
        if (p + 1 >= c->end || p[1] != '"')
            break;
        doubled++;
        p++;
    }
    if (p >= limit)
        return NULL;
    *cell = (struct str){start, (size_t)(p - start)};
    if (doubled > 0) {
        char *copy = arena_alloc(c->mem, cell->n), *to = copy;
        if (!copy) {
            row->problem = "does not fit in memory";
            return p + 1;
        }
        for (const char *from = start; from < p; from++) {
            *to++ = *from;
            from += *from == '"';
        }
        *cell = (struct str){copy, (size_t)(to - copy)};
    }
    return p + 1;
}

static const char *plain_end(const struct csv *c, const char *p) {
    while (p < c->end && *p != c->delimiter && *p != '\n' && *p != '\r')
        p++;
    return p;
}

static const char *read_cell(struct csv *c, const char *p, struct csv_row *row) {
    struct str cell;
    const char *after = p < c->end && *p == '"' ? quoted(c, p + 1, &cell, row) : NULL;
    if (after) {
        const char *end = plain_end(c, after);
        if (str_trim((struct str){after, (size_t)(end - after)}).n > 0)
            row->problem = "has text behind a closing quote";
        add(row, cell);
        return end;
    }
    if (p < c->end && *p == '"')
        row->problem = "has a quote that is never closed";
    after = plain_end(c, p);
    add(row, (struct str){p, (size_t)(after - p)});
    return after;
}

bool csv_next(struct csv *c, struct csv_row *row) {
    if (c->p >= c->end)
        return false;
    const char *start = c->p, *p = start;
    row->n = 0;
    row->problem = NULL;
    row->number = ++c->row;
    for (;; p++) {
        p = read_cell(c, p, row);
        if (p >= c->end || *p != c->delimiter)
            break;
    }
    row->raw = (struct str){start, (size_t)(p - start)};
    if (memchr(start, 0, row->raw.n))
        row->problem = "has a NUL character";
    c->p = skip_end(p, c->end);
    return true;
}

static bool number(struct str s) {
    size_t i = s.n > 0 && s.p[0] == '-';
    bool digits = i < s.n;
    for (; i < s.n; i++)
        digits = digits && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '.');
    return digits;
}

/* No NUL among them: it ends the list. */
static bool one_of(const char *list, char c) {
    while (*list && *list != c)
        list++;
    return *list != 0;
}

static bool formula(struct str s) { return s.n > 0 && one_of("=+-@\t\r", s.p[0]) && !number(s); }

void csv_put(struct buf *b, struct str cell, bool safe) {
    bool guard = safe && formula(cell), quote = guard;
    for (size_t i = 0; i < cell.n; i++)
        quote = quote || one_of(",;\t|\"\r\n", cell.p[i]);
    if (quote)
        buf_byte(b, '"');
    if (guard)
        buf_byte(b, '\'');
    for (size_t i = 0; i < cell.n; i++) {
        if (cell.p[i] == '"')
            buf_byte(b, '"');
        buf_byte(b, cell.p[i]);
    }
    if (quote)
        buf_byte(b, '"');
}

struct str csv_plain(struct str cell) {
    struct str rest = str_sub(cell, 1, cell.n);
    return cell.n > 1 && cell.p[0] == '\'' && formula(rest) ? rest : cell;
}
