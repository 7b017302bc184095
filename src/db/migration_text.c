#include "db/migration.h"

#include <sodium.h>

#include "base/banned.h"

#define TEXT_MAX (1 << 20)

static bool parse_name(const char *path, struct migration *m) {
    struct str file = str_of(path), number, name;
    file = str_sub(file, sizeof("migrations/") - 1, file.n);
    if (!str_ends(file, S(".sql")) || !str_cut(str_sub(file, 0, file.n - 4), '_', &number, &name) ||
        number.n != 4)
        return false;
    m->version = 0;
    for (size_t i = 0; i < number.n; i++) {
        if (number.p[i] < '0' || number.p[i] > '9')
            return false;
        m->version = m->version * 10 + (number.p[i] - '0');
    }
    m->name = name;
    return m->version > 0 && name.n > 0;
}

enum err migration_files(struct ctx *cx, const struct asset *files, size_t n, struct list *out) {
    struct migration *all = NEW_N(cx->mem, struct migration, n + 1);
    size_t count = 0;
    for (size_t i = 0; all && i < n; i++) {
        unsigned char sum[crypto_hash_sha256_BYTES];
        if (!str_starts(str_of(files[i].path), S("migrations/")))
            continue;
        struct migration *m = &all[count];
        if (!parse_name(files[i].path, m) || (count > 0 && m->version <= m[-1].version))
            return fail(cx, ERR_INTERNAL, "%s must be NNNN_module_what.sql with a number of its own.",
                        files[i].path);
        m->text = (struct str){(const char *)files[i].bytes, files[i].size};
        crypto_hash_sha256(sum, files[i].bytes, files[i].size);
        m->checksum = hex_encode(cx->mem, (struct bytes){sum, sizeof(sum)});
        count++;
    }
    if (!all || (count && !all[count - 1].checksum.p))
        return fail(cx, ERR_MEMORY, "The migrations do not fit in memory.");
    *out = (struct list){all, count};
    return OK;
}

struct token {
    const char *name, *sqlite, *postgres;
};
/* Text is compared by its bytes on both: the same order, the same equality, and the faster index. */
static const struct token TOKENS[] = {
    {"int", "INTEGER", "bigint"},
    {"text", "TEXT", "text COLLATE \"C\""},
    {"bool", "INTEGER", "boolean"},
    {"time", "INTEGER", "timestamptz"},
    {"json", "TEXT", "jsonb"},
    {"bytes", "BLOB", "bytea"},
    {"uuid", "BLOB", "uuid"},
    {"date", "TEXT", "date"},
    {"decimal", "TEXT", "numeric"},
    {"table_end", ") STRICT;", ");"},
    {"table_keyed", ") STRICT, WITHOUT ROWID;", ");"},
    {"xact", "INTEGER", "xid8 NOT NULL DEFAULT pg_current_xact_id()"},
};

/* Forced, so that the owner is bound as well. '*' is what SYSTEM statements set. */
static void put_tenant(struct buf *b, struct str table) {
    buf_printf(
        b,
        "ALTER TABLE %.*s ENABLE ROW LEVEL SECURITY; ALTER TABLE %.*s FORCE ROW LEVEL SECURITY;"
        " CREATE POLICY tenant ON %.*s USING (current_setting('entrepot.org', true) IN (org_id::text, '*'))"
        " WITH CHECK (current_setting('entrepot.org', true) IN (org_id::text, '*'));",
        STR_FMT(table), STR_FMT(table), STR_FMT(table));
}

static bool put_token(struct buf *b, struct str token, bool postgres) {
    if (str_starts(token, S("tenant "))) {
        if (postgres)
            put_tenant(b, str_sub(token, 7, token.n));
        return true;
    }
    for (size_t i = 0; i < sizeof(TOKENS) / sizeof(TOKENS[0]); i++)
        if (str_eq(token, str_of(TOKENS[i].name))) {
            buf_add(b, str_of(postgres ? TOKENS[i].postgres : TOKENS[i].sqlite));
            return true;
        }
    return false;
}

/* One line with its tokens expanded; a comment stays as it is. */
static bool put_line(struct buf *b, struct str line, bool postgres) {
    struct str before, rest, token;
    if (!str_starts(str_trim(line), S("--")))
        while (str_cut(line, '{', &before, &rest) && str_cut(rest, '}', &token, &rest)) {
            buf_add(b, before);
            if (!put_token(b, token, postgres))
                return false;
            line = rest;
        }
    buf_add(b, line);
    buf_byte(b, '\n');
    return true;
}

static struct str next_line(struct str *text) {
    struct str line = *text;
    if (!str_cut(*text, '\n', &line, text))
        *text = (struct str){NULL, 0};
    return line;
}

#define IRREVERSIBLE "-- irreversible:"

enum err migration_text(struct ctx *cx, const struct migration *m, enum direction way, bool postgres,
                        struct str *out) {
    struct buf b = buf_new(cx->mem, TEXT_MAX);
    struct str text = m->text, only = {0};
    enum direction part = UP;
    while (text.p) {
        struct str line = next_line(&text);
        if (str_starts(line, S(IRREVERSIBLE)) && way == DOWN)
            return fail(cx, ERR_USAGE, "Migration %04d cannot be undone: %.*s", (int)m->version,
                        STR_FMT(str_trim(str_sub(line, sizeof(IRREVERSIBLE) - 1, line.n))));
        if (str_eq(line, S("-- down")) || str_starts(line, S(IRREVERSIBLE)))
            part = DOWN;
        else if (str_eq(line, S("{sqlite}")) || str_eq(line, S("{postgres}")))
            only = line;
        else if (str_eq(line, S("{end}")))
            only = (struct str){0};
        else if (part == way && (!only.p || postgres == str_eq(only, S("{postgres}"))) &&
                 !put_line(&b, line, postgres))
            return fail(cx, ERR_INTERNAL, "Migration %04d has an unknown token in: %.*s", (int)m->version,
                        STR_FMT(line));
    }
    if (b.failed)
        return fail(cx, ERR_MEMORY, "Migration %04d is too long.", (int)m->version);
    *out = buf_str(&b);
    return OK;
}
