/* A bulk load on a database that works row by row: readers find out what would change, then pieces go through
 * the main lane, each no longer than others can wait. While one is written the next rows are made. */
#include "db/bulk_table.h"
#include "db/state.h"

#include "base/instant.h"

#include "base/banned.h"

#define PIECE_US (12 * US_PER_MS) /* of the writer's time; the commit comes on top */
#define PIECE_MEM ((size_t)4 << 20)

/* A piece on its way through the lane, with a context of its own: the caller's is at work meanwhile. */
struct piece {
    struct write write;
    struct ctx cx;
    struct bulk_rows rows;
    bool last;
    pthread_mutex_t lock;
    pthread_cond_t written;
    bool is_written;
    enum err outcome;
};

static void add_counts(struct bulk_counts *to, const struct bulk_counts *c) {
    to->inserted += c->inserted;
    to->updated += c->updated;
    to->unchanged += c->unchanged;
}

/* A reader at a time for each batch, so that the log can be checkpointed meanwhile. */
static enum err compare_all(struct ctx *cx, const struct bulk *b, struct bulk_counts *would) {
    struct bulk_rows rows = {.cx = cx, .bulk = b, .until = INT64_MAX};
    enum err e = b->rewind(cx, b->arg, 0);
    while (!e && !(e = b->next(cx, b->arg, &rows.cells, &rows.n)) && rows.n > 0) {
        if ((e = db_read_begin(cx)))
            return e;
        rows.counts = (struct bulk_counts){0};
        if ((e = cx->database->driver->bulk_compare(cx->db, &rows)))
            e = conn_report(cx, cx->db, e);
        db_read_end(cx);
        add_counts(would, &rows.counts);
    }
    return e;
}

/* The closure. */
static enum err write_piece(struct ctx *cx, void *arg) {
    struct piece *p = arg;
    const struct bulk *b = p->rows.bulk;
    p->rows.cx = cx;
    p->rows.counts = (struct bulk_counts){0};
    p->rows.done = 0;
    p->rows.until = clock_steady() + PIECE_US;
    enum err e = p->rows.n > 0 ? cx->database->driver->bulk_upsert(cx->db, &p->rows) : OK;
    if (e)
        return conn_report(cx, cx->db, e);
    return b->record(cx, b->arg, &p->rows.counts, p->last);
}

static void wake(struct write *w, enum err outcome) {
    struct piece *p = w->arg;
    pthread_mutex_lock(&p->lock);
    p->outcome = outcome;
    p->is_written = true;
    pthread_cond_signal(&p->written);
    pthread_mutex_unlock(&p->lock);
}

static enum err begin_piece(struct piece *p) {
    arena_reset(p->cx.mem);
    fault_clear(&p->cx);
    p->is_written = false;
    p->write = (struct write){.cx = &p->cx, .run = write_piece, .done = wake, .arg = p, .lane = LANE_MAIN};
    return db_write(p->cx.database, &p->write);
}

static enum err end_piece(struct ctx *cx, struct piece *p, enum err e) {
    pthread_mutex_lock(&p->lock);
    while (!e && !p->is_written)
        pthread_cond_wait(&p->written, &p->lock);
    pthread_mutex_unlock(&p->lock);
    if (!(e = e ? e : p->outcome))
        return OK;
    /* What it says lives in the piece's memory, which ends. */
    const struct fault *f = &p->cx.fault;
    if (f->code == e)
        (void)fail(cx, e, "%.*s", STR_FMT(f->message));
    return fail_cause(cx, e, "%.*s", STR_FMT(f->cause));
}

/* All of one batch, piece by piece; the first is under way. */
static enum err finish_batch(struct ctx *cx, struct piece *p, enum err e) {
    for (;;) {
        if ((e = end_piece(cx, p, e)) || p->rows.done == p->rows.n)
            return e;
        p->rows.cells += p->rows.done * p->rows.bulk->table->n_cells;
        p->rows.n -= p->rows.done;
        e = begin_piece(p);
    }
}

static enum err write_all(struct ctx *cx, struct piece *p) {
    const struct bulk *b = p->rows.bulk;
    const struct arg *cells;
    size_t n;
    enum err e = b->rewind(cx, b->arg, b->from);
    if (!e)
        e = b->next(cx, b->arg, &cells, &n);
    while (!e && n > 0) {
        p->rows.cells = cells;
        p->rows.n = n;
        enum err begun = begin_piece(p), next = b->next(cx, b->arg, &cells, &n);
        e = finish_batch(cx, p, begun);
        e = e ? e : next;
    }
    p->rows.n = 0;
    p->last = true;
    return e ? e : finish_batch(cx, p, begin_piece(p));
}

struct outcome {
    const struct bulk *bulk;
    const struct bulk_counts *counts;
};
static enum err record_unchanged(struct ctx *cx, void *arg) {
    const struct outcome *o = arg;
    return o->bulk->record(cx, o->bulk->arg, o->counts, true);
}

enum err bulk_by_rows(struct ctx *cx, const struct bulk *b) {
    struct bulk_counts would = {0};
    if (b->decide && b->from == 0) {
        enum err e = compare_all(cx, b, &would);
        if (e || (e = b->decide(cx, b->arg, &would)) || b->dry)
            return e;
        if (would.inserted + would.updated == 0)
            return db_write_wait(cx, record_unchanged, &(struct outcome){b, &would});
    }
    struct piece p = {.cx = *cx, .rows = {.bulk = b}};
    p.cx.mem = arena_new(PIECE_MEM);
    p.cx.fault = (struct fault){0};
    if (!p.cx.mem)
        return fail(cx, ERR_MEMORY, "There is no memory to write rows.");
    pthread_mutex_init(&p.lock, NULL);
    pthread_cond_init(&p.written, NULL);
    enum err e = write_all(cx, &p);
    pthread_cond_destroy(&p.written);
    pthread_mutex_destroy(&p.lock);
    arena_free(p.cx.mem);
    return e;
}
