/* The demo company: a few thousand made-up items and a year of what happens to them, ending now, so that
 * every screen and every command has something to show. It is made by the server's own functions and routes
 * with a clock that runs through the year, so levels, history, orders, deliveries, exceptions and the audit
 * trail agree with each other as they do in a real company. Everything follows from a fixed seed and the day
 * of loading: the same numbers, names and ids each time.
 *
 * It is loaded in steps, each a transaction that leaves a mark; a load that was broken off goes on where it
 * ended, one that is complete adds nothing. Where to start reading: demo.c, then demo_year.h. */
#ifndef CORE_DEMO_H
#define CORE_DEMO_H

#include "base/module.h"
#include "db/db.h"

struct demo_count {
    int64_t items, moves, deliveries;
};
/* For cx's organisation, outside a transaction; added says what was new. ERR_CONFLICT where the organisation
 * has items of its own, unless beside says that it may. */
MUST_USE enum err demo_load(struct ctx *cx, struct str slug, bool beside, struct demo_count *added);

extern const struct module DEMO_MODULE;

#endif
