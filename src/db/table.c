#include "db/table.h"

#include "db/migration.h"
#include "db/state.h"

#include "base/banned.h"

#define TEXT_MAX (1 << 16)

/* A column as the database has it. */
struct found {
    struct str name, kind;
    bool filled, closed;
    int64_t key; /* its place in the primary key, from 1; 0: none */
};
static const struct field FOUND_FIELDS[] = {
    FIELD(struct found, name, ROW, "The column."),
    FIELD(struct found, kind, ROW, "Its type, in the database's words."),
    FIELD(struct found, filled, ROW, "NOT NULL."),
    FIELD(struct found, key, ROW, "Its place in the primary key."),
    FIELD(struct found, closed, ROW, "The table's row-level security is forced."),
};
static const struct schema FOUND = SCHEMA(struct found, "FoundColumn", FOUND_FIELDS);

/* SQLite has fewer types: what else a column is, its check tells, which the schema keeps as it was written.
 */
static const struct stmt COLUMNS = {
    "table_columns", SYSTEM,
    "SELECT i.name AS name, i.type ||"
    " CASE WHEN instr(s.sql, 'CHECK (' || i.name || ' IN (0, 1))') > 0 THEN ' bool'"
    " WHEN instr(s.sql, 'CHECK (length(' || i.name || ') = 10)') > 0 THEN ' date'"
    " WHEN instr(s.sql, 'CHECK (' || i.name || ' NOT GLOB ') > 0 THEN ' decimal' ELSE '' END AS kind,"
    " i.\"notnull\" AS filled, i.pk AS key, 1 AS closed FROM pragma_table_info($1) i, sqlite_schema s"
    " WHERE s.name = $1 ORDER BY i.cid",
    "SELECT CAST(a.attname AS text) AS name, format_type(a.atttypid, a.atttypmod) AS kind,"
    " a.attnotnull AS filled,"
    " CAST(COALESCE(array_position(CAST(i.indkey AS int2[]), a.attnum) + 1, 0) AS bigint) AS key,"
    " (c.relkind = 'r' AND c.relrowsecurity AND c.relforcerowsecurity) AS closed"
    " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
    " LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary"
    " WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
    &FOUND};

/* As migrations write it, and as the two databases show it; the check stands round the column's name. */
static const struct {
    const char *token, *check, *rule, *sqlite, *postgres;
} TYPES[] = {
    [TABLE_TEXT] = {"{text}", NULL, NULL, "TEXT", "text"},
    [TABLE_INT] = {"{int}", NULL, NULL, "INTEGER", "bigint"},
    [TABLE_DECIMAL] = {"{decimal}", "CHECK (", " NOT GLOB '*[^-0-9.]*')", "TEXT decimal", "numeric"},
    [TABLE_DATE] = {"{date}", "CHECK (length(", ") = 10)", "TEXT date", "date"},
    [TABLE_BOOL] = {"{bool}", "CHECK (", " IN (0, 1))", "INTEGER bool", "boolean"},
    [TABLE_TIME] = {"{time}", NULL, NULL, "INTEGER", "timestamp with time zone"},
    [TABLE_UUID] = {"{uuid}", NULL, NULL, "BLOB", "uuid"},
};

static void put_column(struct buf *b, const struct table_column *c) {
    buf_printf(b, "%.*s %s%s", STR_FMT(c->name), TYPES[c->type].token, c->filled ? " NOT NULL" : "");
    if (TYPES[c->type].check)
        buf_printf(b, "\n{sqlite}\n%s%.*s%s\n{end}\n", TYPES[c->type].check, STR_FMT(c->name),
                   TYPES[c->type].rule);
}

static void put_table(struct buf *b, const struct table *t) {
    buf_printf(b, "CREATE TABLE %.*s (org_id {uuid} NOT NULL", STR_FMT(t->name));
    for (size_t i = 0; i < t->n_columns; i++) {
        buf_add(b, S(", "));
        put_column(b, &t->columns[i]);
    }
    buf_add(b, S(", PRIMARY KEY (org_id"));
    for (size_t i = 0; i < t->n_keys; i++)
        buf_printf(b, ", %.*s", STR_FMT(t->keys[i]));
    buf_printf(b, ")\n{table_keyed}\n{tenant %.*s}\n", STR_FMT(t->name));
}

struct agreeing {
    const struct table *tables;
    size_t n;
    struct str missing; /* the first thing that is */
    struct buf todo;    /* what would have to be done, as a migration would write it */
};

