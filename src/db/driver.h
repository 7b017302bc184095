/* What a database must be able to do. sqlite.c and postgres.c each fill one struct driver; everything else in
 * db/ is written against it and does not know which one it has.
 *
 * A connection is used by one thread at a time. Functions that fail return the error and leave what happened
 * in the connection: problem for the log, and what can still be done. failed is sticky: once a statement of a
 * transaction has failed, every further one fails the same way until savepoint, rollback_to, rollback or
 * begin, on both databases alike (PostgreSQL works so, SQLite would go on). */
#ifndef DB_DRIVER_H
#define DB_DRIVER_H

#include "db/row.h"

struct bulk;
struct bulk_rows;
enum conn_use { CONN_READ, CONN_WRITE };

struct driver;
struct db_conn {
    const struct driver *driver;
    enum conn_use use;
    enum err failed; /* OK while all is well in the transaction, or since its savepoint */
    bool gone; /* the transaction has ended by itself: nothing of it is left, not even before the savepoint */
    bool again;        /* it may well succeed when it is run again: deadlock, lock timeout, lost connection */
    bool undecided;    /* whether its COMMIT happened cannot be found out: it must not be run again */
    bool lost;         /* the connection is of no further use */
    char problem[240]; /* what the database said */
    struct db_conn *next;
};

/* One statement on its way through a connection. take gets each row's values, in the columns' order; what
 * they point to lives until take returns. Without take, rows are counted. */
struct call {
    struct ctx *cx; /* its organisation, and the memory for what it needs */
    const struct stmt *st;
    struct args args;
    const struct args *rows; /* of a statement for rows: instead of args, one for each */
    size_t n_rows;
    enum err (*take)(struct call *c, const struct columns *columns, const struct arg *values);
    void *to;        /* take's */
    bool first_only; /* rows after the first are not wanted */
    bool told;       /* alone in its run; how it comes out may be said with a later run, or at the commit */
    int64_t changed; /* out: rows changed, or returned */
};

#define WRITERS_MAX 8

struct driver {
    bool reads_inline; /* reads are so fast that a thread pool would cost more than it hides */
    bool shared;       /* other processes may work with it at the same time */
    size_t writers;    /* 1, or one for the main lane and the others for intake; at most WRITERS_MAX */
    size_t group_max;  /* closures in one transaction */
    size_t readers_max;

    /* Takes hold of the database: checks the URL (what follows its scheme: "//…"), locks the file. place is
     * the driver's, for open. */
    enum err (*attach)(struct ctx *cx, struct str rest, void **place);
    void (*detach)(void *place);
    /* problem (of the size of db_conn's) says why not. */
    enum err (*open)(void *place, enum conn_use use, struct db_conn **out, char *problem);
    void (*close)(struct db_conn *c);
    bool (*alive)(struct db_conn *c); /* as far as can be told without asking the server */

    /* READ: a snapshot; WRITE: excludes or meets other writers as the database does. */
    enum err (*begin)(struct db_conn *c);
    enum err (*commit)(struct db_conn *c);
    void (*rollback)(struct db_conn *c); /* takes one without a transaction */
    enum err (*savepoint)(struct db_conn *c);
    enum err (*release)(struct db_conn *c);
    enum err (*rollback_to)(struct db_conn *c); /* and releases */

    /* No time limits until the transaction ends. */
    enum err (*patient)(struct db_conn *c);

    /* Runs the calls in order, in one round trip where there are round trips; stops at the first that fails.
     */
    enum err (*run)(struct db_conn *c, struct call *calls, size_t n);
    /* Several statements as they stand, inside the transaction: migrations. */
    enum err (*script)(struct db_conn *c, struct ctx *cx, struct str text);
    /* Prepares the statements and compares their columns with their rows'; what is wrong goes into problem.
     */
    enum err (*check)(struct db_conn *c, struct ctx *cx, const struct stmt *stmts, size_t n);
    /* A bulk load (db/bulk.h): the whole of it at once, where the database has a way of its own; else NULL,
     * and for some rows on a connection: what they would come to, on one that reads, and their writing, until
     * the time is up, on the writer's. */
    enum err (*bulk_load)(void *place, struct ctx *cx, const struct bulk *b);
    enum err (*bulk_compare)(struct db_conn *c, struct bulk_rows *rows);
    enum err (*bulk_upsert)(struct db_conn *c, struct bulk_rows *rows);
    /* Can it be reached, and what is its time? SQLite: the wall's. */
    enum err (*time)(struct db_conn *c, struct instant *now);
    /* Would the user of this connection pass by row-level security? */
    enum err (*privileged)(struct db_conn *c, bool *yes);

    /* After a group's answers are out: upkeep of the writer's connection; idle says that nothing waits.
     * Returns how long (us) the lane may wait before it is called again with idle set, 0: until the next
     * group. */
    int64_t (*upkeep)(struct db_conn *c, bool idle);
    /* Tells other processes, after a commit, and hears from them; NULL where there are none. listen calls
     * heard without a payload once it listens, then for each notice, until stop_fd can be read or the
     * connection ends. */
    void (*announce)(struct db_conn *c, struct str payload);
    enum err (*listen)(struct db_conn *c, int stop_fd, void (*heard)(void *arg, struct str payload),
                       void *arg);
};

extern const struct driver SQLITE_DRIVER, POSTGRES_DRIVER;

/* Leaves what went wrong in the connection, and returns e. */
enum err conn_fail(struct db_conn *c, enum err e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void conn_reset(struct db_conn *c); /* failed, gone, again: for a new transaction */
/* Tells the connection's problem to the context. */
enum err conn_report(struct ctx *cx, const struct db_conn *c, enum err e);

/* The process cannot know any more what is on the disk: says so and ends it. Recovery is the next start's. */
_Noreturn void die_unsynced(const char *what);

#endif
