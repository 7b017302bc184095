/* The table that a feed's file describes: its columns, ingested_at and run_id, keyed by the organisation and
 * the keys. */
#ifndef FEEDS_FEED_TABLE_H
#define FEEDS_FEED_TABLE_H

#include "db/table.h"
#include "feeds/feed.h"

/* In cx->mem. ERR_MEMORY. */
MUST_USE enum err feed_table(struct ctx *cx, const struct feed *f, struct table *out);
/* Those of all feeds, as the files say now (module.tables). */
MUST_USE enum err feed_tables(struct ctx *cx, bool make);

#endif
