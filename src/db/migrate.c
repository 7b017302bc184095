/* Migrations run as closures of the main lane, one transaction each, so that what holds for every write holds
 * for them. On PostgreSQL each takes an advisory lock first and then looks again at what has been applied. */
#include "db/migration.h"

#include "db/state.h"

#include <inttypes.h>

#include "base/banned.h"

/* A row of the table that this layer keeps for itself. */
struct applied {
    int64_t version;
    struct str name, checksum;
    struct instant applied_at;
};
static const struct field APPLIED_FIELDS[] = {
    FIELD(struct applied, version, ROW, "The file's number."),
    FIELD(struct applied, name, ROW, "The rest of its name."),
    FIELD(struct applied, checksum, ROW, "SHA-256 of the file as it was."),
    FIELD(struct applied, applied_at, ROW, "When it was applied."),
};
static const struct schema APPLIED = SCHEMA(struct applied, "AppliedMigration", APPLIED_FIELDS);

struct existence {
    bool there;
};
static const struct field EXISTENCE_FIELDS[] = {
    FIELD(struct existence, there, ROW, "Whether the table exists.")};
static const struct schema EXISTENCE = SCHEMA(struct existence, "Existence", EXISTENCE_FIELDS);

static const struct field STATE_FIELDS[] = {
    FIELD(struct migration_state, version, OUT, "The file's number."),
    FIELD(struct migration_state, name, OUT, "What it does."),
    FIELD(struct migration_state, applied, OUT, "Whether the schema has it."),
    FIELD(struct migration_state, applied_at, OUT, "When it was applied."),
};
const struct schema MIGRATION_STATE = SCHEMA(struct migration_state, "Migration", STATE_FIELDS);

static const struct field PROCESS_FIELDS[] = {
    FIELD(struct process_name, name, ROW, "Its number and its machine.")};
static const struct schema PROCESS = SCHEMA(struct process_name, "Process", PROCESS_FIELDS);

enum { EXISTS, LIST, ADD, REMOVE, OTHERS };
static const struct stmt SQL[] = {
    [EXISTS] =
        {"migration_exists", SYSTEM,
         "SELECT count(*) > 0 AS there FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migration'",
         "SELECT to_regclass('schema_migration') IS NOT NULL AS there", &EXISTENCE},
    [LIST] = {"migration_list", SYSTEM,
              "SELECT version, name, checksum, applied_at FROM schema_migration ORDER BY version", NULL,
              &APPLIED},
    [ADD] = {"migration_add", SYSTEM,
             "INSERT INTO schema_migration (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
             NULL, NULL},
    [REMOVE] = {"migration_remove", SYSTEM, "DELETE FROM schema_migration WHERE version = $1", NULL, NULL},
    [OTHERS] = {"migration_others", SYSTEM, "SELECT '' AS name WHERE FALSE",
                "SELECT DISTINCT substr(application_name, 10) AS name FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name LIKE 'entrepot %'"
                " AND application_name <> current_setting('application_name') ORDER BY 1",
                &PROCESS},
};

#define TABLE_SQLITE                                                                                         \
    "CREATE TABLE IF NOT EXISTS schema_migration (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL," \
    " checksum TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT"
/* The lock and the limits end with the transaction. A migration waits for whom it must, and takes what it
 * needs. */
#define TABLE_POSTGRES                                                                                       \
    "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; SET LOCAL client_min_messages = warning;"  \
    " SELECT pg_advisory_xact_lock(7309451186325);"                                                          \
    " CREATE TABLE IF NOT EXISTS schema_migration (version bigint NOT NULL PRIMARY KEY, name text NOT NULL," \
    " checksum text NOT NULL, applied_at timestamptz NOT NULL)"

/* SQLite's planner has no statistics of tables that were empty when they were made, and would take any index
 * that begins with the organisation for as good as the right one. It is told what holds in the large: an
 * organisation has all rows, each further column of a key narrows them down, and a whole unique key finds
 * one. */
