#include "feeds/ingest.h"

#include "base/csv.h"
#include "base/json.h"
#include "base/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/banned.h"

#define KEY_MAX 500 /* bytes of a key's cell: an index entry has to hold them all */
#define READER_MEM ((size_t)96 << 20)
#define BATCH_MEM ((size_t)256 << 20)
#define BATCH_TEXT ((size_t)4 << 20) /* a batch ends with it, however many rows that are */
#define SAMPLE_MAX ((size_t)16 << 10)

/* The cells that the bulk load wants, keys first: which columns of the feed they are. */
static size_t cell_order(const struct feed *f, size_t order[FEED_COLUMNS_MAX]) {
    size_t n = 0;
    for (size_t i = 0; i < f->n_keys; i++)
        order[n++] = f->keys[i];
    for (size_t i = 0; i < f->columns.n; i++)
        if (!feed_column(f, i)->key)
            order[n++] = i;
    return n;
}

enum err ingest_table(struct ctx *cx, struct arena *mem, const struct feed *feed, struct bulk_table **out) {
    size_t order[FEED_COLUMNS_MAX], n = cell_order(feed, order);
    struct bulk_column *c = NEW_N(mem, struct bulk_column, n + 2);
    const char *name = str_z(mem, feed->table);
    if (!c || !name)
        return fail(cx, ERR_MEMORY, "The feed's table does not fit in memory.");
    for (size_t i = 0; i < n; i++)
        c[i] = (struct bulk_column){str_z(mem, feed_column(feed, order[i])->name),
                                    i < feed->n_keys ? BULK_KEY : BULK_VALUE, ARG_NULL};
    c[n] = (struct bulk_column){"ingested_at", BULK_STAMP, ARG_INSTANT};
    c[n + 1] = (struct bulk_column){"run_id", BULK_STAMP, ARG_UUID};
    return bulk_table_new(cx, mem, name, c, n + 2, out);
}

/* A merged file on its way. */
struct reader {
    struct arena *mem;
    int fd;
    struct csv *csv;
};

static void reader_done(struct reader *r) {
    arena_free(r->mem);
    if (r->fd >= 0)
        close(r->fd);
    *r = (struct reader){.fd = -1};
}

static enum err reader_begin(struct ctx *cx, struct reader *r, struct str path) {
    struct csv_row headings;
    reader_done(r);
    r->fd = open(str_z(cx->mem, path), O_RDONLY | O_CLOEXEC);
    if (r->fd < 0)
        return fail(cx, ERR_UNAVAILABLE, "%.*s cannot be read: %s.", STR_FMT(path), strerror(errno));
    r->mem = arena_new(READER_MEM);
    r->csv = r->mem ? csv_open(r->mem, r->fd) : NULL;
    if (!r->csv)
        return fail(cx, ERR_MEMORY, "There is no memory to read the merged file.");
    (void)csv_next(r->csv, &headings);
    return OK;
}

static enum err reader_end(struct ctx *cx, const struct reader *r, struct str path) {
    int error = csv_error(r->csv);
    return error ? fail(cx, ERR_UNAVAILABLE, "%.*s cannot be read: %s.", STR_FMT(path), strerror(error)) : OK;
}

/* The cells of a row as values, in cell order; NULL, or what is wrong with which column. */
static const char *read_row(const struct ingest *in, const size_t *order, size_t n, const struct csv_row *row,
                            char (*scratch)[VALUE_ROOM], struct arg *out, size_t *bad) {
    *bad = order[0];
    if (row->problem)
        return row->problem;
    if (row->n != in->feed->columns.n)
        return "has another number of cells than the headings";
    for (size_t i = 0; i < n; i++) {
        const struct feed_column *c = feed_column(in->feed, order[i]);
        const char *problem = value_read(c->type, in->order, row->cells[order[i]], scratch[i], &out[i]);
        *bad = order[i];
        if (problem)
            return problem;
        if (c->key && out[i].kind == ARG_NULL)
            return "is empty and part of the key";
        if (c->key && out[i].kind == ARG_STR && out[i].s.n > KEY_MAX)
            return "is longer than a key may be (500 bytes)";
    }
    return NULL;
}

