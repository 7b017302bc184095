/* Rows by the thousand on SQLite: one prepared statement, stepped without the way through calls and columns.
 * An upsert does not say whether it inserted or updated; a function in its SET clause counts the latter. */
#include "db/bulk_table.h"
#include "db/sqlite.h"

#include "base/instant.h"

#include "base/banned.h"

#define LOOK_EVERY 64 /* rows between looks at the clock */

static void count_change(sqlite3_context *x, int n, sqlite3_value **v) {
    (void)n;
    ((struct sqlite *)sqlite3_user_data(x))->bulk_changed++;
    sqlite3_result_value(x, v[0]);
}

bool sqlite_bulk_prepare(struct sqlite *s) {
    return sqlite3_create_function(s->handle, "bulk_changed", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY, s,
                                   count_change, NULL, NULL) == SQLITE_OK;
}

static enum err bind_row(struct sqlite *s, const struct prepared *p, const struct bulk_rows *r,
                         const struct arg *cells) {
    size_t n_cells = r->bulk->table->n_cells;
    const unsigned char *org = r->cx->actor.org.b; /* outlives the step */
    for (int i = 0; i < p->n; i++) {
        size_t from = (size_t)p->arg[i];
        int rc;
        if (p->arg[i] < 0)
            rc = sqlite3_bind_blob(p->handle, i + 1, org, sizeof(struct uuid), SQLITE_STATIC);
        else
            rc = sqlite_bind_arg(p->handle, i + 1,
                                 from < n_cells ? &cells[from] : &r->bulk->stamps.v[from - n_cells]);
        if (rc != SQLITE_OK)
            return sqlite_trouble(s, r->bulk->table->name);
    }
    return OK;
}

/* What a row came to: the number that the comparison gives, or -1 for none. */
static enum err step_compare(struct sqlite *s, sqlite3_stmt *h, struct bulk_rows *r) {
    int rc = sqlite3_step(h);
    if (rc == SQLITE_DONE)
        r->counts.inserted++;
    else if (rc == SQLITE_ROW && sqlite3_column_int(h, 0))
        r->counts.updated++;
    else if (rc == SQLITE_ROW)
        r->counts.unchanged++;
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? OK : sqlite_trouble(s, r->bulk->table->name);
}

static enum err step_upsert(struct sqlite *s, sqlite3_stmt *h, struct bulk_rows *r) {
    s->bulk_changed = 0;
    if (sqlite3_step(h) != SQLITE_DONE)
        return sqlite_trouble(s, r->bulk->table->name);
    if (s->bulk_changed)
        r->counts.updated++;
    else if (sqlite3_changes64(s->handle) > 0)
        r->counts.inserted++;
    else
        r->counts.unchanged++;
    return OK;
}

static enum err go_over(struct db_conn *c, struct bulk_rows *r, const struct stmt *st,
                        enum err (*step)(struct sqlite *s, sqlite3_stmt *h, struct bulk_rows *r)) {
    struct sqlite *s = sqlite_of(c);
    struct prepared *p;
    const struct arg *cells = r->cells;
    enum err e = c->failed ? c->failed : sqlite_prepare(s, st, &p);
    for (r->done = 0; !e && r->done < r->n; r->done++, cells += r->bulk->table->n_cells) {
        if (r->done % LOOK_EVERY == LOOK_EVERY - 1 && clock_steady() > r->until)
            break;
        if (!(e = bind_row(s, p, r, cells)))
            e = step(s, p->handle, r);
        sqlite3_reset(p->handle);
    }
    return e;
}

enum err sqlite_bulk_compare(struct db_conn *c, struct bulk_rows *rows) {
    return go_over(c, rows, &rows->bulk->table->compare, step_compare);
}

enum err sqlite_bulk_upsert(struct db_conn *c, struct bulk_rows *rows) {
    return go_over(c, rows, &rows->bulk->table->upsert, step_upsert);
}
