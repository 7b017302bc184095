/* A database of a test's own with the module started over it: SQLite in a new folder, or, where TEST_POSTGRES
 * names an empty one, PostgreSQL. Handlers are called as the router calls them. */
#ifndef TESTS_UNIT_IDENTITY_IDENTITY_DB_H
#define TESTS_UNIT_IDENTITY_IDENTITY_DB_H

#include "base/settings.h"
#include "db/migrate.h"
#include "identity/handlers.h"
#include "identity/state.h"
#include "identity/user.h"

#include "identity_test.h"

struct world {
    struct ctx cx;
    struct clock *clock;
    struct db *db;
    struct modules modules;
    const struct module *list[1];
    void *state[1];
    char folder[64];
};

void world_open(struct world *w);
void world_close(struct world *w);
/* As somebody: the actor of an organisation. */
void world_act(struct world *w, struct uuid org, struct uuid user, const char *name, enum role role);
/* In a transaction of its own; the organisation's slug is returned, its id set in out. */
struct str world_organisation(struct world *w, const char *name, struct uuid *out);
/* Calls a handler: body by schema (NULL: none), one path parameter (NULL: none), one Authorization (NULL:
 * none). The answer's body is the raw text. SLOW handlers run as they are, others within a read. */
struct sent {
    handler_fn *handler;
    const struct schema *in;
    enum use use;
    const char *body, *param, *bearer, *peer;
    bool read;
};
enum err world_send(struct world *w, struct sent s, struct answer *an);
/* The text behind "name":" in an answer. */
struct str answered(const struct answer *an, const char *name);

#endif
