/* A counted array in an arena, as results of queries and JSON arrays come: items are structs of one type. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stddef.h>

struct list {
    void *items;
    size_t n;
};

#endif
