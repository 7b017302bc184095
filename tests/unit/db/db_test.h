/* What the tests of db share: a database of a test's own, once on SQLite and, where TEST_POSTGRES names a
 * server (see script/pg), once on PostgreSQL in a schema of its own, with a few tables. */
#ifndef TESTS_UNIT_DB_DB_TEST_H
#define TESTS_UNIT_DB_DB_TEST_H

#include "base/uuid.h"
#include "db/migration.h"
#include "db/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* base/err.h has a function of that name, which is meant wherever the tested code calls it. */
#undef fail
#undef fail_msg
#define fail_msg(...) (print_error(__VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__))

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

struct rig {
    struct ctx cx;
    struct clock *clock;
    struct db *db;
    bool postgres;
    char folder[48];
    char schema[48];
    struct str url;
};

extern const struct asset TEST_FILES[];
extern const size_t TEST_FILES_N;

struct thing_part {
    struct str code;
    int64_t count;
};
struct thing {
    int64_t id;
    bool b;
    int64_t i;
    struct optional_int o;
    struct str s;
    struct bytes raw;
    struct instant at;
    struct uuid u;
    struct money price;
    struct json j;
    struct list parts;
};
extern const struct schema THING;
struct number {
    int64_t n;
};
extern const struct schema NUMBER;

enum {
    THING_ADD,
    THING_ADD_ROWS,
    THING_GET,
    THING_ALL,
    THING_COUNT,
    THING_COUNT_ALL,
    THING_SET,
    THING_DROP,
    THING_ADD_RETURNING,
    CHILD_ADD,
    PARENT_ADD,
    TEST_STMTS_N
};
extern const struct stmt TEST_STMTS[];

/* setup and teardown of cmocka; the initial state says which database: "sqlite" or "postgres". */
int rig_begin(void **state);
int rig_end(void **state);
struct db *rig_open(struct rig *w, struct ctx *cx); /* another handle */
struct ctx rig_ctx(struct rig *w);                  /* with an arena of its own, for another thread */
void rig_sql(struct rig *w,
             const char *text); /* by the side, as the owner, in the test's schema; PostgreSQL */
struct uuid rig_org(int n);

enum err add_thing(struct ctx *cx, void *id);
enum err tell_thing(struct ctx *cx, int64_t id); /* by db_tell */ /* closure: int64_t * */
int64_t count_things(struct rig *w);                              /* of the context's organisation */

/* Holds the main lane in a closure until released, so that what is pushed meanwhile becomes one group. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool held, open;
    struct write write;
    struct ctx cx;
    bool done;
};
void rig_hold(struct rig *w, struct gate *g);
void rig_release(struct gate *g);

/* A write with its outcome. */
struct pushed {
    struct write write;
    struct ctx cx;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int answered;
    enum err outcome;
    int runs, lots;
    int64_t id;
    void *arg;
};
void rig_run(struct rig *w, struct pushed *p, enum err (*run)(struct ctx *cx, void *arg), int64_t id);
void rig_push(struct rig *w, struct pushed *p); /* after rig_prepare */
void rig_prepare(struct rig *w, struct pushed *p, enum err (*run)(struct ctx *cx, void *arg), int64_t id);
enum err rig_wait(struct pushed *p);

void rig_must(struct ctx *cx, enum err e); /* OK, or the test fails with what went wrong */

#define ON(backend, function) \
    { #function " on " backend, function, rig_begin, rig_end, (void *)(uintptr_t)backend }
#define BOTH(function) ON("sqlite", function), ON("postgres", function)

#endif
