/* Inside db/: what a bulk load consists of, for the drivers. */
#ifndef DB_BULK_TABLE_H
#define DB_BULK_TABLE_H

#include "db/bulk.h"
#include "db/driver.h"

/* compare and upsert are of one row: whether it differs (a number, 0 or 1; no row: it is new), and the
 * writing, which calls bulk_changed() where a row changes. The others are for a database that takes all rows
 * into a temporary table `staged` first. */
struct bulk_table {
    const char *name;
    size_t n_cells; /* keys and values */
    struct stmt compare, upsert;
    struct stmt count, insert, update;
    const char *stage, *copy, *lock;
};

/* One go over some rows. */
struct bulk_rows {
    struct ctx *cx;
    const struct bulk *bulk;
    const struct arg *cells;
    size_t n;
    int64_t until;             /* of clock_steady; at least one row is done */
    struct bulk_counts counts; /* out */
    size_t done;               /* out */
};

/* For a driver without bulk_load: one by one, in pieces. */
enum err bulk_by_rows(struct ctx *cx, const struct bulk *b);

#endif
