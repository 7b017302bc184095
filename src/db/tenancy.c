#include "db/tenancy.h"

#include "db/sqlite.h"

#include <string.h>

#include "base/banned.h"

#define TABLES_MAX 32

/* What the compilation of one statement touched. */
struct touched {
    struct {
        char table[64];
        bool bound; /* its org_id is read, or written by name */
    } v[TABLES_MAX];
    size_t n;
    const char *text;
};

static bool inserts_org(const char *text, const char *table) {
    char head[96];
    int n = snprintf(head, sizeof(head), "INSERT INTO %s (org_id,", table);
    return n < (int)sizeof(head) && strstr(text, head) != NULL;
}

static int on_access(void *arg, int action, const char *table, const char *column, const char *database,
                     const char *trigger) {
    struct touched *t = arg;
    (void)database, (void)trigger;
    if ((action != SQLITE_READ && action != SQLITE_INSERT && action != SQLITE_UPDATE &&
         action != SQLITE_DELETE) ||
        !table)
        return SQLITE_OK;
    size_t i = 0;
    while (i < t->n && strcmp(t->v[i].table, table) != 0)
        i++;
    if (i == TABLES_MAX)
        return SQLITE_DENY;
    if (i == t->n)
        snprintf(t->v[t->n++].table, sizeof(t->v[0].table), "%s", table);
    if ((action == SQLITE_READ && column && strcmp(column, "org_id") == 0) ||
        (action == SQLITE_INSERT && inserts_org(t->text, table)))
        t->v[i].bound = true;
    return SQLITE_OK;
}

static bool has_org(sqlite3 *h, const char *table) {
    return sqlite3_table_column_metadata(h, NULL, table, "org_id", NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

static enum err check_one(struct ctx *cx, sqlite3 *h, const struct stmt *st) {
    struct touched t = {.text = st->text};
    sqlite3_stmt *compiled = NULL;
    sqlite3_set_authorizer(h, on_access, &t);
    int rc = sqlite3_prepare_v2(h, st->text, -1, &compiled, NULL);
    sqlite3_set_authorizer(h, NULL, NULL);
    sqlite3_finalize(compiled);
    if (rc != SQLITE_OK)
        return fail(cx, ERR_INTERNAL, "%s does not compile: %s", st->name, sqlite3_errmsg(h));
    for (size_t i = 0; i < t.n; i++)
        if (!t.v[i].bound && has_org(h, t.v[i].table))
            return fail(cx, ERR_INTERNAL, "%s touches %s without looking at its org_id", st->name,
                        t.v[i].table);
    return OK;
}

enum err tenancy_check(struct ctx *cx, const struct stmt *stmts, size_t n) {
    enum err e = db_read_begin(cx);
    for (size_t i = 0; !e && i < n; i++)
        if (stmts[i].scope == TENANT)
            e = check_one(cx, sqlite_of(cx->db)->handle, &stmts[i]);
    db_read_end(cx);
    return e;
}