#define STATISTICS                                                                                      \
    "ANALYZE sqlite_schema; DELETE FROM sqlite_stat1;"                                                  \
    " INSERT INTO sqlite_stat1 (tbl, idx, stat)"                                                        \
    " SELECT t.name, CASE WHEN l.origin = 'pk' AND t.wr THEN t.name ELSE l.name END,"                   \
    " '1000000 ' || (SELECT group_concat(CASE WHEN l.\"unique\" AND i.seqno = i.most THEN 1"            \
    " WHEN i.seqno = 0 THEN 1000000 ELSE max(10, 1000000 >> (7 * i.seqno)) END, ' ')"                   \
    " FROM (SELECT seqno, max(seqno) OVER () AS most FROM pragma_index_info(l.name) ORDER BY seqno) i)" \
    " FROM pragma_table_list t, pragma_index_list(t.name) l"                                            \
    " WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite_%';"                     \
    " ANALYZE sqlite_schema"

static bool on_postgres(const struct ctx *cx) { return cx->database->driver == &POSTGRES_DRIVER; }

static enum err script(struct ctx *cx, struct str text) {
    enum err e = cx->db->driver->script(cx->db, cx, text);
    return e ? conn_report(cx, cx->db, e) : OK;
}

/* In a transaction: what has been applied, none if nothing ever was. */
static enum err list_applied(struct ctx *cx, struct list *out) {
    struct existence table;
    bool found;
    *out = (struct list){0};
    enum err e = db_get(cx, &SQL[EXISTS], ARGS(), &table, &found);
    return e || !table.there ? e : db_list(cx, &SQL[LIST], ARGS(), out);
}

static enum err read_applied(struct ctx *cx, struct list *out) {
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = list_applied(cx, out);
    db_read_end(cx);
    return e;
}

/* What was applied must be the beginning of what there is, and the same texts. */
static enum err compare(struct ctx *cx, struct list files, struct list applied) {
    const struct migration *m = files.items;
    const struct applied *a = applied.items;
    for (size_t i = 0; i < applied.n; i++) {
        if (i >= files.n || a[i].version > m[files.n - 1].version)
            return fail(cx, ERR_UNAVAILABLE,
                        "The schema is newer than this program (revision %" PRId64
                        "); run the newer program.",
                        a[applied.n - 1].version);
        if (a[i].version != m[i].version || !str_eq(a[i].checksum, m[i].checksum))
            return fail(cx, ERR_UNAVAILABLE,
                        "Migration %04" PRId64
                        "_%.*s was applied with another text than this program has; run the"
                        " program that applied it, or restore the file.",
                        a[i].version, STR_FMT(a[i].name));
    }
    return OK;
}

/* One migration on its way. */
struct move {
    struct list files;
    int64_t target;
    bool finished;
};

enum err migration_lock(struct ctx *cx) {
    return script(cx, on_postgres(cx) ? S(TABLE_POSTGRES) : S(TABLE_SQLITE));
}

enum err migration_run(struct ctx *cx, struct str text) {
    struct migration m = {.text = text};
    struct str expanded;
    enum err e = migration_text(cx, &m, UP, on_postgres(cx), &expanded);
    if (e || (e = script(cx, expanded)))
        return e;
    return on_postgres(cx) ? OK : script(cx, S(STATISTICS));
}

static enum err begin_move(struct ctx *cx, const struct move *mv, struct list *applied) {
    enum err e = migration_lock(cx);
    if (e || (e = list_applied(cx, applied)))
        return e;
    return compare(cx, mv->files, *applied);
}

static enum err explain(struct ctx *cx, const struct migration *m, enum err e) {
    struct str cause = cx->fault.cause;
    return fail(cx, e, "Migration %04" PRId64 "_%.*s failed and was taken back: %.*s", m->version,
                STR_FMT(m->name), STR_FMT(cause));
}

static enum err one_up(struct ctx *cx, void *arg) {
    struct move *mv = arg;
    struct list applied;
    struct str text;
    enum err e = begin_move(cx, mv, &applied);
    if (e)
        return e;
    const struct migration *m = (const struct migration *)mv->files.items + applied.n;
    mv->finished = applied.n == mv->files.n || (mv->target >= 0 && m->version > mv->target);
    if (mv->finished)
        return OK;
    if ((e = migration_text(cx, m, UP, on_postgres(cx), &text)))
        return e;
    if ((e = script(cx, text)) || (!on_postgres(cx) && (e = script(cx, S(STATISTICS)))))
        return explain(cx, m, e);
    return db_exec(cx, &SQL[ADD], ARGS(A(m->version), A(m->name), A(m->checksum), A(cx->now)), NULL);
}

