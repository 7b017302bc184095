/* What the tests of jobs share: a database of a test's own, SQLite in a new folder or a PostgreSQL that the
 * program starts once, and what is in the table. Our headers stand before cmocka's, which has a macro named
 * fail. */
#ifndef TESTS_UNIT_JOBS_JOBS_TEST_H
#define TESTS_UNIT_JOBS_JOBS_TEST_H

#include "base/log.h"
#include "db/migrate.h"
#include "jobs/driver.h"
#include "jobs/statements.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define POSTGRES "/usr/lib/postgresql/15/bin/postgres"
#define ORG_A ((struct uuid){{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, 15, 0xa}})
#define ORG_B ((struct uuid){{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, 15, 0xb}})

struct world {
    struct ctx cx;
    struct clock *clock;
    struct log *log;
    struct db *db;
    struct modules modules;
    const struct module *list[2];
    char folder[64];
};

/* The URL of this program's PostgreSQL while it has one; its tests run on SQLite otherwise. */
static char postgres_url[256], postgres_folder[64];

static inline struct str world_url(struct world *w) {
    return postgres_url[0] ? str_of(postgres_url) : str_printf(w->cx.mem, "sqlite:///%s/test.db", w->folder);
}

#define MUST(w, call)                                                          \
    do {                                                                       \
        if (call)                                                              \
            fail_msg("%s: %.*s [%.*s]", #call, STR_FMT((w)->cx.fault.message), \
                     STR_FMT((w)->cx.fault.cause));                            \
    } while (0)

static inline struct db *world_connect(struct world *w) {
    struct db *db;
    MUST(w, db_open(&w->cx, world_url(w), str_of(w->folder), &db));
    return db;
}

/* module: the test's own job types; NULL: none. */
static inline void world_open(struct world *w, const struct module *module) {
    *w = (struct world){.folder = "/tmp/entrepot-jobs-XXXXXX"};
    assert_non_null(mkdtemp(w->folder));
    w->clock = clock_new(NULL);
    w->log = log_new(LOG_ERROR + 1, NULL, 0);
    w->list[0] = &JOBS_MODULE;
    w->list[1] = module;
    w->modules = (struct modules){.list = w->list, .n = module ? 2 : 1};
    w->cx = (struct ctx){
        .mem = arena_new(256 << 20),
        .clock = w->clock,
        .now = clock_now(w->clock),
        .log = w->log,
        .modules = &w->modules,
        .app = w,
        .actor = {.org = ORG_A, .name = S("test")},
    };
    w->db = world_connect(w);
    w->cx.database = w->db;
    if (postgres_url[0])
        MUST(w, migrate_down(&w->cx, 0));
    MUST(w, migrate_up(&w->cx, -1));
}

static inline void world_close(struct world *w) {
    db_close(w->db);
    log_free(w->log);
    clock_free(w->clock);
    arena_free(w->cx.mem);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", w->folder);
    assert_int_equal(system(command), 0);
}

/* In a transaction of its own, which must commit. */
static inline void world_do(struct world *w, enum err (*run)(struct ctx *cx, void *arg), void *arg) {
    w->cx.now = clock_now(w->clock);
    MUST(w, db_write_wait(&w->cx, run, arg));
}

static inline enum err enqueue_run(struct ctx *cx, void *arg) { return jobs_enqueue(cx, arg); }
static inline void world_enqueue(struct world *w, struct job_new job) { world_do(w, enqueue_run, &job); }

static const struct field ROW_COUNT_FIELDS[] = {FIELD(struct job_count, n, ROW, "")};
static const struct schema ROW_COUNT = SCHEMA(struct job_count, "RowCount", ROW_COUNT_FIELDS);
static const struct stmt COUNT_STATE = {"count_state", SYSTEM,
                                        "SELECT count(*) AS n FROM job WHERE state = $1", NULL, &ROW_COUNT};
static const struct stmt COUNT_NAME = {"count_name", SYSTEM, "SELECT count(*) AS n FROM job WHERE name = $1",
                                       NULL, &ROW_COUNT};
static const struct stmt FIRST_NAMED = {
    "first_named", SYSTEM, "SELECT " JOB_COLUMNS " FROM job WHERE name = $1 ORDER BY id LIMIT 1", NULL, &JOB};
static const struct stmt END_LEASES = {"end_leases", SYSTEM,
                                       "UPDATE job SET wake_at = $1 WHERE state = 'running'", NULL, NULL};

static inline int64_t world_count(struct world *w, const struct stmt *st, const char *value) {
    struct job_count row = {0};
    bool found;
    MUST(w, db_read_begin(&w->cx));
    MUST(w, db_get(&w->cx, st, ARGS(A(str_of(value))), &row, &found));
    db_read_end(&w->cx);
    return row.n;
}
static inline bool world_job(struct world *w, const char *name, struct job *out) {
    bool found;
    MUST(w, db_read_begin(&w->cx));
    MUST(w, db_get(&w->cx, &FIRST_NAMED, ARGS(A(str_of(name))), out, &found));
    db_read_end(&w->cx);
    return found;
}
static inline enum err end_leases_run(struct ctx *cx, void *arg) {
    (void)arg;
    return db_exec(cx, &END_LEASES, ARGS(A((struct instant){1})), NULL);
}

/* A claim by hand, with a lease of a minute. */
struct claiming {
    struct job_claim claim;
    struct list jobs;
};
static inline enum err claim_run(struct ctx *cx, void *arg) {
    struct claiming *c = arg;
    return JOB_DRIVER_DB.claim(cx, &c->claim, &c->jobs);
}
static inline struct list world_claim(struct world *w, int64_t max) {
    struct claiming c = {
        .claim = {.queue = S("default"), .max = max, .lease_end = {db_time(w->db).us + 60 * US_PER_S}}};
    world_do(w, claim_run, &c);
    return c.jobs;
}

static inline void start_postgres(void) {
    char command[128];
    snprintf(postgres_folder, sizeof postgres_folder, "/tmp/entrepot-pg-XXXXXX");
    assert_non_null(mkdtemp(postgres_folder));
    assert_int_equal(chmod(postgres_folder, 0755), 0);
    snprintf(command, sizeof command, "script/pg start %s", postgres_folder);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    bool read = fgets(postgres_url, sizeof postgres_url, p);
    assert_int_equal(pclose(p), 0);
    assert_true(read);
    postgres_url[strcspn(postgres_url, "\n")] = 0;
}

static inline void stop_postgres(void) {
    char command[256];
    snprintf(command, sizeof command, "script/pg stop %s && rm -rf %s", postgres_folder, postgres_folder);
    assert_int_equal(system(command), 0);
    postgres_url[0] = 0;
}

/* The program's tests on SQLite, then on PostgreSQL where it is installed. */
static inline int run_on_both(int (*run)(void)) {
    int failed = run();
    if (access(POSTGRES, X_OK) || getenv("SQLITE_ONLY"))
        return failed;
    start_postgres();
    failed += run();
    stop_postgres();
    return failed;
}

#endif
