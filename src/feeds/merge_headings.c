#include "base/arena.h"
#include "feeds/merge_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/banned.h"

#define READING_MAX (8 * CSV_ROW_MAX)
#define FAILED_MAX 4000

struct str merge_heading(struct str cell) {
    struct str mark = S("\xef\xbb\xbf");
    while (str_starts(cell, mark))
        cell = str_sub(cell, mark.n, cell.n);
    return str_trim(cell);
}

/* Which column a heading means. Headings that are there several times are columns that are there several
 * times, in the same order. */
static int match_name(const struct merge *m, struct str heading, const size_t *cell_of) {
    for (size_t i = 0; i < m->n_columns; i++)
        if (cell_of[i] == MERGE_ABSENT && str_eq_nocase(merge_heading(m->columns[i].name), heading))
            return (int)i;
    return -1;
}

/* Reads a row as headings; gives how many required columns it does not name. */
static size_t map(const struct merge *m, const struct csv_row *row, size_t *cell_of, size_t *ranks) {
    size_t missing = 0;
    for (size_t i = 0; i < m->n_columns; i++)
        cell_of[i] = MERGE_ABSENT;
    for (size_t i = 0; i < row->n; i++) {
        struct str heading = merge_heading(row->cells[i]);
        size_t rank = 0;
        int column = m->match ? m->match(m->arg, heading, &rank) : match_name(m, heading, cell_of);
        if (column >= 0 && (cell_of[column] == MERGE_ABSENT || rank < ranks[column])) {
            cell_of[column] = i;
            ranks[column] = rank;
        }
    }
    for (size_t i = 0; i < m->n_columns; i++)
        missing += m->columns[i].required && cell_of[i] == MERGE_ABSENT;
    return missing;
}

static void list_add(struct list *list, struct str s) { ((struct str *)list->items)[list->n++] = s; }

/* Takes the row that was found to be the headings. */
static bool take(struct ctx *cx, const struct merge *m, const struct csv_row *row, struct merge_input *in) {
    struct merge_file *file = in->file;
    struct str *headings = NEW_N(cx->mem, struct str, row->n), *unknown = NEW_N(cx->mem, struct str, row->n),
               *absent = NEW_N(cx->mem, struct str, m->n_columns);
    if (!headings || !unknown || !absent)
        return false;
    in->headings = headings;
    in->width = row->n;
    in->headings_raw = str_dup(cx->mem, row->raw);
    in->as_it_is = row->n == m->n_columns && in->dialect.delimiter == ',';
    file->unknown.items = unknown;
    file->absent.items = absent;
    for (size_t i = 0; i < row->n; i++) {
        bool used = false;
        headings[i] = str_dup(cx->mem, merge_heading(row->cells[i]));
        for (size_t k = 0; k < m->n_columns; k++)
            used = used || in->cell_of[k] == i;
        if (!used && headings[i].n)
            list_add(&file->unknown, headings[i]);
    }
    for (size_t k = 0; k < m->n_columns; k++) {
        in->as_it_is = in->as_it_is && in->cell_of[k] == k;
        if (in->cell_of[k] == MERGE_ABSENT)
            list_add(&file->absent, m->columns[k].name);
    }
    return in->headings_raw.p != NULL;
}

static void say_missing(struct ctx *cx, const struct merge *m, const size_t *cell_of, bool any,
                        struct merge_file *file) {
    struct buf b = buf_new(cx->mem, FAILED_MAX);
    buf_add(&b, S("has no column headed "));
    bool first = true;
    for (size_t i = 0; any && i < m->n_columns; i++)
        if (m->columns[i].required && cell_of[i] == MERGE_ABSENT) {
            buf_printf(&b, "%s%.*s", first ? "" : ", ", STR_FMT(m->columns[i].name));
            first = false;
        }
    file->failed = !any ? S("has no rows") : b.failed ? S("has too few columns") : buf_str(&b);
}

/* The headings are the first row that names all that is required; if none does, what is said to be missing is
 * what the row that names most does not name. */
static void find(struct ctx *cx, const struct merge *m, struct csv *c, struct merge_input *in) {
    struct merge_file *file = in->file;
    struct csv_row row;
    size_t *cell_of = NEW_N(cx->mem, size_t, m->n_columns), *ranks = NEW_N(cx->mem, size_t, m->n_columns),
           *nearest = NEW_N(cx->mem, size_t, m->n_columns), least = SIZE_MAX;
    if (!cell_of || !ranks || !nearest) {
        file->failed = S("does not fit in memory");
        return;
    }
    for (size_t i = 0; i < MERGE_HEADINGS_IN && csv_next(c, &row);) {
        if (row.raw.n == 0)
            continue;
        size_t missing = row.problem ? SIZE_MAX - 1 : map(m, &row, cell_of, ranks);
        in->cell_of = cell_of;
        if (missing == 0) {
            in->body = csv_at(c);
            if (!take(cx, m, &row, in))
                file->failed = S("does not fit in memory");
            return;
        }
        if (missing < least) {
            if (!row.problem)
                memcpy(nearest, cell_of, m->n_columns * sizeof *nearest);
            else
                for (size_t k = 0; k < m->n_columns; k++)
                    nearest[k] = MERGE_ABSENT;
            least = missing;
        }
        file->preamble++;
        i++;
    }
    if (csv_error(c))
        file->failed = str_printf(cx->mem, "cannot be read: %s", strerror(csv_error(c)));
    else
        say_missing(cx, m, nearest, least < SIZE_MAX, file);
    file->preamble = 0;
}

void merge_open(struct ctx *cx, const struct merge *m, struct merge_file *file, struct merge_input *in) {
    *in = (struct merge_input){.file = file, .fd = -1};
    struct arena *mem = arena_new(READING_MAX);
    char *path = str_z(cx->mem, file->path);
    in->fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (in->fd < 0 || fstat(in->fd, &in->stat)) {
        file->failed = str_printf(cx->mem, "cannot be opened: %s", strerror(errno));
    } else if (!S_ISREG(in->stat.st_mode)) {
        file->failed = S("is not a file");
    } else {
        struct csv *c = mem ? csv_open(mem, in->fd) : NULL;
        if (c) {
            in->dialect = file->dialect = csv_dialect(c);
            find(cx, m, c, in);
        } else {
            file->failed = S("does not fit in memory");
        }
    }
    if (file->failed.p && in->fd >= 0) {
        close(in->fd);
        in->fd = -1;
    }
    arena_free(mem);
}
