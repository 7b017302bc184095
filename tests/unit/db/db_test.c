#include "db_test.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <unistd.h>

static const char TABLES[] =
    "-- A table of every type, and two that meet at the end of a transaction.\n"
    "CREATE TABLE thing (\n"
    "    org_id {uuid} NOT NULL,\n    id {int} NOT NULL,\n    b {bool},\n    i {int},\n    o {int},\n    s "
    "{text},\n"
    "    raw {bytes},\n    at {time},\n    u {uuid},\n    price_minor {int},\n    price_currency {text},\n   "
    " j {json},\n"
    "    parts {json},\n    xact {xact},\n    PRIMARY KEY (org_id, id),\n    CHECK (i <> 13)\n"
    "{table_keyed}\n{tenant thing}\n"
    "CREATE TABLE parent (\n    org_id {uuid} NOT NULL,\n    id {int} NOT NULL,\n    PRIMARY KEY (org_id, "
    "id)\n"
    "{table_keyed}\n{tenant parent}\n"
    "CREATE TABLE child (\n    org_id {uuid} NOT NULL,\n    id {int} NOT NULL,\n    parent_id {int} NOT "
    "NULL,\n"
    "    PRIMARY KEY (org_id, id),\n"
    "    FOREIGN KEY (org_id, parent_id) REFERENCES parent (org_id, id) DEFERRABLE INITIALLY DEFERRED\n"
    "{table_end}\n{tenant child}\n"
    "-- down\nDROP TABLE child;\nDROP TABLE parent;\nDROP TABLE thing;\n";
const struct asset TEST_FILES[] = {
    {"migrations/0001_test_tables.sql", (const unsigned char *)TABLES, sizeof(TABLES) - 1}};
const size_t TEST_FILES_N = 1;

static const struct field PART_FIELDS[] = {
    FIELD(struct thing_part, code, ROW | OUT | CREATE, "A code."),
    FIELD(struct thing_part, count, ROW | OUT | CREATE, "How many."),
};
static const struct schema PART = SCHEMA(struct thing_part, "Part", PART_FIELDS);
static const struct field THING_FIELDS[] = {
    FIELD(struct thing, id, ROW, "Its key."),
    FIELD(struct thing, b, ROW, "A truth."),
    FIELD(struct thing, i, ROW, "A number."),
    FIELD(struct thing, o, ROW, "A number or none."),
    FIELD(struct thing, s, ROW, "A text."),
    FIELD(struct thing, raw, ROW, "Bytes."),
    FIELD(struct thing, at, ROW, "A moment."),
    FIELD(struct thing, u, ROW, "An id."),
    FIELD(struct thing, price, ROW, "Money."),
    FIELD(struct thing, j, ROW, "JSON."),
    FIELD(struct thing, parts, ROW, "A list.", .of = &PART),
};
const struct schema THING = SCHEMA(struct thing, "Thing", THING_FIELDS);
static const struct field NUMBER_FIELDS[] = {FIELD(struct number, n, ROW, "A number.")};
const struct schema NUMBER = SCHEMA(struct number, "Number", NUMBER_FIELDS);

