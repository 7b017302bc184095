#include "db/postgres.h"

#include "base/instant.h"

#include <assert.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/banned.h"

#define CHANNEL "entrepot_after"
#define CONNECT_S "5"
#define KEEPALIVE_S "30"
#define LEAST_VERSION 150000
#define FATE_US (5 * US_PER_S)

static const char *const CONNECT_KEYS[] = {"dbname",          "application_name", "client_encoding",
                                           "connect_timeout", "keepalives_idle",  NULL};

/* A lane waits a short while for a lock that another lane or process holds, and runs the closure again then;
 * a reader never waits for one. */
#define SESSION                                                                                            \
    "SET timezone = 'UTC'; SET jit = off; SET client_min_messages = warning; SET lock_timeout = '200ms';"  \
    " SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s';"                     \
    " SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = " \
    "'off';"                                                                                               \
    " SELECT current_setting('synchronous_commit'), current_setting('server_version_num')"

struct place {
    char *url;
    char name[64]; /* as the server lists it: who is who to people and to migrate_others */
};

struct postgres *postgres_of(struct db_conn *c) {
    assert(c->driver == &POSTGRES_DRIVER);
    return (struct postgres *)c;
}

static enum err attach(struct ctx *cx, struct str rest, void **place) {
    char *problem = NULL, *url = str_z(cx->mem, str_printf(cx->mem, "postgresql:%.*s", STR_FMT(rest)));
    PQconninfoOption *options = url ? PQconninfoParse(url, &problem) : NULL;
    if (!options) {
        /* What libpq says quotes the whole of it, password and all. */
        enum err e =
            fail(cx, ERR_USAGE, "DATABASE_URL cannot be read as postgresql://user@host:port/database.");
        PQfreemem(problem);
        return e;
    }
    PQconninfoFree(options);
    struct place *p = calloc(1, sizeof(*p));
    if (!p || !(p->url = strdup(url))) {
        free(p);
        return fail(cx, ERR_MEMORY, "There is no memory to open the database.");
    }
    char host[32] = "";
    (void)gethostname(host, sizeof(host) - 1);
    snprintf(p->name, sizeof(p->name), "entrepot %d@%s", (int)getpid(), host);
    *place = p;
    return OK;
}

static void detach(void *place) {
    struct place *p = place;
    free(p->url);
    free(p);
}

static void close_conn(struct db_conn *c) {
    struct postgres *p = postgres_of(c);
    cache_clear(&p->cache, postgres_free_prepared);
    PQfinish(p->pg);
    free(p);
}

/* Notices are for people at a prompt. */
static void ignore_notice(void *arg, const char *text) { (void)arg, (void)text; }

/* "" where all is well, else what is not. */
static const char *set_up(PGconn *pg) {
    PGresult *r = PQexec(pg, SESSION);
    const char *problem = "";
    int64_t version = 0;
    if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1)
        problem = PQerrorMessage(pg);
    else if (str_eq(str_of(PQgetvalue(r, 0, 0)), S("off")))
        problem = "synchronous_commit is off";
    else if (!str_int(str_of(PQgetvalue(r, 0, 1)), &version) || version < LEAST_VERSION)
        problem = "PostgreSQL 15 or later is needed";
    PQclear(r);
    if (!*problem && (!PQenterPipelineMode(pg) || PQsetnonblocking(pg, 1)))
        problem = "no pipeline mode";
    return problem;
}

static enum err open_conn(void *place, enum conn_use use, struct db_conn **out, char *problem) {
    const struct place *place_of = place;
    const char *const values[] = {place_of->url, place_of->name, "UTF8", CONNECT_S, KEEPALIVE_S, NULL};
    struct postgres *p = calloc(1, sizeof(*p));
    if (!p)
        return ERR_MEMORY;
    p->base = (struct db_conn){.driver = &POSTGRES_DRIVER, .use = use};
    p->pg = PQconnectdbParams(CONNECT_KEYS, values, 1);
    p->place = place_of;
    PQsetNoticeProcessor(p->pg, ignore_notice, NULL);
    const char *why = PQstatus(p->pg) == CONNECTION_OK ? set_up(p->pg) : PQerrorMessage(p->pg);
    if (!*why) {
        *out = &p->base;
        return OK;
    }
    struct str line = str_of(why), rest;
    (void)str_cut(line, '\n', &line, &rest);
    snprintf(problem, sizeof(p->base.problem), "%.*s", STR_FMT(line));
    close_conn(&p->base);
    return ERR_DATABASE;
}

static void add_pending(struct postgres *p, const char *text) {
    assert(p->n_pending < PENDING_MAX);
    p->pending[p->n_pending++] = text;
}

