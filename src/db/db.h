/* The database as the rest of the server sees it: statements that are rows of a table, arguments, results
 * read into structs, and two ways to work: db_write (closures, committed in groups) and db_read_begin (one
 * read transaction). Which database it is, code above db/ cannot tell.
 *
 * A TENANT statement names `$org`, which only this layer binds, to the organisation of the context's actor.
 * On PostgreSQL row-level security stands behind it. A SYSTEM statement crosses organisations or has none.
 *
 * Closures: run whole inside a transaction, may run twice (a group whose commit failed is run again one by
 * one), and touch nothing but their arena and their transaction. They read "now" from cx->now. */
#ifndef DB_DB_H
#define DB_DB_H

#include "base/ctx.h"
#include "base/list.h"
#include "base/module.h"
#include "base/schema.h"

enum scope { TENANT = 1, SYSTEM };

/* text uses $1…$n and $org. postgres: a second text where the two databases must differ, else NULL. row: what
 * the columns read into: its ROW fields in order; NULL when the statement returns no row. */
struct stmt {
    const char *name;
    enum scope scope;
    const char *text, *postgres;
    const struct schema *row;
};

enum arg_kind { ARG_NULL, ARG_BOOL, ARG_INT, ARG_STR, ARG_BYTES, ARG_INSTANT, ARG_UUID };
struct arg {
    enum arg_kind kind;
    union {
        int64_t i;
        struct str s;
        struct bytes b;
        struct uuid u;
    };
};
struct args {
    const struct arg *v;
    size_t n;
};

/* No value of a type (see schema.h) becomes NULL. JSON goes as its text. */
struct arg arg_bool(bool v);
struct arg arg_int(int64_t v);
struct arg arg_optional_int(struct optional_int v);
struct arg arg_str(struct str v);
struct arg arg_bytes(struct bytes v);
struct arg arg_instant(struct instant v);
struct arg arg_uuid(struct uuid v);
struct arg arg_json(struct json v);
/* clang-format off */
#define A(v)                                                                                         \
    _Generic((v), bool: arg_bool, int: arg_int, int64_t: arg_int, struct optional_int: arg_optional_int, \
             struct str: arg_str, struct bytes: arg_bytes, struct instant: arg_instant,               \
             struct uuid: arg_uuid, struct json: arg_json)(v)
