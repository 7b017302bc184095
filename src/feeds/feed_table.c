#include "feeds/feed_table.h"

#include "base/settings.h"

#include "base/banned.h"

static const enum table_type TYPES[] = {[FEED_TEXT] = TABLE_TEXT,
                                        [FEED_INT] = TABLE_INT,
                                        [FEED_DECIMAL] = TABLE_DECIMAL,
                                        [FEED_DATE] = TABLE_DATE,
                                        [FEED_BOOL] = TABLE_BOOL};

enum err feed_table(struct ctx *cx, const struct feed *f, struct table *out) {
    size_t n = f->columns.n;
    struct table_column *c = NEW_N(cx->mem, struct table_column, n + 2);
    struct str *keys = NEW_N(cx->mem, struct str, f->n_keys);
    if (!c || !keys)
        return fail(cx, ERR_MEMORY, "The feeds' tables do not fit in memory.");
    for (size_t i = 0; i < n; i++) {
        const struct feed_column *from = feed_column(f, i);
        c[i] = (struct table_column){from->name, TYPES[from->type], from->key};
    }
    c[n] = (struct table_column){S("ingested_at"), TABLE_TIME, true};
    c[n + 1] = (struct table_column){S("run_id"), TABLE_UUID, true};
    for (size_t i = 0; i < f->n_keys; i++)
        keys[i] = feed_column(f, f->keys[i])->name;
    *out = (struct table){f->table, c, n + 2, keys, f->n_keys};
    return OK;
}

enum err feed_tables(struct ctx *cx, bool make) {
    struct feeds feeds;
    enum err e = feeds_load(cx, setting_text(cx->modules->settings, "FEEDS_DIR"), &feeds);
    struct table *tables = e ? NULL : NEW_N(cx->mem, struct table, feeds.n);
    if (!e && !tables)
        return fail(cx, ERR_MEMORY, "The feeds' tables do not fit in memory.");
    for (size_t i = 0; !e && i < feeds.n; i++)
        e = feed_table(cx, &feeds.v[i], &tables[i]);
    return e ? e : tables_agree(cx, tables, feeds.n, make);
}