/* Takes back the last one if it has not been sent: nothing happened since. */
static bool drop_pending(struct postgres *p, const char *text) {
    if (p->n_pending == 0 || p->pending[p->n_pending - 1] != text)
        return false;
    p->n_pending--;
    return true;
}

static const char BEGIN_READ[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", BEGIN_WRITE[] = "BEGIN",
                  SAVEPOINT[] = "SAVEPOINT c", RELEASE[] = "RELEASE SAVEPOINT c",
                  ROLLBACK_TO[] = "ROLLBACK TO SAVEPOINT c";

/* The server's end of the connection is still open. */
static bool alive(struct db_conn *c) {
    struct postgres *p = postgres_of(c);
    struct pollfd f = {.fd = PQsocket(p->pg), .events = POLLRDHUP};
    return !c->lost && PQstatus(p->pg) == CONNECTION_OK && poll(&f, 1, 0) == 0;
}

/* The server keeps the plans of prepared statements, and one made for a small table may scan it for ever
 * after. So they are made anew each time the number of transactions has doubled: from the tables as they are
 * by then. */
static void renew_plans(struct postgres *p) {
    if (++p->transactions < p->plan_at)
        return;
    p->plan_at = 2 * p->transactions;
    add_pending(p, "DISCARD PLANS");
}

static enum err begin(struct db_conn *c) {
    struct postgres *p = postgres_of(c);
    conn_reset(c);
    p->n_pending = 0;
    p->patient = false;
    p->begun = false;
    p->xid[0] = '\0';
    add_pending(p, c->use == CONN_READ ? BEGIN_READ : BEGIN_WRITE);
    if (c->use == CONN_WRITE)
        add_pending(p, POSTGRES_XID);
    renew_plans(p);
    return OK;
}

enum fate { COMMITTED, ABORTED, UNDECIDED };

static enum fate ask_fate(const struct postgres *p) {
    const char *const values[] = {p->place->url, p->place->name, "UTF8", CONNECT_S, KEEPALIVE_S, NULL};
    const char *const params[] = {p->xid};
    PGconn *pg = PQconnectdbParams(CONNECT_KEYS, values, 1);
    PGresult *r = PQstatus(pg) == CONNECTION_OK
                      ? PQexecParams(pg, "SELECT pg_xact_status($1::xid8)", 1, NULL, params, NULL, NULL, 0)
                      : NULL;
    struct str said = r && PQntuples(r) == 1 ? str_of(PQgetvalue(r, 0, 0)) : S("");
    enum fate fate = str_eq(said, S("committed")) ? COMMITTED
                     : str_eq(said, S("aborted")) ? ABORTED
                                                  : UNDECIDED;
    PQclear(r);
    PQfinish(pg);
    return fate;
}

/* The connection went while COMMIT was under way. The server knows what became of it, and keeps that; until
 * it has said so, running the closures again might do twice what has been done. */
static enum err find_out(struct postgres *p) {
    int64_t until = clock_steady() + FATE_US;
    for (;;) {
        switch (ask_fate(p)) {
        case COMMITTED:
            return OK;
        case ABORTED:
            return p->base.failed; /* to be run again */
        case UNDECIDED:
            break;
        }
        if (clock_steady() > until)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    }
    p->base.again = false;
    p->base.undecided = true;
    return conn_fail(&p->base, ERR_UNAVAILABLE,
                     "the connection was lost during COMMIT, and its outcome is not known");
}

/* A writer's answer counts only once it is there. COMMIT of a transaction that has failed says so by its tag
 * alone. */
static enum err commit_write(struct postgres *p) {
    PGresult *r;
    enum err e = postgres_command(p, "COMMIT", &r);
    if (e) /* it may not even have come to the COMMIT: there is something to roll back */
        return p->base.lost && p->xid[0] ? find_out(p) : e;
    p->begun = false;
    bool done = str_eq(str_of(PQcmdStatus(r)), S("COMMIT"));
    PQclear(r);
    return done ? OK : conn_fail(&p->base, ERR_DATABASE, "COMMIT: the transaction had failed");
}

/* A connection that is dead is still found out, by keepalives. */
static enum err patient(struct db_conn *c) {
    struct postgres *p = postgres_of(c);
    p->patient = true;
    return postgres_command(p, "SET LOCAL statement_timeout = 0", NULL);
}

static enum err commit(struct db_conn *c) {
    struct postgres *p = postgres_of(c);
    if (!p->begun) {
        p->n_pending = 0;
        return OK;
    }
    if (c->use == CONN_WRITE)
        return commit_write(p);
    p->begun = p->patient = false;
    return postgres_tell(p, "COMMIT");
}

/* What entrepot.org was set to inside goes back with it. */
static void rollback(struct db_conn *c) {
    struct postgres *p = postgres_of(c);
    p->n_pending = 0;
    p->org_state = ORG_UNKNOWN;
    if (p->begun && !c->lost) {
        (void)postgres_settle(p); /* after an error nothing is done any more until its end is heard */
        (void)postgres_command(p, "ROLLBACK", NULL);
    }
    p->begun = p->patient = false;
    conn_reset(c);
}

static enum err savepoint(struct db_conn *c) {
    add_pending(postgres_of(c), SAVEPOINT);
    return OK;
}

static enum err release(struct db_conn *c) {
    if (!drop_pending(postgres_of(c), SAVEPOINT))
        add_pending(postgres_of(c), RELEASE);
    return OK;
}

static enum err rollback_to(struct db_conn *c) {
    struct postgres *p = postgres_of(c);
    conn_reset(c);
    if (drop_pending(p, SAVEPOINT))
        return OK;
    p->org_state = ORG_UNKNOWN;
    add_pending(p, ROLLBACK_TO);
    add_pending(p, RELEASE);
    return OK;
}

/* The only thing that the pipeline cannot do is several statements in one text. */
static enum err script(struct db_conn *c, struct ctx *cx, struct str text) {
    struct postgres *p = postgres_of(c);
    char *z = str_z(cx->mem, text);
    if (!z)
        return conn_fail(c, ERR_MEMORY, "the script does not fit in memory");
    enum err e = postgres_command(p, "SET entrepot.org = '*'", NULL); /* and what is pending */
    p->org_state = ORG_ALL;
    if (e)
        return e;
    PQexitPipelineMode(p->pg);
    PGresult *r = PQexec(p->pg, z);
    ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY)
        e = postgres_trouble(p, r, "script");
    PQclear(r);
    PQenterPipelineMode(p->pg);
    return e;
}

