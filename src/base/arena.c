#include "base/arena.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

/* Under the address sanitizer a gap that must not be touched follows each piece, and free space is poisoned,
 * so that a write past a piece is found though the piece came from a block. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(ARENA_POISON)
#include <sanitizer/asan_interface.h>
#define GAP 16
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define GAP 0
#define POISON(p, n) ((void)(n))
#define UNPOISON(p, n) ((void)(n))
#endif

#define ALIGN 16
#define FIRST_BLOCK 4096
#define LARGEST_BLOCK (1024 * 1024)

struct block {
    struct block *next;
    size_t size; /* of bytes */
    _Alignas(ALIGN) char bytes[];
};

/* The arena itself stands at the start of its first block. Small pieces come from the current block; one that
 * would waste much of it gets a block of its own, which is put behind the current one. */
struct arena {
    size_t used, max;
    char *next, *end; /* free space of the current block */
    struct block *current, *first;
    size_t growth; /* size of the next block */
};

#define HEAD ((sizeof(struct arena) + ALIGN - 1) / ALIGN * ALIGN)

static size_t rounded(size_t size) { return (size + (size == 0) + ALIGN - 1) & ~(size_t)(ALIGN - 1); }

struct arena *arena_new(size_t max) {
    struct block *b = malloc(FIRST_BLOCK);
    if (!b)
        return NULL;
    *b = (struct block){.size = FIRST_BLOCK - sizeof(struct block)};
    struct arena *a = (struct arena *)b->bytes;
    *a = (struct arena){.max = max < PTRDIFF_MAX / 2 ? max : PTRDIFF_MAX / 2, .first = b};
    arena_reset(a);
    return a;
}

static void free_after(struct block *b) {
    struct block *next = b->next;
    b->next = NULL;
    while (next) {
        struct block *gone = next;
        next = gone->next;
        UNPOISON(gone->bytes, gone->size);
        free(gone);
    }
}

void arena_free(struct arena *a) {
    if (!a)
        return;
    struct block *first = a->first;
    free_after(first);
    UNPOISON(first->bytes, first->size);
    free(first);
}

void arena_reset(struct arena *a) {
    free_after(a->first);
    a->current = a->first;
    a->next = a->first->bytes + HEAD;
    a->end = a->first->bytes + a->first->size;
    a->growth = FIRST_BLOCK * 2;
    a->used = 0;
    POISON(a->next, (size_t)(a->end - a->next));
}

static void *from_new_block(struct arena *a, size_t size, size_t need) {
    bool own = need > a->growth / 4;
    size_t room = own ? need : a->growth - sizeof(struct block);
    struct block *b = calloc(1, sizeof *b + room);
    if (!b)
        return NULL;
    b->size = room;
    b->next = a->current->next;
    a->current->next = b;
    POISON(b->bytes, b->size);
    UNPOISON(b->bytes, size);
    a->used += need;
    if (own)
        return b->bytes;
    a->current = b;
    a->next = b->bytes + need;
    a->end = b->bytes + room;
    if (a->growth < LARGEST_BLOCK)
        a->growth *= 2;
    return b->bytes;
}

void *arena_alloc(struct arena *a, size_t size) {
    if (size > a->max)
        return NULL;
    size_t need = rounded(size) + GAP;
    if (need > a->max + ALIGN + GAP - a->used)
        return NULL;
    if (need > (size_t)(a->end - a->next))
        return from_new_block(a, size, need);
    char *p = a->next;
    a->next += need;
    a->used += need;
    UNPOISON(p, size);
    return memset(p, 0, size);
}

void *arena_alloc_n(struct arena *a, size_t size, size_t count) {
    size_t total;
    return __builtin_mul_overflow(size, count, &total) ? NULL : arena_alloc(a, total);
}

bool arena_extend(struct arena *a, void *piece, size_t size, size_t wanted) {
    assert(wanted >= size);
    char *p = piece;
    size_t more = rounded(wanted) - rounded(size);
    if (wanted > a->max || p + rounded(size) + GAP != a->next || more > (size_t)(a->end - a->next) ||
        more > a->max - (a->used < a->max ? a->used : a->max))
        return false;
    UNPOISON(p, wanted);
    memset(p + size, 0, wanted - size);
    a->next += more;
    a->used += more;
    return true;
}

size_t arena_used(const struct arena *a) { return a->used; }
