/* Proof, by SQLite's authorizer, that a TENANT statement keeps to one organisation: it reads the org_id of
 * every table with such a column that it touches, or, inserting, names it among the columns. A test runs it
 * over all statements; it needs the schema and SQLite. */
#ifndef DB_TENANCY_H
#define DB_TENANCY_H

#include "db/db.h"

/* ERR_INTERNAL with the first statement and table that fail. */
MUST_USE enum err tenancy_check(struct ctx *cx, const struct stmt *stmts, size_t n);

#endif
