/* Inside the SQLite driver: its connection, for tenancy.c. */
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
    int wal_pages;       /* in the log, as of the last commit */
    int checkpoint_from; /* not before it has grown to this */
};

struct sqlite *sqlite_of(struct db_conn *c);
/* The text that this database gets. */
const char *sqlite_text(const struct stmt *st);

#endif
