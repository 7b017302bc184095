#include "feeds/csv_commands.h"

#include "base/csv_count.h"
#include "base/json.h"
#include "feeds/merge.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/banned.h"

#define SHOWN_MAX 20 /* rejected rows that are shown; all of them go to --rejects */
#define JSON_MAX ((size_t)64 << 20)
#define READING_MAX (8 * CSV_ROW_MAX)

static const char *charset_name(enum csv_charset c) {
    return c == CSV_UTF16LE ? "UTF-16LE" : c == CSV_UTF16BE ? "UTF-16BE" : "UTF-8";
}

static void put_number(struct buf *b, bool *first, struct str key, int64_t n) {
    json_put_key(b, first, key);
    buf_int(b, n);
}

static void put_text(struct buf *b, bool *first, struct str key, struct str text) {
    json_put_key(b, first, key);
    json_put_string(b, text.p && !str_utf8_valid(text) ? S("(not UTF-8)") : text);
}

/* NULL, or why the file could not be counted. */
static const char *count_file(struct ctx *cx, struct str path, struct csv_count *count) {
    char *name = str_z(cx->mem, path);
    int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1, e = errno;
    if (fd < 0)
        return strerror(e);
    e = csv_count(fd, 0, count);
    close(fd);
    return e ? strerror(e) : NULL;
}

static void put_count(struct buf *b, struct str path, const struct csv_count *c, const char *failed) {
    bool first = true;
    char delimiter[2] = {c->dialect.delimiter, 0};
    buf_add(b, b->n > 1 ? S(",{") : S("{"));
    put_text(b, &first, S("file"), path);
    if (failed) {
        put_text(b, &first, S("failed"), str_of(failed));
    } else {
        put_number(b, &first, S("rows"), c->rows);
        put_number(b, &first, S("columns"), (int64_t)c->columns);
        put_number(b, &first, S("problems"), c->problems);
        put_text(b, &first, S("delimiter"), str_of(delimiter));
        put_text(b, &first, S("encoding"), str_of(charset_name(c->dialect.charset)));
    }
    buf_byte(b, '}');
}

int csv_count_command(struct ctx *cx, const struct command_line *line) {
    struct buf json = buf_new(cx->mem, JSON_MAX);
    int64_t all = 0;
    size_t failures = 0;
    buf_byte(&json, '[');
    for (size_t i = 0; i < line->n_words; i++) {
        struct csv_count c = {0};
        struct str path = line->words[i];
        const char *failed = count_file(cx, path, &c);
        put_count(&json, path, &c, failed);
        failures += failed != NULL;
        all += c.rows;
        if (failed)
            fprintf(stderr, "entrepot: %.*s cannot be read: %s.\n", STR_FMT(path), failed);
        else if (!line->json)
            printf("%" PRId64 " %.*s\n", c.rows, STR_FMT(path));
        if (c.problems)
            fprintf(stderr,
                    "entrepot: %.*s: %" PRId64 " rows have problems; the first: line %" PRId64 " %s.\n",
                    STR_FMT(path), c.problems, c.first.line, c.problem);
    }
    buf_add(&json, S("]"));
    if (line->json)
        printf("%.*s\n", STR_FMT(buf_str(&json)));
    else if (line->n_words > 1)
        printf("%" PRId64 " total\n", all);
    return failures == line->n_words ? 2 : failures ? 1 : 0;
}

enum { MERGE_KEYS, MERGE_OUT, MERGE_REJECTS };
const struct option CSV_MERGE_OPTIONS[] = {
    [MERGE_KEYS] = {"keys", "A,B", true, "The columns by which two rows are the same."},
    [MERGE_OUT] = {"o", "OUT", true, "The file to write; it appears whole or not at all."},
    [MERGE_REJECTS] = {"rejects", "FILE", false, "Writes the rows that are rejected here, with the reasons."},
    {NULL, NULL, false, NULL},
};

struct merging {
    struct merge m;
    const char *rejects; /* NULL: they are only shown */
    FILE *to;
    struct buf row;
    int64_t shown;
};

/* Which key a heading means. */
static size_t key_at(const struct str *keys, size_t n, struct str heading) {
    size_t i = 0;
    while (i < n && !str_eq_nocase(keys[i], heading))
        i++;
    return i;
}