/* What the days over 12 of a whole file say; both orders in one file say nothing. */
static enum err find_order(struct ctx *cx, struct ingest *in) {
    struct reader r = {.fd = -1};
    struct csv_row row;
    bool seen[3] = {false, false, false};
    enum err e = reader_begin(cx, &r, in->merged);
    while (!e && csv_next(r.csv, &row))
        for (size_t i = 0; i < row.n && i < in->feed->columns.n && !row.problem; i++)
            if (feed_column(in->feed, i)->type == FEED_DATE)
                seen[value_order(row.cells[i])] = true;
    if (!e)
        e = reader_end(cx, &r, in->merged);
    reader_done(&r);
    if (seen[DAY_FIRST] != seen[MONTH_FIRST])
        in->order = seen[DAY_FIRST] ? DAY_FIRST : MONTH_FIRST;
    return e;
}

static enum date_order declared(const struct feed *f) {
    return str_eq(f->dates, S("day_first"))     ? DAY_FIRST
           : str_eq(f->dates, S("month_first")) ? MONTH_FIRST
                                                : ORDER_UNKNOWN;
}

enum err ingest_resume(struct ctx *cx, struct ingest *in) {
    in->order = declared(in->feed);
    return in->order == ORDER_UNKNOWN ? find_order(cx, in) : OK;
}

static void put_value(struct buf *b, const struct arg *a) {
    if (a->kind == ARG_NULL)
        buf_add(b, S("null"));
    else if (a->kind == ARG_BOOL)
        buf_add(b, a->i ? S("true") : S("false"));
    else if (a->kind == ARG_INT)
        buf_int(b, a->i);
    else
        json_put_string(b, a->s);
}

static void keep_sample(struct ctx *cx, struct ingest *in, const size_t *order, size_t n,
                        const struct arg *cells) {
    struct buf b = buf_new(cx->mem, SAMPLE_MAX);
    bool first = true;
    buf_byte(&b, '{');
    for (size_t i = 0; i < n; i++) {
        json_put_key(&b, &first, feed_column(in->feed, order[i])->name);
        put_value(&b, &cells[i]);
    }
    buf_byte(&b, '}');
    if (!b.failed)
        in->samples[in->n_samples++].text = buf_str(&b);
}

static size_t store_column(const struct feed *f) {
    for (size_t i = 0; i < f->columns.n; i++)
        if (str_eq(feed_column(f, i)->name, S("store_code")))
            return i;
    return 0;
}

enum err ingest_check(struct ctx *cx, struct ingest *in, struct rejects *rejects,
                      void (*rejected)(void *arg, struct str store_code), void *arg) {
    size_t order[FEED_COLUMNS_MAX], n = cell_order(in->feed, order), bad, store = store_column(in->feed);
    char scratch[FEED_COLUMNS_MAX][VALUE_ROOM];
    struct arg cells[FEED_COLUMNS_MAX];
    struct reader r = {.fd = -1};
    struct csv_row row;
    bool asked = false;
    enum err e = reader_begin(cx, &r, in->merged);
    in->order = declared(in->feed);
    in->good = in->bad = 0;
    in->n_samples = 0;
    while (!e && csv_next(r.csv, &row)) {
        const char *problem = read_row(in, order, n, &row, scratch, cells, &bad);
        if (problem == VALUE_AMBIGUOUS && !asked) { /* rows before it had nothing that depends on it */
            asked = true;
            if ((e = find_order(cx, in)))
                break;
            problem = read_row(in, order, n, &row, scratch, cells, &bad);
        }
        if (!problem) {
            in->good++;
            if (in->n_samples < INGEST_SAMPLES)
                keep_sample(cx, in, order, n, cells);
            continue;
        }
        in->bad++;
        if (rejected)
            rejected(arg, store < row.n ? str_trim(row.cells[store]) : S(""));
        e = rejects_add(cx, rejects, row.at, feed_column(in->feed, bad)->name, str_of(problem), row.raw);
    }
    if (!e)
        e = reader_end(cx, &r, in->merged);
    reader_done(&r);
    return e;
}

/* The rows of a load, in two batches that take turns. */
struct rows {
    const struct ingest *in;
    struct bulk *bulk;
    enum err (*decide)(struct ctx *cx, void *arg, const struct bulk_counts *would);
    enum err (*record)(struct ctx *cx, void *arg, const struct bulk_counts *did, bool last);
    void *arg;
    struct reader reader;
    size_t order[FEED_COLUMNS_MAX], n_cells, batch;
    struct {
        struct arena *mem;
        struct arg *cells;
    } turn[2];
    int which;
};