#define COLUMNS "id, b, i, o, s, raw, at, u, price_minor, price_currency, j, parts"
const struct stmt TEST_STMTS[] = {
    [THING_ADD] = {"thing_add", TENANT,
                   "INSERT INTO thing (org_id, " COLUMNS
                   ") VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                   NULL, NULL},
    [THING_ADD_ROWS] = {"thing_add_rows", TENANT,
                        "INSERT INTO thing (org_id, " COLUMNS
                        ") VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
                        " ON CONFLICT (org_id, id) DO NOTHING",
                        "INSERT INTO thing (org_id, " COLUMNS ") SELECT $org, u.* FROM unnest($1::bigint[],"
                        " $2::boolean[], $3::bigint[], $4::bigint[], $5::text[], $6::bytea[],"
                        " $7::timestamptz[], $8::uuid[], $9::bigint[], $10::text[], $11::jsonb[],"
                        " $12::jsonb[]) AS u ON CONFLICT (org_id, id) DO NOTHING",
                        NULL},
    [THING_GET] = {"thing_get", TENANT, "SELECT " COLUMNS " FROM thing WHERE org_id = $org AND id = $1", NULL,
                   &THING},
    [THING_ALL] = {"thing_all", TENANT, "SELECT " COLUMNS " FROM thing WHERE org_id = $org ORDER BY id", NULL,
                   &THING},
    [THING_COUNT] = {"thing_count", TENANT, "SELECT count(*) AS n FROM thing WHERE org_id = $org", NULL,
                     &NUMBER},
    [THING_COUNT_ALL] = {"thing_count_all", SYSTEM, "SELECT count(*) AS n FROM thing", NULL, &NUMBER},
    [THING_SET] = {"thing_set", TENANT, "UPDATE thing SET i = $2, s = $3 WHERE id = $1 AND org_id = $org",
                   NULL, NULL},
    [THING_DROP] = {"thing_drop", TENANT, "DELETE FROM thing WHERE org_id = $org AND id = $1", NULL, NULL},
    [THING_ADD_RETURNING] = {"thing_add_returning", TENANT,
                             "INSERT INTO thing (org_id, id, i) VALUES ($org, $1, $2)"
                             " ON CONFLICT (org_id, id) DO NOTHING RETURNING id AS n",
                             NULL, &NUMBER},
    [CHILD_ADD] = {"child_add", TENANT, "INSERT INTO child (org_id, id, parent_id) VALUES ($org, $1, $2)",
                   NULL, NULL},
    [PARENT_ADD] = {"parent_add", TENANT, "INSERT INTO parent (org_id, id) VALUES ($org, $1)", NULL, NULL},
};

void rig_must(struct ctx *cx, enum err e) {
    if (e)
        fail_msg("%s: %.*s %.*s", err_info(e)->name, STR_FMT(cx->fault.message), STR_FMT(cx->fault.cause));
}

struct uuid rig_org(int n) {
    struct uuid u = {{0}};
    u.b[0] = 0xaa;
    u.b[15] = (uint8_t)n;
    return u;
}

struct ctx rig_ctx(struct rig *w) {
    struct arena *mem = arena_new(64 << 20);
    assert_non_null(mem);
    return (struct ctx){.mem = mem,
                        .clock = w->clock,
                        .now = clock_now(w->clock),
                        .database = w->db,
                        .actor = {.org = rig_org(1)}};
}

void rig_sql(struct rig *w, const char *text) {
    PGconn *pg = PQconnectdb(str_z(w->cx.mem, w->url));
    PGresult *r = PQexec(pg, text);
    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", text, PQerrorMessage(pg));
    PQclear(r);
    PQfinish(pg);
}

struct db *rig_open(struct rig *w, struct ctx *cx) {
    struct db *db = NULL;
    rig_must(cx, db_open(cx, w->url, str_of(w->folder), &db));
    return db;
}

int rig_begin(void **state) {
    struct rig *w = calloc(1, sizeof(*w));
    struct list files;
    w->postgres = str_eq(str_of(*state), S("postgres"));
    w->clock = clock_new(NULL);
    w->cx = rig_ctx(w);
    snprintf(w->folder, sizeof(w->folder), "/tmp/entrepot-db-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    *state = w;
    if (w->postgres && !getenv("TEST_POSTGRES"))
        return 0;
    if (w->postgres) {
        snprintf(w->schema, sizeof(w->schema), "test_db_%ld", (long)getpid());
        w->url = str_of(getenv("TEST_POSTGRES"));
        char text[240];
        snprintf(text, sizeof(text),
                 "SET client_min_messages = warning; DROP SCHEMA IF EXISTS %s CASCADE; CREATE SCHEMA %s",
                 w->schema, w->schema);
        rig_sql(w, text);
        w->url = str_printf(w->cx.mem, "%.*s&options=-csearch_path%%3D%s", STR_FMT(w->url), w->schema);
    } else {
        w->url = str_printf(w->cx.mem, "sqlite:///%s/test.db", w->folder);
    }
    w->db = rig_open(w, &w->cx);
    w->cx.database = w->db;
    rig_must(&w->cx, migration_files(&w->cx, TEST_FILES, TEST_FILES_N, &files));
    rig_must(&w->cx, migration_up(&w->cx, files, -1));
    return 0;
}

int rig_end(void **state) {
    struct rig *w = *state;
    char text[160];
    if (w->db)
        db_close(w->db);
    if (w->db && w->postgres) {
        snprintf(text, sizeof(text), "SET client_min_messages = warning; DROP SCHEMA %s CASCADE", w->schema);
        rig_sql(w, text);
    }
    snprintf(text, sizeof(text), "rm -r %s", w->folder);
    int rc = system(text);
    clock_free(w->clock);
    arena_free(w->cx.mem);
    free(w);
    return rc;
}

enum err add_thing(struct ctx *cx, void *id) {
    struct thing t = {.id = *(int64_t *)id};
    return db_exec(cx, &TEST_STMTS[THING_ADD], args_of(cx, &THING, &t, ARGS()), NULL);
}

enum err tell_thing(struct ctx *cx, int64_t id) {
    struct thing t = {.id = id};
    return db_tell(cx, &TEST_STMTS[THING_ADD], args_of(cx, &THING, &t, ARGS()));
}

int64_t count_things(struct rig *w) {
    struct number n = {0};
    bool found;
    rig_must(&w->cx, db_read_begin(&w->cx));
    rig_must(&w->cx, db_get(&w->cx, &TEST_STMTS[THING_COUNT], ARGS(), &n, &found));
    db_read_end(&w->cx);
    return n.n;
}

static enum err hold(struct ctx *cx, void *arg) {
    struct gate *g = arg;
    (void)cx;
    pthread_mutex_lock(&g->lock);
    g->held = true;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
    return OK;
}

static void let_go(struct write *w, enum err outcome) {
    struct gate *g = w->arg;
    assert_int_equal(outcome, OK);
    pthread_mutex_lock(&g->lock);
    g->done = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

void rig_hold(struct rig *w, struct gate *g) {
    *g = (struct gate){.cx = rig_ctx(w)};
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    g->write = (struct write){.cx = &g->cx, .run = hold, .done = let_go, .arg = g};
    rig_must(&g->cx, db_write(w->db, &g->write));
    pthread_mutex_lock(&g->lock);
    while (!g->held)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

void rig_release(struct gate *g) {
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    while (!g->done)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
    arena_free(g->cx.mem);
}

static void answered(struct write *w, enum err outcome) {
    struct pushed *p = (struct pushed *)w;
    pthread_mutex_lock(&p->lock);
    p->outcome = outcome;
    p->answered++;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

void rig_prepare(struct rig *w, struct pushed *p, enum err (*run)(struct ctx *cx, void *arg), int64_t id) {
    *p = (struct pushed){.cx = rig_ctx(w), .id = id};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    p->write = (struct write){.cx = &p->cx, .run = run, .done = answered, .arg = p};
}

void rig_push(struct rig *w, struct pushed *p) { rig_must(&p->cx, db_write(w->db, &p->write)); }

void rig_run(struct rig *w, struct pushed *p, enum err (*run)(struct ctx *cx, void *arg), int64_t id) {
    rig_prepare(w, p, run, id);
    rig_push(w, p);
}

enum err rig_wait(struct pushed *p) {
    pthread_mutex_lock(&p->lock);
    while (!p->answered)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
    assert_int_equal(p->answered, 1);
    arena_free(p->cx.mem);
    return p->outcome;
}