static enum err one_down(struct ctx *cx, void *arg) {
    struct move *mv = arg;
    struct list applied;
    struct str text;
    enum err e = begin_move(cx, mv, &applied);
    if (e)
        return e;
    const struct applied *last = (const struct applied *)applied.items + applied.n - 1;
    mv->finished = applied.n == 0 || last->version <= mv->target;
    if (mv->finished)
        return OK;
    const struct migration *m = (const struct migration *)mv->files.items + applied.n - 1;
    if ((e = migration_text(cx, m, DOWN, on_postgres(cx), &text)))
        return e;
    if ((e = script(cx, text)))
        return explain(cx, m, e);
    return db_exec(cx, &SQL[REMOVE], ARGS(A(m->version)), NULL);
}

static enum err repeat(struct ctx *cx, struct list files, int64_t target,
                       enum err (*one)(struct ctx *cx, void *arg)) {
    struct move mv = {.files = files, .target = target};
    enum err e = OK;
    while (!e && !mv.finished)
        e = db_write_wait(cx, one, &mv);
    return e;
}

enum err migration_up(struct ctx *cx, struct list files, int64_t target) {
    struct list applied;
    enum err e = read_applied(
        cx, &applied); /* the usual case: there is nothing to do, and no lock is needed to see it */
    if (e || (applied.n == files.n && files.n > 0))
        return e ? e : compare(cx, files, applied);
    return repeat(cx, files, target, one_up);
}

enum err migration_down(struct ctx *cx, struct list files, int64_t target) {
    if (target < 0)
        return fail(cx, ERR_USAGE, "A revision to go back to is 0 or more.");
    return repeat(cx, files, target, one_down);
}

enum err migration_check(struct ctx *cx, struct list files) {
    struct list applied;
    enum err e = read_applied(cx, &applied);
    if (e || (e = compare(cx, files, applied)))
        return e;
    return applied.n == files.n
               ? OK
               : fail(cx, ERR_UNAVAILABLE,
                      "The schema is older than this program (%zu of %zu migrations); run `entrepot db"
                      " upgrade`.",
                      applied.n, files.n);
}

enum err migration_history(struct ctx *cx, struct list files, struct list *states) {
    struct list applied;
    enum err e = read_applied(cx, &applied);
    if (e)
        return e;
    const struct migration *m = files.items;
    const struct applied *a = applied.items;
    struct migration_state *s = NEW_N(cx->mem, struct migration_state, files.n + applied.n + 1);
    if (!s)
        return fail(cx, ERR_MEMORY, "The history does not fit in memory.");
    size_t n = 0;
    for (size_t i = 0, j = 0; i < files.n || j < applied.n; n++) {
        bool has = j < applied.n && (i == files.n || a[j].version <= m[i].version);
        if (has)
            s[n] = (struct migration_state){a[j].version, a[j].name, true, a[j].applied_at};
        else
            s[n] = (struct migration_state){m[i].version, m[i].name, false, {0}};
        i += i < files.n && m[i].version == s[n].version;
        j += has;
    }
    *states = (struct list){s, n};
    return OK;
}

enum err migrate_up(struct ctx *cx, int64_t target) {
    struct list files;
    enum err e = migration_files(cx, assets, assets_count, &files);
    return e ? e : migration_up(cx, files, target);
}

enum err migrate_down(struct ctx *cx, int64_t target) {
    struct list files;
    enum err e = migration_files(cx, assets, assets_count, &files);
    return e ? e : migration_down(cx, files, target);
}

enum err migrate_others(struct ctx *cx, struct list *names) {
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = db_list(cx, &SQL[OTHERS], ARGS(), names);
    db_read_end(cx);
    return e;
}

enum err migrate_check(struct ctx *cx) {
    struct list files;
    enum err e = migration_files(cx, assets, assets_count, &files);
    return e ? e : migration_check(cx, files);
}

enum err migrate_history(struct ctx *cx, struct list *states) {
    struct list files;
    enum err e = migration_files(cx, assets, assets_count, &files);
    return e ? e : migration_history(cx, files, states);
}

enum err migrate_current(struct ctx *cx, int64_t *version) {
    struct list applied;
    enum err e = read_applied(cx, &applied);
    if (!e)
        *version = applied.n ? ((const struct applied *)applied.items)[applied.n - 1].version : 0;
    return e;
}
