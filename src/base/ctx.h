/* The context of one piece of work: a request, a job, a command. It is the first parameter of everything
 * above base. It owns nothing but refers to all that the work needs; it lives as long as its arena. */
#ifndef BASE_CTX_H
#define BASE_CTX_H

#include "base/arena.h"
#include "base/err.h"
#include "base/instant.h"
#include "base/str.h"
#include "base/uuid.h"

struct db;
struct db_conn;
struct log;
struct modules;

enum role { ROLE_NONE, ROLE_VIEWER, ROLE_CLERK, ROLE_MANAGER, ROLE_OWNER, ROLE_OPERATOR };

/* Who does it. org is what `$org` binds; nil for work that belongs to no organisation. */
struct actor {
    struct uuid org, user;
    struct str name; /* for moves and audit rows: an e-mail address, "shipstation", "operator" */
    enum role role;
};

/* What is to happen once the transaction has committed; flags, so that asking twice is asking once. */
enum after { AFTER_WAKE_JOBS = 1 };

struct ctx {
    struct arena *mem;
    const struct clock *clock;
    struct instant now; /* when the work began; the "now" of its statements */
    struct log *log;
    struct db *database;
    struct db_conn *db; /* the transaction the work runs in, NULL outside one */
    struct actor actor;
    struct str request_id;
    unsigned after;
    struct fault fault;
    const struct modules *modules; /* settings, metrics and what each module keeps */
    void *app; /* whatever the starter of the work wants to find again in it; the server itself needs nothing
                  here */
};

#endif
