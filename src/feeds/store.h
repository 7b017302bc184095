/* The stores of an organisation and the two scopes (F1): those with etl_flag are fetched and taken in; those
 * with report_flag stand in the reports, and each of them must be taken in. */
#ifndef FEEDS_STORE_H
#define FEEDS_STORE_H

#include "base/module.h"
#include "db/db.h"

#define STORES_MAX 10000 /* in one import */

struct store {
    struct str store_code, store_name;
    bool etl_flag, report_flag;
    int64_t revision;
    struct instant updated_at;
};
extern const struct schema STORE;

/* Each in a transaction, for cx's organisation: a list of struct store by store_code. ERR_UNAVAILABLE, with
 * what to do, when no store is flagged, or one is to be reported that is not taken in. */
MUST_USE enum err stores_to_ingest(struct ctx *cx, struct list *out);
MUST_USE enum err stores_to_report(struct ctx *cx, struct list *out);

/* What an import came to. */
struct store_import {
    struct str organisation; /* its slug */
    int64_t stores, created, changed, unchanged;
    struct str ignored; /* columns of the file that mean nothing here, with commas between; no value: none */
};
extern const struct schema STORE_IMPORT;
/* In a closure: CSV with the columns store_code, store_name, etl_flag, report_flag, in any order. All rows or
 * none: ERR_INVALID names each bad one by its row and column. Stores that the file does not have stay. */
MUST_USE enum err stores_import(struct ctx *cx, struct str csv, struct store_import *out);

/* Inside: one store as it is to be; before NULL: a new one. changed by somebody else meanwhile:
 * ERR_CONFLICT. */
MUST_USE enum err store_put(struct ctx *cx, const struct store *before, struct store *after);
MUST_USE enum err stores_all(struct ctx *cx, struct list *out);
bool store_code_valid(struct str code);
#define STORE_REPORT_RULE "needs etl_flag: only what is taken in can be reported"

extern const struct module STORE_MODULE, STORE_IMPORT_MODULE;

#endif
