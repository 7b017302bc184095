/* Inside the PostgreSQL driver: its connection, and what its three files share. postgres.c has connections
 * and transactions, postgres_run.c statements and the pipeline, postgres_value.c the binary form of values.
 *
 * A connection is in pipeline mode all its life. Commands that need no answer (BEGIN, SAVEPOINT, RELEASE, the
 * organisation) are pending until the next statement and travel with it, so that a closure costs a round trip
 * for each statement that it waits for and none besides. */
#ifndef DB_POSTGRES_H
#define DB_POSTGRES_H

#include "db/cache.h"
#include "db/driver.h"

#include <libpq-fe.h>

#define PENDING_MAX 8
#define BATCH_MAX 128 /* calls in one round trip */
#define TOLD_MAX 64   /* commands that may wait for a round trip */
#define PARAMS_MAX 128

/* In place of a call's number, for commands that belong to none. */
enum { NO_CALL = -1, THE_XID = -2 };

struct postgres {
    struct db_conn base;
    PGconn *pg;
    const struct place *place;
    struct cache cache;
    unsigned names; /* prepared statements get numbers */
    const char *pending[PENDING_MAX];
    size_t n_pending;
    int64_t transactions, plan_at; /* so far; when plans are made anew */
    bool patient;                  /* until the transaction ends: no limit of time */
    bool begun;                    /* the server knows of the transaction */
    char xid[24];    /* a writer's transaction as the server names it; "" before its first statement */
    struct uuid org; /* what entrepot.org is set to on the server: */
    enum { ORG_UNKNOWN, ORG_ONE, ORG_ALL } org_state; /* unknown after anything that may have taken it back */
    size_t due; /* batches whose answers nobody has read yet, nor will */
    /* Of the batch under way: which call each command is, or what else. */
    int16_t order[2 * BATCH_MAX + 2 * (PENDING_MAX + 1) + TOLD_MAX];
    size_t n_order;
};

struct parameter {
    Oid type;
    int arg; /* which of ours, from 0; -1 is $org */
};
struct prepared {
    char name[16];
    size_t n;
    struct parameter *parameters;
    Oid *types; /* of the columns */
    struct columns *columns;
};

struct postgres *postgres_of(struct db_conn *c);

/* postgres_run.c */
enum err postgres_run(struct db_conn *c, struct call *calls, size_t n);
enum err postgres_check(struct db_conn *c, struct ctx *cx, const struct stmt *stmts, size_t n);
void postgres_free_prepared(void *prepared);
/* Which transaction this is: fills xid. Gives a number to one that has not written yet. */
extern const char POSTGRES_XID[];
/* One command without parameters, with what is pending; its result in binary, to be cleared; NULL if not
 * wanted. */
enum err postgres_command(struct postgres *p, const char *text, PGresult **out);
/* The same, without waiting for the answer. */
enum err postgres_tell(struct postgres *p, const char *text);
enum err postgres_drain(struct postgres *p);
/* Hears how what was only told came out. */
enum err postgres_settle(struct postgres *p);
/* What a failed result, or the connection (result NULL), means. */
enum err postgres_trouble(struct postgres *p, const PGresult *result, const char *what);

/* postgres_copy.c */
enum err postgres_bulk_load(void *place, struct ctx *cx, const struct bulk *b);

/* postgres_value.c */
#define VALUE_SIZE 16
/* The argument in the form of the parameter's type; value points into the argument, into slot, or into mem.
 * False when they do not go together. */
bool value_encode(struct arena *mem, Oid type, const struct arg *a, unsigned char slot[VALUE_SIZE],
                  const char **value, int *length);
/* The same argument of each row as an array; type is the array's. */
bool value_encode_rows(struct arena *mem, Oid type, const struct args *rows, size_t n, size_t arg,
                       const char **value, int *length);
bool value_decode(Oid type, enum arg_kind wanted, const char *value, int length, struct arg *out);
int64_t value_instant(const char *value); /* a timestamptz */

#endif
