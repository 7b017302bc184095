/* A module is a table: every domain, channel and service hands the application one of these, and
 * app/modules.c lists them. What a module adds to the system stands in its rows; members that it does not
 * need stay empty. */
#ifndef BASE_MODULE_H
#define BASE_MODULE_H

#include "base/err.h"
#include "base/str.h"

struct ctx;
struct metrics;
struct settings;
struct route;
struct stmt;
struct job_type;
struct setting;
struct metric;
struct command;
struct intake_source;
struct exception_kind;

/* What the administrator should see to although all works; code for programs, message for people. */
struct warning {
    struct str code, message;
};

struct module {
    const char *name;
    const struct route *routes;
    size_t n_routes;
    const struct stmt *stmts;
    size_t n_stmts;
    const struct job_type *jobs;
    size_t n_jobs;
    const struct setting *settings;
    size_t n_settings;
    const struct metric *metrics;
    size_t n_metrics;
    const struct command *commands;
    size_t n_commands;
    const struct intake_source *sources; /* whose deliveries it applies: core/inbox.h */
    size_t n_sources;
    const struct exception_kind *exceptions; /* whose refused rows it applies again: core/exception.h */
    size_t n_exceptions;
    /* Tables that files describe instead of migrations, compared with the database after these, before start;
     * with make, what is missing is made. Outside a transaction; ERR_UNAVAILABLE says what differs. */
    enum err (*tables)(struct ctx *cx, bool make);
    /* What lives as long as the process (keys, caches): made before the first request, found by module_state.
     */
    enum err (*start)(struct ctx *cx, void **state);
    void (*stop)(void *state);
    /* What requests may know without asking the database is looked at here: called several times a second by
     * one thread of the server, in a read transaction, with what start made (net/pulse.h). */
    enum err (*refresh)(struct ctx *cx, void *state);
    /* What health has to warn of, with what start made: at most max, gives how many. On any thread, by what
     * is in memory; anybody may read it. */
    size_t (*warn)(struct ctx *cx, void *state, struct warning *out, size_t max);
};

/* All modules of this process with what they keep; cx->modules refers to it. */
struct modules {
    const struct module *const *list;
    void **state;
    size_t n;
    const struct settings *settings;
    struct metrics *metrics;
};
void *module_state(const struct ctx *cx, const struct module *m); /* asserts that m is one of them */

#define TABLE(member, rows) .member = (rows), .n_##member = sizeof(rows) / sizeof((rows)[0])

#endif