static enum err differs(struct ctx *cx, const struct table *t, struct str column, const char *how) {
    return fail(cx, ERR_UNAVAILABLE,
                "The table %.*s is not as its file says: %.*s %s. Take the file back to what it was, or give"
                " it another table.",
                STR_FMT(t->name), STR_FMT(column), how);
}

static int64_t key_place(const struct table *t, struct str column) {
    for (size_t i = 0; i < t->n_keys; i++)
        if (str_eq(t->keys[i], column))
            return (int64_t)i + 2;
    return 0;
}

static enum err compare_column(struct ctx *cx, const struct table *t, const struct table_column *c,
                               const struct found *f, bool postgres) {
    if (!str_eq(f->kind, str_of(postgres ? TYPES[c->type].postgres : TYPES[c->type].sqlite)))
        return differs(cx, t, c->name, str_printf(cx->mem, "has the type %.*s there", STR_FMT(f->kind)).p);
    if (f->key != key_place(t, c->name))
        return differs(cx, t, c->name,
                       f->key ? "stands at another place of the key there" : "is not in the key there");
    return f->filled == c->filled ? OK : differs(cx, t, c->name, "may be empty in one of the two only");
}

static const struct found *find(const struct list *found, struct str name) {
    const struct found *f = found->items;
    for (size_t i = 0; i < found->n; i++)
        if (str_eq(f[i].name, name))
            return &f[i];
    return NULL;
}

static bool declared(const struct table *t, struct str name) {
    for (size_t i = 0; i < t->n_columns; i++)
        if (str_eq(t->columns[i].name, name))
            return true;
    return str_eq(name, S("org_id"));
}

static void miss(struct agreeing *a, struct str what) {
    if (a->todo.n == 0)
        a->missing = what;
}

static enum err compare(struct ctx *cx, struct agreeing *a, const struct table *t) {
    bool postgres = cx->database->driver == &POSTGRES_DRIVER;
    struct list found;
    enum err e = db_list(cx, &COLUMNS, ARGS(A(t->name)), &found);
    if (e || found.n == 0) {
        miss(a, str_printf(cx->mem, "the table %.*s is", STR_FMT(t->name)));
        put_table(&a->todo, t);
        return e;
    }
    const struct found *v = found.items, *org = find(&found, S("org_id"));
    for (size_t i = 0; i < found.n; i++)
        if (!declared(t, v[i].name))
            return differs(cx, t, v[i].name, "stands in the table only");
    if (!org || org->key != 1)
        return differs(cx, t, S("org_id"), "does not begin its key");
    if (!v[0].closed)
        return differs(cx, t, t->name, "has no forced row-level security");
    for (size_t i = 0; !e && i < t->n_columns; i++) {
        const struct table_column *c = &t->columns[i];
        const struct found *f = find(&found, c->name);
        if (f) {
            e = compare_column(cx, t, c, f, postgres);
        } else if (c->filled) {
            e = differs(cx, t, c->name, "is missing and could not be empty in the rows that are there");
        } else {
            miss(a, str_printf(cx->mem, "the column %.*s of the table %.*s is", STR_FMT(c->name),
                               STR_FMT(t->name)));
            buf_printf(&a->todo, "ALTER TABLE %.*s ADD COLUMN ", STR_FMT(t->name));
            put_column(&a->todo, c);
            buf_add(&a->todo, S(";\n"));
        }
    }
    return e;
}

static enum err compare_all(struct ctx *cx, struct agreeing *a) {
    enum err e = OK;
    a->todo = buf_new(cx->mem, TEXT_MAX);
    for (size_t i = 0; !e && i < a->n; i++)
        e = compare(cx, a, &a->tables[i]);
    return !e && a->todo.failed ? fail(cx, ERR_MEMORY, "The tables do not fit in memory.") : e;
}

static enum err make(struct ctx *cx, void *arg) {
    struct agreeing *a = arg;
    enum err e = migration_lock(cx);
    if (e || (e = compare_all(cx, a)) || a->todo.n == 0)
        return e;
    return migration_run(cx, buf_str(&a->todo));
}

enum err tables_agree(struct ctx *cx, const struct table *tables, size_t n, bool make_them) {
    struct agreeing a = {.tables = tables, .n = n};
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = compare_all(cx, &a); /* the usual case: nothing is to be done, and no lock is needed to see it */
    db_read_end(cx);
    if (e || a.todo.n == 0)
        return e;
    if (make_them)
        return db_write_wait(cx, make, &a);
    return fail(cx, ERR_UNAVAILABLE,
                "The tables are older than the files that describe them: %.*s missing; run `entrepot db"
                " upgrade`.",
                STR_FMT(a.missing));
}