/* What a row refers to moves with the reader: its texts are copied together. */
static bool keep_row(struct rows *r, struct arg *to, const struct arg *cells, size_t *text) {
    size_t need = 0;
    for (size_t i = 0; i < r->n_cells; i++)
        need += cells[i].kind == ARG_STR ? cells[i].s.n : 0;
    char *p = arena_alloc(r->turn[r->which].mem, need + 1);
    if (!p)
        return false;
    *text += need;
    for (size_t i = 0; i < r->n_cells; i++) {
        to[i] = cells[i];
        if (cells[i].kind == ARG_STR) {
            memcpy(p, cells[i].s.p, cells[i].s.n);
            to[i].s.p = p;
            p += cells[i].s.n;
        }
    }
    return true;
}

static enum err next_rows(struct ctx *cx, void *arg, const struct arg **out, size_t *n) {
    struct rows *r = arg;
    char scratch[FEED_COLUMNS_MAX][VALUE_ROOM];
    struct arg cells[FEED_COLUMNS_MAX];
    struct csv_row row;
    size_t bad, text = 0;
    r->which = !r->which;
    arena_reset(r->turn[r->which].mem);
    *out = r->turn[r->which].cells;
    *n = 0;
    while (*n < r->batch && text < BATCH_TEXT && csv_next(r->reader.csv, &row)) {
        if (read_row(r->in, r->order, r->n_cells, &row, scratch, cells, &bad))
            continue;
        if (!keep_row(r, r->turn[r->which].cells + *n * r->n_cells, cells, &text))
            return fail(cx, ERR_MEMORY, "The rows of a batch do not fit in memory.");
        ++*n;
    }
    return reader_end(cx, &r->reader, r->in->merged);
}

static enum err rewind_rows(struct ctx *cx, void *arg, int64_t from) {
    struct rows *r = arg;
    char scratch[FEED_COLUMNS_MAX][VALUE_ROOM];
    struct arg cells[FEED_COLUMNS_MAX];
    struct csv_row row;
    size_t bad;
    enum err e = reader_begin(cx, &r->reader, r->in->merged);
    while (!e && from > 0 && csv_next(r->reader.csv, &row))
        from -= !read_row(r->in, r->order, r->n_cells, &row, scratch, cells, &bad);
    return e;
}

static enum err decide(struct ctx *cx, void *arg, const struct bulk_counts *would) {
    const struct rows *r = arg;
    return r->decide(cx, r->arg, would);
}

static enum err record(struct ctx *cx, void *arg, const struct bulk_counts *did, bool last) {
    const struct rows *r = arg;
    return r->record(cx, r->arg, did, last);
}

enum err ingest_load(struct ctx *cx, struct ingest *in, struct uuid run, struct bulk *bulk) {
    struct rows r = {
        .in = in, .bulk = bulk, .decide = bulk->decide, .record = bulk->record, .arg = bulk->arg};
    r.reader.fd = -1;
    r.n_cells = cell_order(in->feed, r.order);
    r.batch = (size_t)setting_int(cx->modules->settings, "INGEST_BATCH_SIZE");
    bool good = true;
    for (int i = 0; i < 2; i++) {
        r.turn[i].mem = arena_new(BATCH_MEM);
        r.turn[i].cells = NEW_N(cx->mem, struct arg, r.batch * r.n_cells);
        good = good && r.turn[i].mem && r.turn[i].cells;
    }
    struct arg stamps[] = {A(cx->now), A(run)};
    bulk->table = in->table;
    bulk->stamps = (struct args){stamps, 2};
    bulk->rewind = rewind_rows;
    bulk->next = next_rows;
    bulk->decide = r.decide ? decide : NULL;
    bulk->record = record;
    bulk->arg = &r;
    enum err e = good ? db_bulk(cx, bulk) : fail(cx, ERR_MEMORY, "There is no memory for a batch of rows.");
    reader_done(&r.reader);
    arena_free(r.turn[0].mem);
    arena_free(r.turn[1].mem);
    return e;
}
