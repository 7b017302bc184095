/* Tables that a file describes instead of a migration (a feed's): made when they are not there, given columns
 * that are new, and compared. Whatever else differs is refused with what it is. Each begins with org_id and
 * has the primary key (org_id, keys); PostgreSQL forces row-level security on it. A migration that goes back
 * leaves them as they are. */
#ifndef DB_TABLE_H
#define DB_TABLE_H

#include "db/db.h"

/* DECIMAL: numeric; on SQLite its canonical text, with a check. DATE: date; on SQLite YYYY-MM-DD. */
enum table_type { TABLE_TEXT, TABLE_INT, TABLE_DECIMAL, TABLE_DATE, TABLE_BOOL, TABLE_TIME, TABLE_UUID };
struct table_column {
    struct str name; /* plain: a-z, 0-9, _; no reserved word */
    enum table_type type;
    bool filled; /* NOT NULL */
};
struct table {
    struct str name;
    const struct table_column *columns; /* without org_id */
    size_t n_columns;
    const struct str *keys;
    size_t n_keys;
};

/* Outside a transaction. With make, what is missing is made, in one transaction that excludes migrations of
 * other processes. ERR_UNAVAILABLE with the table and the first thing that differs, and what to do. */
MUST_USE enum err tables_agree(struct ctx *cx, const struct table *tables, size_t n, bool make);

#endif
