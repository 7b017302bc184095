#include "base/arena.h"
#include "feeds/merge_parts.h"

#include <string.h>

#include "base/banned.h"

/* Goes on with a new piece where a row begins. */
static bool open_piece(struct merge_lane *lane, size_t input, struct csv_place from) {
    if (lane->n_pieces == lane->cap_pieces) {
        size_t cap = lane->cap_pieces ? 2 * lane->cap_pieces : 64;
        struct merge_piece *more = NEW_N(lane->mem, struct merge_piece, cap);
        if (!more)
            return false;
        if (lane->n_pieces)
            memcpy(more, lane->pieces, lane->n_pieces * sizeof *more);
        lane->pieces = more;
        lane->cap_pieces = cap;
    }
    lane->pieces[lane->n_pieces++] =
        (struct merge_piece){.input = input, .lane = lane->number, .from = from, .row = lane->rows};
    return true;
}

static void close_piece(struct merge_lane *lane, int64_t to) {
    struct merge_piece *piece = &lane->pieces[lane->n_pieces - 1];
    piece->to = to;
    piece->rows = lane->rows - piece->row;
}

/* The parts of a key with their lengths, so that ("ab", "c") is not ("a", "bc"). */
static struct str key_of(struct merge_lane *lane, const struct str *cells) {
    const struct merge *m = lane->run->m;
    struct buf *b = &lane->key;
    b->n = 0;
    for (size_t i = 0; i < m->n_keys; i++) {
        char scratch[MERGE_SCRATCH];
        struct str cell = cells[m->keys[i]];
        cell = m->spell ? m->spell(m->arg, m->keys[i], cell, scratch) : str_trim(cell);
        buf_add(b, (struct str){(const char *)&cell.n, sizeof cell.n});
        buf_add(b, cell);
    }
    return buf_str(b);
}

static enum err take_row(struct merge_lane *lane, const struct merge_input *in, const struct csv_row *row,
                         struct str *cells) {
    struct merge_run *run = lane->run;
    struct merge_verdict v = merge_judge(run->m, in, row, lane->reading, cells);
    if (lane->rows == MERGE_ROWS_MAX || !merge_fate_set(lane->fates, lane->mem, lane->rows, v.fate))
        return merge_fail(run, ERR_MEMORY, "There are too many rows.");
    if (v.fate == MERGE_ACCEPTED) {
        unsigned char hash[crypto_shorthash_siphashx24_BYTES];
        struct str key = key_of(lane, cells);
        if (lane->key.failed)
            return merge_fail(run, ERR_MEMORY, "A key does not fit in memory.");
        crypto_shorthash_siphashx24(hash, (const unsigned char *)key.p, key.n, run->secret);
        if (!merge_prints_add(lane->prints, hash, lane->rows))
            return merge_fail(run, ERR_MEMORY, "Memory, or the disk for temporary files, is full.");
    }
    lane->rows++;
    return OK;
}

static enum err read_input(struct merge_lane *lane, size_t number, struct csv_place from, int64_t stop) {
    struct merge_run *run = lane->run;
    const struct merge_input *in = &run->inputs[number];
    struct csv *c = csv_part(lane->reading, in->fd, in->dialect, from, in->stat.st_size);
    struct str *cells = NEW_N(lane->reading, struct str, run->m->n_columns);
    struct csv_row row;
    if (!c || !cells || !open_piece(lane, number, from))
        return merge_fail(run, ERR_MEMORY, "The files do not fit in memory.");
    while (csv_at(c).offset < stop && csv_next(c, &row)) {
        if (row.raw.n == 0)
            continue;
        if (row.at.offset - lane->pieces[lane->n_pieces - 1].from.offset >= MERGE_PIECE) {
            close_piece(lane, row.at.offset);
            if (run->failed || !open_piece(lane, number, row.at))
                return merge_fail(run, ERR_MEMORY, "The files do not fit in memory.");
        }
        if (take_row(lane, in, &row, cells))
            return run->code;
    }
    lane->end = csv_at(c);
    close_piece(lane, lane->end.offset);
    return csv_error(c) ? merge_fail(run, ERR_UNAVAILABLE, "%.*s cannot be read: %s.",
                                     STR_FMT(in->file->path), strerror(csv_error(c)))
                        : OK;
}

enum err merge_lane_read(struct merge_lane *lane) {
    struct merge_run *run = lane->run;
    enum err e = OK;
    for (size_t i = lane->first; !e && i <= lane->last && !run->failed; i++) {
        const struct merge_input *in = &run->inputs[i];
        if (in->fd < 0)
            continue;
        e = read_input(lane, i, i == lane->first ? lane->start : in->body,
                       i == lane->last ? lane->stop : INT64_MAX);
        arena_reset(lane->reading);
    }
    return e;
}
