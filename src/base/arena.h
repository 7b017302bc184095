/* Arenas: the memory of one request or one job. What is taken from an arena is zeroed, aligned for any type
 * and freed with the arena, never by itself. An arena has a ceiling, so nothing that an outsider sends can
 * make it grow without bound. Not for use by two threads at a time; it may travel from one to the next. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

struct arena *arena_new(size_t max); /* NULL when memory is out */
void arena_free(struct arena *a);    /* takes NULL */
void arena_reset(struct arena *a);   /* frees all but the first block, for the next use */

/* NULL when the ceiling or memory is reached. arena_new_n multiplies with an overflow check. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((malloc, alloc_size(2)));
void *arena_alloc_n(struct arena *a, size_t size, size_t count);
#define NEW(mem, type) ((type *)arena_alloc((mem), sizeof(type)))
#define NEW_N(mem, type, count) ((type *)arena_alloc_n((mem), sizeof(type), (count)))

/* Makes the piece that was handed out last larger where it stands; false, with nothing changed, where that
 * cannot be. What is added is zeroed. */
bool arena_extend(struct arena *a, void *piece, size_t size, size_t wanted);

size_t arena_used(const struct arena *a); /* bytes handed out since the last reset */

#endif