/* The columns are those of the first file that has all keys: what it calls so stands in its first rows. */
static bool columns_of(struct ctx *cx, struct str path, const struct str *keys, size_t n, struct merge *m) {
    struct arena *mem = arena_new(READING_MAX);
    char *name = str_z(cx->mem, path);
    int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    struct csv *c = fd >= 0 && mem ? csv_open(mem, fd) : NULL;
    struct merge_column *columns = NULL;
    struct csv_row row;
    for (size_t rows = 0; c && !columns && rows < MERGE_HEADINGS_IN && csv_next(c, &row);
         rows += row.raw.n > 0) {
        size_t found = 0;
        for (size_t k = 0; k < n; k++)
            for (size_t i = 0; i < row.n && !row.problem; i++)
                if (str_eq_nocase(keys[k], merge_heading(row.cells[i]))) {
                    m->keys[k] = i;
                    found++;
                    break;
                }
        if (found < n || row.n > MERGE_COLUMNS_MAX || !(columns = NEW_N(cx->mem, struct merge_column, row.n)))
            continue;
        for (size_t i = 0; i < row.n; i++)
            columns[i].name = str_dup(cx->mem, merge_heading(row.cells[i]));
        for (size_t k = 0; k < n; k++)
            columns[m->keys[k]].required = true;
        m->columns = columns;
        m->n_columns = row.n;
    }
    arena_free(mem);
    if (fd >= 0)
        close(fd);
    return columns != NULL;
}

/* Where no file has all keys, each says what it lacks. */
static bool only_keys(struct ctx *cx, const struct str *keys, struct merge *m) {
    struct merge_column *columns = NEW_N(cx->mem, struct merge_column, m->n_keys);
    for (size_t i = 0; columns && i < m->n_keys; i++) {
        columns[i] = (struct merge_column){keys[i], true};
        m->keys[i] = i;
    }
    m->columns = columns;
    m->n_columns = m->n_keys;
    return columns ? true : (fail(cx, ERR_MEMORY, "Memory is out."), false);
}

/* "a, b" → the keys. */
static enum err read_keys(struct ctx *cx, struct str text, struct str *keys, size_t *n) {
    struct str rest = text, key;
    for (*n = 0; rest.n > 0;) {
        if (!str_cut(rest, ',', &key, &rest)) {
            key = rest;
            rest.n = 0;
        }
        key = merge_heading(key);
        if (key.n == 0 || *n == MERGE_KEYS_MAX || key_at(keys, *n, key) < *n)
            return fail(cx, ERR_USAGE, "--keys takes up to %d different columns, with commas between them.",
                        MERGE_KEYS_MAX);
        keys[(*n)++] = key;
    }
    return *n > 0 ? OK : fail(cx, ERR_USAGE, "--keys names no column.");
}

static enum err take_reject(struct ctx *cx, void *arg, const struct merge_reject *r) {
    struct merging *g = arg;
    struct buf *b = &g->row;
    b->n = 0;
    if (g->shown++ < SHOWN_MAX)
        fprintf(stderr, "entrepot: %.*s, line %" PRId64 ": %s%.*s %.*s; rejected.\n", STR_FMT(r->file->path),
                r->at.line, r->column.n ? "column " : "the row", STR_FMT(r->column), STR_FMT(r->problem));
    if (!g->to)
        return OK;
    csv_put(b, r->file->path, false);
    buf_printf(b, ",%" PRId64 ",%" PRId64 ",", r->at.line, r->at.offset);
    csv_put(b, r->column, false);
    buf_byte(b, ',');
    csv_put(b, r->problem, false);
    buf_byte(b, ',');
    csv_put(b, r->raw, false);
    buf_byte(b, '\n');
    struct str text = buf_str(b);
    return !b->failed && fwrite(text.p, 1, text.n, g->to) == text.n
               ? OK
               : fail(cx, ERR_UNAVAILABLE, "%s cannot be written: %s.", g->rejects, strerror(errno));
}

static void print_warnings(const struct merge_file *f) {
    int n = (int)f->path.n;
    const char *path = f->path.p;
    if (f->failed.p)
        fprintf(stderr, "entrepot: %.*s %.*s; nothing of it was taken.\n", n, path, STR_FMT(f->failed));
    if (f->preamble)
        fprintf(stderr, "entrepot: %.*s: %" PRId64 " rows above the headings were passed over.\n", n, path,
                f->preamble);
    for (size_t i = 0; !f->failed.p && i < f->unknown.n; i++)
        fprintf(stderr, "entrepot: %.*s: the column %.*s is not in the output.\n", n, path,
                STR_FMT(((const struct str *)f->unknown.items)[i]));
    for (size_t i = 0; !f->failed.p && i < f->absent.n; i++)
        fprintf(stderr, "entrepot: %.*s: there is no column %.*s; it is empty.\n", n, path,
                STR_FMT(((const struct str *)f->absent.items)[i]));
}

