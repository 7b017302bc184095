/* Inside the SQLite driver: its connection, for sqlite_bulk.c and tenancy.c. */
#ifndef DB_SQLITE_H
#define DB_SQLITE_H

#include "db/cache.h"
#include "db/driver.h"

#include <sqlite3.h>

enum fixed {
    FIXED_BEGIN,
    FIXED_COMMIT,
    FIXED_ROLLBACK,
    FIXED_SAVEPOINT,
    FIXED_RELEASE,
    FIXED_ROLLBACK_TO,
    FIXED
};

struct sqlite {
    struct db_conn base;
    sqlite3 *handle;
    struct cache cache;
    sqlite3_stmt *fixed[FIXED];
    int wal_pages;        /* in the log, as of the last commit */
    int checkpoint_from;  /* not before it has grown to this */
    int64_t bulk_changed; /* how often the function of this name was called */
};

struct prepared {
    sqlite3_stmt *handle;
    struct columns *columns;
    int n;
    int arg[]; /* by parameter of SQLite: which of ours, from 0; -1 is $org */
};

struct sqlite *sqlite_of(struct db_conn *c);
/* The text that this database gets. */
const char *sqlite_text(const struct stmt *st);
/* Kept by the connection. */
enum err sqlite_prepare(struct sqlite *s, const struct stmt *st, struct prepared **out);
/* What is bound stays where it is (arena, args) until the step is done: nothing is copied. Gives SQLite's
 * code. */
int sqlite_bind_arg(sqlite3_stmt *h, int i, const struct arg *a);
/* What a failed call means; left in the connection. */
enum err sqlite_trouble(struct sqlite *s, const char *what);

/* sqlite_bulk.c */
enum err sqlite_bulk_compare(struct db_conn *c, struct bulk_rows *rows);
enum err sqlite_bulk_upsert(struct db_conn *c, struct bulk_rows *rows);
bool sqlite_bulk_prepare(struct sqlite *s); /* the function bulk_changed, for a writer */

#endif
