#include "base/arena.h"
#include "feeds/merge_parts.h"

#include <string.h>

#include "base/banned.h"

static struct merge_verdict rejected(const struct merge_input *in, size_t column, struct str problem) {
    struct str heading = column < in->width ? in->headings[column] : S("");
    return (struct merge_verdict){MERGE_REJECTED, heading, problem};
}

static bool all_empty(const struct csv_row *row, size_t from) {
    for (size_t i = from; i < row->n; i++)
        if (row->cells[i].n > 0)
            return false;
    return true;
}

static bool is_headings(const struct merge_input *in, struct str raw) {
    if (raw.n > in->headings_raw.n && str_starts(raw, S("\xef\xbb\xbf")))
        raw = str_sub(raw, 3, raw.n);
    return str_eq(raw, in->headings_raw);
}

struct merge_verdict merge_judge(const struct merge *m, const struct merge_input *in,
                                 const struct csv_row *row, struct arena *mem, struct str *cells) {
    if (row->problem)
        return rejected(in, row->column - 1, str_of(row->problem));
    if (all_empty(row, 0) || is_headings(in, row->raw))
        return (struct merge_verdict){.fate = MERGE_SKIPPED};
    if (row->n < in->width || (row->n > in->width && !all_empty(row, in->width)))
        return rejected(in, SIZE_MAX,
                        str_printf(mem, "has %zu cells, but there are %zu headings", row->n, in->width));
    for (size_t i = 0; i < m->n_columns; i++)
        cells[i] = in->cell_of[i] == MERGE_ABSENT ? S("") : row->cells[in->cell_of[i]];
    for (size_t i = 0; m->full_keys && i < m->n_keys; i++)
        if (str_trim(cells[m->keys[i]]).n == 0)
            return rejected(in, in->cell_of[m->keys[i]], S("is empty, and part of the key"));
    if (m->keep && !m->keep(m->arg, cells))
        return (struct merge_verdict){.fate = MERGE_SKIPPED};
    return (struct merge_verdict){.fate = MERGE_ACCEPTED};
}

/* Four rows a byte. Only its lane's thread sets a fate, before the threads that look for duplicates start. */
static _Atomic unsigned char *byte_of(const struct merge_fates *fates, uint32_t row) {
    return fates->chunks[row / MERGE_FATES_CHUNK] + row % MERGE_FATES_CHUNK / 4;
}

enum merge_fate merge_fate_get(const struct merge_fates *fates, uint32_t row) {
    unsigned bits = atomic_load_explicit(byte_of(fates, row), memory_order_relaxed);
    return (enum merge_fate)(bits >> row % 4 * 2 & 3);
}

static void add_bits(struct merge_fates *fates, uint32_t row, enum merge_fate fate) {
    atomic_fetch_or_explicit(byte_of(fates, row), (unsigned char)((unsigned)fate << row % 4 * 2),
                             memory_order_relaxed);
}

bool merge_fate_set(struct merge_fates *fates, struct arena *mem, uint32_t row, enum merge_fate fate) {
    _Atomic unsigned char **chunk = &fates->chunks[row / MERGE_FATES_CHUNK];
    if (!*chunk && !(*chunk = arena_alloc(mem, MERGE_FATES_CHUNK / 4)))
        return false;
    if (fate != MERGE_ACCEPTED)
        add_bits(fates, row, fate);
    return true;
}

void merge_fate_duplicate(struct merge_fates *fates, uint32_t row) { add_bits(fates, row, MERGE_DUPLICATE); }
