#include "base/arena.h"
#include "feeds/merge_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/banned.h"

#define OUT_MAX (8 * CSV_ROW_MAX)
#define GROUPS_MAX 100000

/* Rejected rows of a piece, kept until it is the piece's turn. */
struct told {
    struct told *next;
    struct merge_reject reject;
};

struct writer {
    struct merge_run *run;
    struct merge_queue *queue;
    struct arena *mem, *reading; /* what lasts; what lasts for one piece */
    struct buf out;
    struct str *cells;
    struct merge_counts counts;
    struct told *told, **told_end;
    struct merge_groups *groups;
};

/* Pieces are taken in their order, and written, told and counted in their order. */
struct merge_queue {
    const struct merge_piece *pieces;
    size_t n, taken, turn;
    pthread_mutex_t lock;
    pthread_cond_t turned;
};

static void put_row(struct writer *w, const struct merge_input *in, const struct csv_row *row) {
    size_t n = w->run->m->n_columns;
    if (in->as_it_is && row->exact && row->n == n) {
        buf_add(&w->out, row->raw);
    } else {
        for (size_t i = 0; i < n; i++) {
            if (i > 0)
                buf_byte(&w->out, ',');
            csv_put(&w->out, w->cells[i], false);
        }
        if (n == 1 && w->cells[0].n == 0)
            buf_add(&w->out, S("\"\"")); /* an empty line is no row */
    }
    buf_byte(&w->out, '\n');
}

static bool keep_told(struct writer *w, const struct merge_input *in, const struct csv_row *row,
                      struct merge_verdict v) {
    struct told *t = NEW(w->reading, struct told);
    if (!t)
        return false;
    t->reject = (struct merge_reject){in->file, row->at, v.column, v.problem, str_dup(w->reading, row->raw)};
    *w->told_end = t;
    w->told_end = &t->next;
    return t->reject.raw.p != NULL;
}

static void count(struct merge_counts *c, enum merge_fate fate) {
    c->read++;
    c->accepted += fate == MERGE_ACCEPTED;
    c->duplicates += fate == MERGE_DUPLICATE;
    c->rejected += fate == MERGE_REJECTED;
    c->skipped += fate == MERGE_SKIPPED;
}

static void add(struct merge_counts *to, const struct merge_counts *c) {
    to->read += c->read;
    to->accepted += c->accepted;
    to->duplicates += c->duplicates;
    to->rejected += c->rejected;
    to->skipped += c->skipped;
}

/* Counts by one column's value: a table that grows, kept sorted only at the end. */
struct merge_groups {
    struct merge_group *slots;
    size_t cap, n;
};

static size_t slot_of(const struct merge_run *run, const struct merge_groups *g, struct str value) {
    unsigned char hash[crypto_shorthash_BYTES];
    uint64_t at;
    crypto_shorthash(hash, (const unsigned char *)value.p, value.n, run->secret);
    memcpy(&at, hash, sizeof at);
    while (g->slots[at & (g->cap - 1)].value.p && !str_eq(g->slots[at & (g->cap - 1)].value, value))
        at++;
    return at & (g->cap - 1);
}

static struct merge_counts *group(const struct merge_run *run, struct arena *mem, struct merge_groups *g,
                                  struct str value) {
    if (2 * g->n >= g->cap) {
        struct merge_groups more = {.cap = g->cap ? 2 * g->cap : 64, .n = g->n};
        if (g->n > GROUPS_MAX || !(more.slots = NEW_N(mem, struct merge_group, more.cap)))
            return NULL;
        for (size_t i = 0; i < g->cap; i++)
            if (g->slots[i].value.p)
                more.slots[slot_of(run, &more, g->slots[i].value)] = g->slots[i];
        *g = more;
    }
    struct merge_group *slot = &g->slots[slot_of(run, g, value)];
    if (!slot->value.p) {
        slot->value = str_dup(mem, value);
        g->n++;
    }
    return slot->value.p ? &slot->counts : NULL;
}