static void put_counts(struct buf *b, bool *first, const struct merge_counts *c) {
    put_number(b, first, S("read"), c->read);
    put_number(b, first, S("accepted"), c->accepted);
    put_number(b, first, S("rejected"), c->rejected);
    put_number(b, first, S("duplicates"), c->duplicates);
    put_number(b, first, S("skipped"), c->skipped);
}

static void print_json(struct ctx *cx, const struct merge *m) {
    struct buf b = buf_new(cx->mem, JSON_MAX);
    bool first = true;
    buf_byte(&b, '{');
    put_counts(&b, &first, &m->counts);
    json_put_key(&b, &first, S("files"));
    buf_byte(&b, '[');
    for (size_t i = 0; i < m->n_files; i++) {
        bool inner = true;
        buf_add(&b, i > 0 ? S(",{") : S("{"));
        put_text(&b, &inner, S("file"), m->files[i].path);
        if (m->files[i].failed.p)
            put_text(&b, &inner, S("failed"), m->files[i].failed);
        put_counts(&b, &inner, &m->files[i].counts);
        buf_byte(&b, '}');
    }
    buf_add(&b, S("]}"));
    printf("%.*s\n", STR_FMT(buf_str(&b)));
}

static void print_counts(const struct merge_counts *c) {
    printf("%" PRId64 " rows read: %" PRId64 " written, %" PRId64 " duplicates, %" PRId64
           " rejected, %" PRId64 " skipped.\n",
           c->read, c->accepted, c->duplicates, c->rejected, c->skipped);
}

static int report(struct ctx *cx, int status) {
    fprintf(stderr, "entrepot: %.*s\n", STR_FMT(cx->fault.message));
    return status;
}

static enum err open_rejects(struct ctx *cx, struct merging *g, struct str path) {
    g->rejects = str_z(cx->mem, path);
    g->to = g->rejects ? fopen(g->rejects, "we") : NULL;
    if (g->to && fputs("file,line,byte_offset,column,reason,raw\n", g->to) >= 0)
        return OK;
    return fail(cx, ERR_UNAVAILABLE, "%.*s cannot be written: %s.", STR_FMT(path), strerror(errno));
}

static int close_rejects(struct ctx *cx, struct merging *g, int status) {
    bool bad = g->to && (fflush(g->to) || fsync(fileno(g->to)));
    if (g->to && fclose(g->to))
        bad = true;
    if (bad)
        (void)fail(cx, ERR_UNAVAILABLE, "%s cannot be written: %s.", g->rejects, strerror(errno));
    return bad ? report(cx, 1) : status;
}

int csv_merge_command(struct ctx *cx, const struct command_line *line) {
    struct merging *g = NEW(cx->mem, struct merging);
    struct str keys[MERGE_KEYS_MAX];
    bool known = false;
    if (!g || !(g->m.files = NEW_N(cx->mem, struct merge_file, line->n_words)))
        return 2;
    struct merge *m = &g->m;
    m->n_files = line->n_words;
    m->out = line->option[MERGE_OUT];
    m->reject = take_reject;
    g->row = buf_new(cx->mem, 4 * CSV_ROW_MAX);
    m->arg = g;
    for (size_t i = 0; i < m->n_files; i++)
        m->files[i].path = line->words[i];
    if (read_keys(cx, line->option[MERGE_KEYS], keys, &m->n_keys))
        return report(cx, 2);
    for (size_t i = 0; !known && i < m->n_files; i++)
        known = columns_of(cx, m->files[i].path, keys, m->n_keys, m);
    if (!known && !(known = only_keys(cx, keys, m)))
        return report(cx, 2);
    if (line->option[MERGE_REJECTS].p && open_rejects(cx, g, line->option[MERGE_REJECTS]))
        return report(cx, 2);
    enum err e = merge_run(cx, m);
    int status = e ? 2 : 0;
    for (size_t i = 0; i < m->n_files; i++) {
        print_warnings(&m->files[i]);
        status = status == 0 && m->files[i].failed.p ? 1 : status;
    }
    if (e)
        (void)report(cx, status);
    else if (line->json)
        print_json(cx, m);
    else
        print_counts(&m->counts);
    return close_rejects(cx, g, status);
}
