/* Structs to arguments and columns to structs, by schema: a field that is used for ROW is a column, a money
 * two (name_minor, name_currency); lists and JSON are JSON text. */
#ifndef DB_ROW_H
#define DB_ROW_H

#include "db/db.h"

struct column {
    const struct field *field;
    const char *suffix; /* of a money's two: "_minor", "_currency"; else "" */
    enum arg_kind kind; /* what the driver reads the column as */
    size_t offset;
};
struct columns {
    size_t n;
    size_t size; /* of the struct */
    struct column v[];
};

/* By malloc: a prepared statement keeps it. Empty for no schema. NULL when memory is out. */
struct columns *columns_new(const struct schema *row);
/* Whether a result's column of this name is what stands at i. */
bool column_named(const struct columns *c, size_t i, const char *name);
/* Fills a struct (zeroed by the caller) with copies in cx->mem. */
MUST_USE enum err columns_read(struct ctx *cx, const struct columns *c, const struct arg *values,
                               void *object);

#endif