static bool count_group(struct writer *w, const struct merge_input *in, const struct csv_row *row,
                        enum merge_fate fate) {
    size_t cell = in->cell_of[w->run->m->group];
    struct str value = cell < row->n && !row->problem ? str_trim(row->cells[cell]) : S("");
    struct merge_counts *counts = group(w->run, w->mem, w->groups, value);
    if (counts)
        count(counts, fate);
    return counts != NULL;
}

static bool do_row(struct writer *w, const struct merge_input *in, const struct csv_row *row,
                   enum merge_fate fate) {
    const struct merge *m = w->run->m;
    count(&w->counts, fate);
    if (m->grouped && !count_group(w, in, row, fate))
        return false;
    if (fate == MERGE_REJECTED && m->reject)
        return keep_told(w, in, row, merge_judge(m, in, row, w->reading, w->cells));
    if (fate == MERGE_ACCEPTED && w->run->out >= 0) {
        for (size_t i = 0; i < m->n_columns; i++)
            w->cells[i] = in->cell_of[i] == MERGE_ABSENT ? S("") : row->cells[in->cell_of[i]];
        put_row(w, in, row);
    }
    return !w->out.failed;
}

static enum err read_piece(struct writer *w, const struct merge_piece *piece) {
    struct merge_run *run = w->run;
    const struct merge_input *in = &run->inputs[piece->input];
    struct csv *c = csv_part(w->reading, in->fd, in->dialect, piece->from, piece->to);
    struct csv_row row;
    uint32_t n = 0;
    if (!c)
        return merge_fail(run, ERR_MEMORY, "The files do not fit in memory.");
    while (n <= piece->rows && csv_next(c, &row)) {
        if (row.raw.n == 0)
            continue;
        if (n++ == piece->rows)
            break;
        if (!do_row(w, in, &row, merge_fate_get(run->lanes[piece->lane].fates, piece->row + n - 1)))
            return merge_fail(run, ERR_MEMORY, "The output does not fit in memory, or has too many groups.");
    }
    if (csv_error(c))
        return merge_fail(run, ERR_UNAVAILABLE, "%.*s cannot be read: %s.", STR_FMT(in->file->path),
                          strerror(csv_error(c)));
    return n == piece->rows ? OK
                            : merge_fail(run, ERR_CONFLICT, "%.*s was changed while it was read.",
                                         STR_FMT(in->file->path));
}

/* What must happen in order: the place in the output, the rejects, the counts. */
static int64_t in_turn(struct writer *w, size_t number) {
    struct merge_run *run = w->run;
    struct merge_queue *q = w->queue;
    pthread_mutex_lock(&q->lock);
    while (q->turn != number)
        pthread_cond_wait(&q->turned, &q->lock);
    int64_t offset = run->written;
    run->written += (int64_t)w->out.n;
    for (struct told *t = w->told; t && !run->failed; t = t->next)
        if (run->m->reject(run->cx, run->m->arg, &t->reject))
            (void)merge_fail(run, run->cx->fault.code, "%.*s", STR_FMT(run->cx->fault.message));
    if (!run->failed)
        add(&run->inputs[q->pieces[number].input].file->counts, &w->counts);
    q->turn++;
    pthread_cond_broadcast(&q->turned);
    pthread_mutex_unlock(&q->lock);
    return offset;
}

static void write_out(struct writer *w, int64_t offset) {
    struct merge_run *run = w->run;
    for (size_t done = 0; run->out >= 0 && done < w->out.n && !run->failed;) {
        ssize_t n = pwrite(run->out, w->out.p + done, w->out.n - done, offset + (int64_t)done);
        if (n < 0 && errno != EINTR)
            (void)merge_fail(run, ERR_UNAVAILABLE, "%.*s cannot be written: %s.", STR_FMT(run->m->out),
                             strerror(errno));
        done += n > 0 ? (size_t)n : 0;
    }
    /* The disk begins now, so that there is less to wait for at the end. */
    if (run->out >= 0)
        (void)sync_file_range(run->out, offset, (off_t)w->out.n, SYNC_FILE_RANGE_WRITE);
}