static enum err read_time(struct db_conn *c, struct instant *now) {
    struct postgres *p = postgres_of(c);
    PGresult *r;
    int64_t start = clock_steady();
    conn_reset(c);
    p->n_pending = 0;
    enum err e = postgres_command(p, "SELECT clock_timestamp()", &r);
    if (e)
        return e;
    /* As of now: half of the way ago it was that. */
    if (PQntuples(r) == 1)
        now->us = value_instant(PQgetvalue(r, 0, 0)) + (clock_steady() - start) / 2;
    PQclear(r);
    return OK;
}

static enum err privileged(struct db_conn *c, bool *yes) {
    PGresult *r;
    conn_reset(c);
    enum err e = postgres_command(
        postgres_of(c), "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user", &r);
    if (e)
        return e;
    *yes = PQntuples(r) != 1 || PQgetvalue(r, 0, 0)[0] != 0;
    PQclear(r);
    return OK;
}

static int64_t upkeep(struct db_conn *c, bool idle) {
    (void)c, (void)idle;
    return 0;
}

/* In a transaction of its own, after the commit: PostgreSQL lets only one transaction with a notice commit at
 * a time, and that one would hold the others up for as long as the disk takes. */
static void announce(struct db_conn *c, struct str payload) {
    char text[80];
    snprintf(text, sizeof(text), "NOTIFY " CHANNEL ", '%.*s'", STR_FMT(payload));
    (void)postgres_tell(postgres_of(c), text);
}

static enum err listen_to(struct db_conn *c, int stop_fd, void (*heard)(void *arg, struct str payload),
                          void *arg) {
    struct postgres *p = postgres_of(c);
    enum err e = postgres_command(p, "LISTEN " CHANNEL, NULL);
    if (!e)
        heard(arg, (struct str){NULL, 0});
    while (!e) {
        struct pollfd f[2] = {{.fd = PQsocket(p->pg), .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
        if (poll(f, 2, -1) < 0)
            continue;
        if (f[1].revents)
            return OK;
        if (!PQconsumeInput(p->pg))
            return postgres_trouble(p, NULL, "listen");
        for (PGnotify *n; (n = PQnotifies(p->pg)); PQfreemem(n))
            heard(arg, str_of(n->extra));
    }
    return e;
}

const struct driver POSTGRES_DRIVER = {
    .shared = true,
    .writers = 4,
    .group_max = 64,
    .readers_max = 4,
    .attach = attach,
    .detach = detach,
    .open = open_conn,
    .close = close_conn,
    .alive = alive,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .savepoint = savepoint,
    .release = release,
    .rollback_to = rollback_to,
    .patient = patient,
    .run = postgres_run,
    .script = script,
    .check = postgres_check,
    .bulk_load = postgres_bulk_load,
    .time = read_time,
    .privileged = privileged,
    .upkeep = upkeep,
    .announce = announce,
    .listen = listen_to,
};
