#include "base/arena.h"
#include "feeds/merge_parts.h"

#include "base/banned.h"

/* Threads take partitions, each of which is a small table. The prints of a partition stand in the order of
 * their rows, lane by lane, so that of equal ones the last is found by going through them once. */
struct dedupe {
    struct merge_run *run;
    atomic_size_t *next;
};

static uint32_t print_lane(const size_t *ends, uint32_t i) {
    uint32_t lane = 0;
    while (i >= ends[lane])
        lane++;
    return lane;
}

static bool same(const struct merge_print *x, const struct merge_print *y) {
    return x->a == y->a && x->b == y->b;
}

static void mark(struct merge_run *run, const struct merge_print *prints, const size_t *ends, uint32_t *table,
                 uint32_t mask) {
    uint32_t n = (uint32_t)ends[run->n_lanes - 1];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = (uint32_t)prints[i].a & mask;
        while (table[at] && !same(&prints[table[at] - 1], &prints[i]))
            at = (at + 1) & mask;
        if (table[at]) {
            uint32_t before = table[at] - 1;
            merge_fate_duplicate(run->lanes[print_lane(ends, before)].fates, prints[before].row);
        }
        table[at] = i + 1;
    }
}

static bool do_partition(struct merge_run *run, struct arena *mem, size_t partition) {
    size_t ends[MERGE_LANES_MAX], n = 0, cap = 16;
    for (size_t l = 0; l < run->n_lanes; l++)
        ends[l] = n += merge_prints_count(run->lanes[l].prints, partition);
    if (n < 2)
        return true;
    while (cap < 2 * n)
        cap *= 2;
    struct merge_print *prints = NEW_N(mem, struct merge_print, n);
    uint32_t *table = NEW_N(mem, uint32_t, cap);
    if (n >= UINT32_MAX / 4 || !prints || !table)
        return false;
    for (size_t l = 0; l < run->n_lanes; l++)
        if (!merge_prints_read(run->lanes[l].prints, partition, prints + (l ? ends[l - 1] : 0)))
            return false;
    mark(run, prints, ends, table, (uint32_t)(cap - 1));
    return true;
}

static void *work(void *arg) {
    struct dedupe *d = arg;
    struct arena *mem = arena_new(SIZE_MAX);
    for (size_t p; !d->run->failed && (p = atomic_fetch_add(d->next, 1)) < MERGE_PARTITIONS;) {
        if (!mem || !do_partition(d->run, mem, p))
            (void)merge_fail(d->run, ERR_MEMORY, "Memory or disk is full.");
        arena_reset(mem);
    }
    arena_free(mem);
    return NULL;
}

enum err merge_dedupe(struct merge_run *run) {
    atomic_size_t next = 0;
    struct dedupe d[MERGE_LANES_MAX];
    for (size_t i = 0; i < run->threads; i++)
        d[i] = (struct dedupe){run, &next};
    merge_threads(run->threads, work, d, sizeof d[0]);
    return run->code;
}
