#include "base/arena.h"
#include "feeds/merge_parts.h"

#include <string.h>
#include <unistd.h>

#include "base/banned.h"

/* A partition is a list of blocks. Blocks stay in memory until that is used up; from then on a block that is
 * full goes to the end of the temporary file, and its memory takes the next ones. */
#define BLOCK 256

struct block {
    struct merge_print *prints; /* NULL: it is in the file */
    int64_t offset;
};

struct partition {
    struct block *blocks; /* full ones */
    size_t n, cap;
    struct merge_print *open; /* the one that is filled */
    size_t used;
};

struct merge_prints {
    struct arena *mem;
    size_t blocks_left;
    struct merge_spill *spill;
    struct partition partitions[MERGE_PARTITIONS];
};

struct merge_prints *merge_prints_new(struct arena *mem, size_t memory, struct merge_spill *spill) {
    struct merge_prints *p = NEW(mem, struct merge_prints);
    if (p) {
        p->mem = mem;
        p->blocks_left = memory / (BLOCK * sizeof(struct merge_print));
        p->spill = spill;
    }
    return p;
}

static bool put_away(struct merge_prints *p, struct partition *part, struct block *block) {
    size_t size = BLOCK * sizeof(struct merge_print);
    if (p->blocks_left > 0) {
        p->blocks_left--;
        *block = (struct block){.prints = part->open};
        part->open = NULL;
        return true;
    }
    *block = (struct block){.offset = atomic_fetch_add(&p->spill->size, (long long)size)};
    return pwrite(p->spill->fd, part->open, size, block->offset) == (ssize_t)size;
}

static bool close_block(struct merge_prints *p, struct partition *part) {
    if (part->n == part->cap) {
        size_t cap = part->cap ? 2 * part->cap : 16;
        struct block *more = NEW_N(p->mem, struct block, cap);
        if (!more)
            return false;
        if (part->n)
            memcpy(more, part->blocks, part->n * sizeof *more);
        part->blocks = more;
        part->cap = cap;
    }
    part->used = 0;
    return put_away(p, part, &part->blocks[part->n++]);
}

bool merge_prints_add(struct merge_prints *p, const unsigned char hash[16], uint32_t row) {
    struct partition *part = &p->partitions[hash[12]];
    if (part->used == BLOCK && !close_block(p, part))
        return false;
    if (!part->open && !(part->open = NEW_N(p->mem, struct merge_print, BLOCK)))
        return false;
    struct merge_print *print = &part->open[part->used++];
    memcpy(&print->a, hash, sizeof print->a);
    memcpy(&print->b, hash + sizeof print->a, sizeof print->b);
    print->row = row;
    return true;
}

size_t merge_prints_count(const struct merge_prints *p, size_t partition) {
    return p->partitions[partition].n * BLOCK + p->partitions[partition].used;
}

bool merge_prints_read(const struct merge_prints *p, size_t partition, struct merge_print *out) {
    const struct partition *part = &p->partitions[partition];
    size_t size = BLOCK * sizeof *out;
    for (size_t i = 0; i < part->n; i++, out += BLOCK) {
        const struct block *b = &part->blocks[i];
        if (b->prints)
            memcpy(out, b->prints, size);
        else if (pread(p->spill->fd, out, size, b->offset) != (ssize_t)size)
            return false;
    }
    if (part->used)
        memcpy(out, part->open, part->used * sizeof *out);
    return true;
}
