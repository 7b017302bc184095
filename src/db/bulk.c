/* The statements of a bulk load, made from its columns, and the way in. */
#include "db/bulk_table.h"
#include "db/state.h"

#include <assert.h>
#include <string.h>

#include "base/banned.h"

#define TEXT_MAX ((size_t)256 << 10)

struct differs {
    int64_t n;
};
static const struct field DIFFERS_FIELDS[] = {FIELD(struct differs, n, ROW, "Whether the row differs.")};
static const struct schema DIFFERS = SCHEMA(struct differs, "BulkDiffers", DIFFERS_FIELDS);
static const struct field COUNT_FIELDS[] = {
    FIELD(struct bulk_counts, inserted, ROW, "New rows."),
    FIELD(struct bulk_counts, updated, ROW, "Rows that change."),
    FIELD(struct bulk_counts, unchanged, ROW, "Rows that stay."),
};
static const struct schema COUNTS = SCHEMA(struct bulk_counts, "BulkCounts", COUNT_FIELDS);

/* In these, % is the table, and <USES SEPARATOR:PATTERN> is the pattern for each column of some uses: k keys,
 * v values, s stamps, c keys and values, a all; in the pattern @ is the column, # its parameter, ~ the
 * same counted from the first of these uses, and ^ its type. Rows are compared with a 0 in front, so that
 * there is something to compare without values. */
#define SAME_KEYS "t.org_id = $org AND <k AND :t.@ = s.@>"
#define OTHER_VALUES "(0<v:, t.@>) IS DISTINCT FROM (0<v:, s.@>)"
static const char COMPARE[] =
    "SELECT (0<v:, @>) IS NOT (0<v:, #>) AS n FROM % WHERE org_id = $org AND <k AND :@ = #>",
                  COMPARE_POSTGRES[] =
                      "SELECT ((0<v:, @>) IS DISTINCT FROM (0<v:, #>))::int::bigint AS n FROM %"
                      " WHERE org_id = $org AND <k AND :@ = #>",
                  UPSERT[] = "INSERT INTO % AS t (org_id, <a, :@>) VALUES ($org, <a, :#>)"
                             " ON CONFLICT (org_id, <k, :@>) DO UPDATE SET <v:@ = excluded.@, >"
                             "<s, :@ = bulk_changed(excluded.@)>"
                             " WHERE (0<v:, t.@>) IS NOT (0<v:, excluded.@>)",
                  STAGE[] =
                      "CREATE TEMPORARY TABLE staged ON COMMIT DROP AS SELECT <c, :@> FROM % WITH NO DATA",
                  COPY[] = "COPY staged (<c, :@>) FROM STDIN",
                  LOCK_TABLE[] = "LOCK TABLE % IN SHARE ROW EXCLUSIVE MODE",
                  COUNT[] = "SELECT count(*) FILTER (WHERE t.org_id IS NULL) AS inserted,"
                            " count(*) FILTER (WHERE t.org_id IS NOT NULL AND " OTHER_VALUES ") AS updated,"
                            " count(*) FILTER (WHERE t.org_id IS NOT NULL AND NOT (" OTHER_VALUES
                            ")) AS unchanged FROM staged s LEFT JOIN % t ON " SAME_KEYS,
                  INSERT[] = "INSERT INTO % (org_id, <a, :@>) SELECT $org::uuid, <c, :s.@>, <s, :~::^>"
                             " FROM staged s WHERE NOT EXISTS (SELECT 1 FROM % t WHERE " SAME_KEYS ")",
                  UPDATE[] = "UPDATE % t SET <v:@ = s.@, ><s, :@ = ~> FROM staged s WHERE " SAME_KEYS
                             " AND " OTHER_VALUES;

static unsigned uses_of(char letter) {
    enum { KEY = 1 << BULK_KEY, VALUE = 1 << BULK_VALUE, STAMP = 1 << BULK_STAMP };
    return letter == 'k'   ? KEY
           : letter == 'v' ? VALUE
           : letter == 's' ? STAMP
           : letter == 'c' ? KEY | VALUE
                           : KEY | VALUE | STAMP;
}

static const char *type_of(enum arg_kind kind) {
    return kind == ARG_UUID      ? "uuid"
           : kind == ARG_INSTANT ? "timestamptz"
           : kind == ARG_INT     ? "bigint"
           : kind == ARG_BOOL    ? "boolean"
                                 : "text";
}

