/* The prepared statements of one connection, found by the address of their struct stmt. */
#ifndef DB_CACHE_H
#define DB_CACHE_H

#include <stdbool.h>
#include <stddef.h>

struct stmt;

struct cache_slot {
    const struct stmt *key;
    void *prepared;
};
struct cache {
    struct cache_slot *slots; /* a power of two of them, at most half of them taken */
    size_t cap, n;
};

void *cache_find(const struct cache *c, const struct stmt *key);         /* NULL: not there */
bool cache_add(struct cache *c, const struct stmt *key, void *prepared); /* false: no memory */
/* Hands each to end and forgets all. */
void cache_clear(struct cache *c, void (*end)(void *prepared));

#endif
