/* Many rows of one organisation upserted into one table, each database in its fastest safe way: PostgreSQL
 * takes them all into a temporary table by COPY and merges that in one transaction on a connection of its
 * own; SQLite upserts them in pieces on the main lane, so that others write in between. Rows that would not
 * change are not written. What is inserted, updated and unchanged is counted exactly.
 *
 * Each piece is recorded in the transaction that writes it, so that a load that is killed goes on where its
 * last record says, or finds that nothing was done. */
#ifndef DB_BULK_H
#define DB_BULK_H

#include "db/db.h"

/* Keys first, then values, then stamps: what each row that is written gets, but is not compared. */
enum bulk_use { BULK_KEY = 1, BULK_VALUE, BULK_STAMP };
struct bulk_column {
    const char *name; /* plain: a-z, 0-9, _ */
    enum bulk_use use;
    enum arg_kind kind; /* of a stamp: what it comes as */
};
#define BULK_COLUMNS_MAX 100

struct bulk_table; /* with its statements, which connections remember by their address */
/* The table's key is org_id and the key columns. mem must outlive the database handle. */
MUST_USE enum err bulk_table_new(struct ctx *cx, struct arena *mem, const char *name,
                                 const struct bulk_column *columns, size_t n, struct bulk_table **out);
/* Prepares its statements: ERR_INTERNAL where the table is not as the columns say. */
MUST_USE enum err bulk_table_check(struct ctx *cx, const struct bulk_table *table);

struct bulk_counts {
    int64_t inserted, updated, unchanged;
};
struct bulk {
    const struct bulk_table *table;
    struct args stamps; /* one for each stamp column */
    /* Begins again, behind the first `from` rows. */
    enum err (*rewind)(struct ctx *cx, void *arg, int64_t from);
    /* The next rows: n times the cells of keys and values, in the columns' order; n = 0 is the end. They must
     * stay until the call after the next one. No key comes twice in a load. A decimal comes as ARG_STR in its
     * one canonical form, a date as ARG_STR "2026-11-25". */
    enum err (*next)(struct ctx *cx, void *arg, const struct arg **cells, size_t *n);
    /* Optional, before anything is written: what all rows from the first would come to. Failing stops. */
    enum err (*decide)(struct ctx *cx, void *arg, const struct bulk_counts *would);
    /* In the transaction of each piece: what it did. last: there is no more. Touches nothing that next does,
     * which may be at work on another thread at the same time; may be run twice. */
    enum err (*record)(struct ctx *cx, void *arg, const struct bulk_counts *did, bool last);
    void *arg;
    int64_t from; /* so many rows have been recorded before; then decide is not asked */
    bool dry;     /* only decide */
};
/* Outside a transaction. */
MUST_USE enum err db_bulk(struct ctx *cx, const struct bulk *b);

#endif