/* clang-format on */
#define ARGS(...)                                                      \
    ((struct args){(struct arg[]){{ARG_NULL, {0}}, ##__VA_ARGS__} + 1, \
                   sizeof((struct arg[]){{ARG_NULL, {0}}, ##__VA_ARGS__}) / sizeof(struct arg) - 1})
/* The ROW fields of a struct in order ($1…), then more. Without memory it has arguments but no v, which every
 * function below refuses. */
struct args args_of(struct ctx *cx, const struct schema *s, const void *object, struct args more);

/* Each needs a transaction in cx. Rows and their strings live in cx->mem. */
MUST_USE enum err db_exec(struct ctx *cx, const struct stmt *st, struct args args,
                          int64_t *changed); /* changed may be NULL */
/* For what is only to be recorded: nobody waits for it, it travels with what comes next. When it fails the
 * transaction has failed, and the closure whose it is with it, after it has returned. */
MUST_USE enum err db_tell(struct ctx *cx, const struct stmt *st, struct args args);
MUST_USE enum err db_get(struct ctx *cx, const struct stmt *st, struct args args, void *row,
                         bool *found); /* first row */
MUST_USE enum err db_list(struct ctx *cx, const struct stmt *st, struct args args, struct list *rows);
typedef enum err db_each_fn(struct ctx *cx, void *row, void *arg); /* row is used again for the next */
MUST_USE enum err db_each(struct ctx *cx, const struct stmt *st, struct args args, db_each_fn *each,
                          void *arg);

/* A statement for rows is one that many rows go through at once, none of whose changes can be told from the
 * others': text is run once a row; on PostgreSQL `postgres` gets all rows in one call, each argument as an
 * array ("… FROM unnest($1::uuid[], $2::text[]) AS u(id, state)"). Rows are locked in the order of the call
 * if the text does not join what it locks. */
MUST_USE enum err db_tell_rows(struct ctx *cx, const struct stmt *st, const struct args *rows, size_t n);

/* Several statements in order, in one round trip where there are round trips. The check that matters is
 * inside each statement: a step that refuses changes 0 rows, and the steps after it run all the same, so
 * either say so in their texts or fail the closure. row, if set, gets the first row. */
struct step {
    const struct stmt *st;
    struct args args;
    int64_t changed; /* rows changed, or returned */
    void *row;
    struct args *rows; /* of a statement for rows, instead of args */
    size_t n_rows, rows_cap;
};
MUST_USE enum err db_steps(struct ctx *cx, struct step *steps, size_t n);

/* Steps that are collected as they come up, with copies of their arguments in the context's memory: one round
 * trip for what several functions have to say. A step that does not fit makes steps_run fail. */
struct steps {
    struct ctx *cx;
    struct step *v;
    size_t n, cap;
    bool failed;
};
void steps_add(struct steps *s, const struct stmt *st, struct args args, void *row);
/* One more row for a statement for rows. All rows of a statement are one step, where the first was added; its
 * changed is the sum. Gives which step that is. */
size_t steps_add_row(struct steps *s, const struct stmt *st, struct args args);
MUST_USE enum err steps_run(struct steps *s);
MUST_USE enum err steps_tell(struct steps *s); /* as db_tell and db_tell_rows */

struct db;
bool db_url_valid(struct str url); /* whether it names a database, as far as can be told without opening it */
/* Opens without touching the schema. url: sqlite:///… or postgresql://…; data: the data folder. */
MUST_USE enum err db_open(struct ctx *cx, struct str url, struct str data, struct db **out);
void db_close(struct db *db); /* after the last write has been answered */

/* Inside a closure: what run has written is taken back when it fails, and the closure may go on; not so where
 * the transaction itself has failed. What run asked for in cx->after stays asked. */
MUST_USE enum err db_attempt(struct ctx *cx, enum err (*run)(struct ctx *cx, void *arg), void *arg);

/* A read-only transaction: cx->db is set between the two. db_read_end takes a cx without one. */
MUST_USE enum err db_read_begin(struct ctx *cx);
void db_read_end(struct ctx *cx);
/* Whatever follows in this transaction may take as long as it needs: for the few reads and repairs that go
 * over everything. Elsewhere a statement has 30 s. */
MUST_USE enum err db_patient(struct ctx *cx);
/* The same on a connection of its own, for one thread of the process: it tells whether the database answers
 * and sets the time between processes, and waits for no reader. */
MUST_USE enum err db_watch_begin(struct ctx *cx);
void db_watch_end(struct ctx *cx);
/* True where reads are fast enough to run on the thread that asks (SQLite). */
bool db_reads_inline(const struct db *db);

/* Where a closure queues: MAIN is one writer, one after the other; INTAKE may be several at once, for
 * closures that lock nothing but the rows they insert. */
enum lane { LANE_MAIN, LANE_INTAKE };

/* A closure on its way through a lane. The caller owns it until done is called (on the lane's thread, after
 * the commit or the failure, with the outcome; the fault is in cx). */
#define LOT_MAX 64
struct write {
    struct ctx *cx;
    enum err (*run)(struct ctx *cx, void *arg);
    /* May be NULL. Instead of run for up to LOT_MAX writes at once that wait together and have the same lot,
     * kind and organisation: does for all what each would have done by itself, or fails, and nothing is left
     * of it; then they come by halves, at last each by its run. It has the transaction in the first's cx. */
    enum err (*lot)(struct write *const *writes, size_t n);
    const void *kind;
    void (*done)(struct write *w, enum err outcome);
    void *arg;
    enum lane lane;
    struct write *next;
};
/* Hands it to the lane; returns at once. ERR_UNAVAILABLE when the lane is full (max waiting) or closing; then
 * done is not called. */
MUST_USE enum err db_write(struct db *db, struct write *w);
/* Runs the closure through the main lane and waits: for commands, workers and tests. */
MUST_USE enum err db_write_wait(struct ctx *cx, enum err (*run)(struct ctx *cx, void *arg), void *arg);

/* Called after each commit with the flags that its closures left in cx->after: on the lane's thread for
 * commits of this process, on a listening thread for those of other processes on the same database
 * (PostgreSQL). */
void db_on_commit(struct db *db, void (*hook)(void *arg, unsigned after), void *arg);

/* The time that leases are measured by: monotonic inside one process, the database's between processes. */
struct instant db_time(struct db *db);
MUST_USE enum err db_ping(struct db *db); /* can it be reached: for health */

/* ERR_USAGE where the database would not hold row-level security against us: a superuser, or BYPASSRLS. */
MUST_USE enum err db_refuse_superuser(struct ctx *cx);

/* Prepares every statement and compares its columns with its row schema. */
MUST_USE enum err db_check_stmts(struct ctx *cx, const struct stmt *stmts, size_t n);

extern const struct module DB_MODULE; /* its metrics */

#endif