struct maker {
    struct arena *mem;
    const char *table;
    const struct bulk_column *columns;
    size_t n;
};

static void put_pattern(struct buf *b, struct str pattern, const struct bulk_column *c, size_t number,
                        size_t nth) {
    for (size_t i = 0; i < pattern.n; i++) {
        char at = pattern.p[i];
        if (at == '@')
            buf_add(b, str_of(c->name));
        else if (at == '#')
            buf_printf(b, "$%zu", number);
        else if (at == '~')
            buf_printf(b, "$%zu", nth);
        else if (at == '^')
            buf_add(b, str_of(type_of(c->kind)));
        else
            buf_byte(b, at);
    }
}

/* What stands between < and >. */
static void put_each(struct buf *b, const struct maker *m, struct str inside) {
    struct str separator, pattern;
    size_t nth = 0;
    (void)str_cut(str_sub(inside, 1, inside.n), ':', &separator, &pattern);
    for (size_t i = 0; i < m->n; i++) {
        if (!(uses_of(inside.p[0]) & 1u << m->columns[i].use))
            continue;
        if (nth++ > 0)
            buf_add(b, separator);
        put_pattern(b, pattern, &m->columns[i], i + 1, nth);
    }
}

static const char *text_of(const struct maker *m, const char *pattern) {
    struct buf b = buf_new(m->mem, TEXT_MAX);
    struct str rest = str_of(pattern), inside;
    while (rest.n > 0) {
        if (rest.p[0] == '<' && str_cut(str_sub(rest, 1, rest.n), '>', &inside, &rest)) {
            put_each(&b, m, inside);
            continue;
        }
        if (rest.p[0] == '%')
            buf_add(&b, str_of(m->table));
        else
            buf_byte(&b, rest.p[0]);
        rest = str_sub(rest, 1, rest.n);
    }
    return b.failed ? NULL : str_z(m->mem, buf_str(&b));
}

static bool plain(const char *name) {
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return n > 0 && n <= 63 && name[n] == '\0';
}

/* Keys, values, stamps; a key and a stamp at least. */
static bool in_order(const struct bulk_column *columns, size_t n) {
    if (n < 2 || n > BULK_COLUMNS_MAX || columns[0].use != BULK_KEY || columns[n - 1].use != BULK_STAMP)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!plain(columns[i].name) || (i > 0 && columns[i].use < columns[i - 1].use))
            return false;
    return true;
}

enum err bulk_table_new(struct ctx *cx, struct arena *mem, const char *name,
                        const struct bulk_column *columns, size_t n, struct bulk_table **out) {
    struct maker m = {mem, name, columns, n};
    assert(plain(name) && in_order(columns, n));
    struct bulk_table *t = NEW(mem, struct bulk_table);
    if (!t)
        return fail(cx, ERR_MEMORY, "The table's statements do not fit in memory.");
    t->name = name;
    for (size_t i = 0; i < n; i++)
        t->n_cells += columns[i].use != BULK_STAMP;
    t->compare = (struct stmt){name, TENANT, text_of(&m, COMPARE), text_of(&m, COMPARE_POSTGRES), &DIFFERS};
    t->upsert = (struct stmt){name, TENANT, text_of(&m, UPSERT), NULL, NULL};
    t->count = (struct stmt){name, TENANT, text_of(&m, COUNT), NULL, &COUNTS};
    t->insert = (struct stmt){name, TENANT, text_of(&m, INSERT), NULL, NULL};
    t->update = (struct stmt){name, TENANT, text_of(&m, UPDATE), NULL, NULL};
    t->stage = text_of(&m, STAGE);
    t->copy = text_of(&m, COPY);
    t->lock = text_of(&m, LOCK_TABLE);
    if (!t->compare.text || !t->compare.postgres || !t->upsert.text || !t->count.text || !t->insert.text ||
        !t->update.text || !t->stage || !t->copy || !t->lock)
        return fail(cx, ERR_MEMORY, "The table's statements do not fit in memory.");
    *out = t;
    return OK;
}

enum err bulk_table_check(struct ctx *cx, const struct bulk_table *table) {
    return db_check_stmts(cx, &table->compare, 1);
}

enum err db_bulk(struct ctx *cx, const struct bulk *b) {
    const struct db *db = cx->database;
    assert(!cx->db && (b->decide || !b->dry));
    return db->driver->bulk_load ? db->driver->bulk_load(db->place, cx, b) : bulk_by_rows(cx, b);
}
