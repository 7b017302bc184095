#include "db/cache.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/banned.h"

#define CAP_FIRST 64

static size_t place_of(const struct cache *c, const struct stmt *key) {
    uint64_t h = (uint64_t)(uintptr_t)key * UINT64_C(0x9E3779B97F4A7C15); /* Fibonacci hashing */
    size_t i = (size_t)(h >> 32) & (c->cap - 1);
    while (c->slots[i].key && c->slots[i].key != key)
        i = (i + 1) & (c->cap - 1);
    return i;
}

void *cache_find(const struct cache *c, const struct stmt *key) {
    return c->cap ? c->slots[place_of(c, key)].prepared : NULL;
}

static bool grow(struct cache *c) {
    struct cache old = *c;
    c->cap = old.cap ? old.cap * 2 : CAP_FIRST;
    c->slots = calloc(c->cap, sizeof(*c->slots));
    if (!c->slots) {
        *c = old;
        return false;
    }
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].key)
            c->slots[place_of(c, old.slots[i].key)] = old.slots[i];
    free(old.slots);
    return true;
}

bool cache_add(struct cache *c, const struct stmt *key, void *prepared) {
    if (c->n * 2 >= c->cap && !grow(c))
        return false;
    c->slots[place_of(c, key)] = (struct cache_slot){key, prepared};
    c->n++;
    return true;
}

void cache_clear(struct cache *c, void (*end)(void *prepared)) {
    for (size_t i = 0; i < c->cap; i++)
        if (c->slots[i].key)
            end(c->slots[i].prepared);
    free(c->slots);
    *c = (struct cache){0};
}