static void *work(void *arg) {
    struct writer *w = arg;
    struct merge_queue *q = w->queue;
    for (;;) {
        pthread_mutex_lock(&q->lock);
        size_t number = q->taken < q->n ? q->taken++ : SIZE_MAX;
        pthread_mutex_unlock(&q->lock);
        if (number == SIZE_MAX)
            return NULL;
        w->out.n = 0;
        w->counts = (struct merge_counts){0};
        w->told = NULL;
        w->told_end = &w->told;
        if (!w->run->failed)
            (void)read_piece(w, &q->pieces[number]);
        write_out(w, in_turn(w, number));
        arena_reset(w->reading);
    }
}

static int by_value(const void *x, const void *y) {
    return str_cmp(((const struct merge_group *)x)->value, ((const struct merge_group *)y)->value);
}

static enum err sum_groups(struct merge_run *run, const struct writer *writers) {
    struct arena *mem = run->cx->mem;
    struct merge_groups all = {0};
    for (size_t i = 0; i < run->threads; i++)
        for (size_t k = 0; k < writers[i].groups->cap; k++) {
            const struct merge_group *from = &writers[i].groups->slots[k];
            struct merge_counts *to = from->value.p ? group(run, mem, &all, from->value) : NULL;
            if (from->value.p && !to)
                return merge_fail(run, ERR_MEMORY, "There are too many groups.");
            if (to)
                add(to, &from->counts);
        }
    size_t n = 0;
    for (size_t k = 0; k < all.cap; k++)
        if (all.slots[k].value.p)
            all.slots[n++] = all.slots[k];
    if (n)
        qsort(all.slots, n, sizeof *all.slots, by_value);
    run->m->groups = (struct list){all.slots, n};
    return OK;
}

static void init_writer(struct merge_run *run, struct merge_queue *q, struct writer *w) {
    *w = (struct writer){.run = run, .queue = q, .mem = arena_new(SIZE_MAX), .reading = arena_new(SIZE_MAX)};
    if (w->mem) {
        w->cells = NEW_N(w->mem, struct str, run->m->n_columns);
        w->groups = NEW(w->mem, struct merge_groups);
        w->out = buf_new(w->mem, OUT_MAX);
    }
    if (!w->reading || !w->cells || !w->groups)
        (void)merge_fail(run, ERR_MEMORY, "Memory is out.");
}

/* The pieces of all lanes in the order of the input. */
static struct merge_piece *all_pieces(struct merge_run *run, size_t *n) {
    size_t all = 0;
    for (size_t l = 0; l < run->n_lanes; l++)
        all += run->lanes[l].n_pieces;
    struct merge_piece *pieces = NEW_N(run->lanes[0].mem, struct merge_piece, all ? all : 1);
    *n = 0;
    for (size_t l = 0; pieces && l < run->n_lanes; l++)
        for (size_t i = 0; i < run->lanes[l].n_pieces; i++)
            pieces[(*n)++] = run->lanes[l].pieces[i];
    return pieces;
}

enum err merge_write(struct merge_run *run) {
    struct writer writers[MERGE_LANES_MAX];
    struct merge_queue q = {.lock = PTHREAD_MUTEX_INITIALIZER, .turned = PTHREAD_COND_INITIALIZER};
    q.pieces = all_pieces(run, &q.n);
    if (!q.pieces)
        return merge_fail(run, ERR_MEMORY, "Memory is out.");
    for (size_t i = 0; i < run->threads; i++)
        init_writer(run, &q, &writers[i]);
    if (!run->failed)
        merge_threads(run->threads, work, writers, sizeof writers[0]);
    if (!run->failed && run->m->grouped)
        (void)sum_groups(run, writers);
    for (size_t i = 0; i < run->threads; i++) {
        arena_free(writers[i].mem);
        arena_free(writers[i].reading);
    }
    return run->code;
}
