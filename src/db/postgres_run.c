#include "db/postgres.h"

#include "base/instant.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/banned.h"

/* Longer than statement_timeout: then the server is not there any more. */
#define ANSWER_US (40 * US_PER_S)

struct meaning {
    const char *state; /* SQLSTATE, or the beginning of it */
    enum err err;
    bool gone, again, lost;
};
/* The first that fits. "gone" for what a savepoint could take back in theory: a group that met it is better
 * run again one by one, without the locks that it holds. */
static const struct meaning MEANINGS[] = {
    {"23", ERR_CONFLICT, false, false, false},      /* a constraint */
    {"22", ERR_INVALID, false, false, false},       /* a value that its type cannot hold */
    {"40", ERR_UNAVAILABLE, true, true, false},     /* serialization failure, deadlock */
    {"55P03", ERR_UNAVAILABLE, true, true, false},  /* lock_timeout */
    {"57014", ERR_UNAVAILABLE, true, false, false}, /* statement_timeout */
    {"57P", ERR_DATABASE, true, true, true},        /* shutdown, or an administrator ended the connection */
    {"25P03", ERR_DATABASE, true, true, true},      /* idle in transaction for too long */
    {"08", ERR_DATABASE, true, true, true},         /* the connection */
    {"53", ERR_DATABASE, true, false, false},       /* disk full, out of memory, too many connections */
    {"0A000", ERR_INTERNAL, true, true, true}, /* a plan from before a migration: a new connection has none */
    {"42", ERR_INTERNAL, false, false, false}, /* the statement does not fit the schema */
    {"", ERR_DATABASE, false, false, false},
};

enum err postgres_trouble(struct postgres *p, const PGresult *result, const char *what) {
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *text = result ? PQresultErrorMessage(result) : PQerrorMessage(p->pg);
    const struct meaning *m = MEANINGS;
    if (!state)
        state = "08000";
    while (!str_starts(str_of(state), str_of(m->state)))
        m++;
    struct str line = str_of(text), rest;
    (void)str_cut(line, '\n', &line, &rest);
    conn_fail(&p->base, m->err, "%s: %.*s (%s)", what, STR_FMT(line), state);
    p->base.gone |= m->gone;
    p->base.again |= m->again;
    p->base.lost |= m->lost || PQstatus(p->pg) == CONNECTION_BAD;
    if (p->base.lost)
        p->base.gone = p->base.again = true;
    return p->base.failed;
}

/* Sends what is buffered, reads what has come. False: the connection is no more, or silent. */
static bool exchange(struct postgres *p) {
    int64_t until = clock_steady() + ANSWER_US;
    for (;;) {
        int unsent = PQflush(p->pg);
        if (unsent < 0)
            return false;
        if (!unsent && !PQisBusy(p->pg))
            return true;
        struct pollfd f = {.fd = PQsocket(p->pg), .events = (short)(POLLIN | (unsent ? POLLOUT : 0))};
        int64_t left = p->patient ? ANSWER_US : until - clock_steady();
        if (left <= 0 || (poll(&f, 1, (int)(left / 1000 + 1)) < 0 && errno != EINTR))
            return false;
        if (f.revents & (POLLIN | POLLHUP | POLLERR) && !PQconsumeInput(p->pg))
            return false;
    }
}

static enum err lost(struct postgres *p) {
    enum err e = postgres_trouble(p, NULL, "connection");
    p->base.lost = p->base.gone = p->base.again = true;
    return e;
}

enum err postgres_drain(struct postgres *p) {
    while (p->due > 0) {
        if (!exchange(p))
            return lost(p);
        PGresult *r = PQgetResult(p->pg);
        if (r && PQresultStatus(r) == PGRES_PIPELINE_SYNC)
            p->due--;
        PQclear(r);
        if (PQstatus(p->pg) == CONNECTION_BAD)
            return lost(p);
    }
    return OK;
}

const char POSTGRES_XID[] = "SELECT pg_current_xact_id()::text";

static bool queue_text(struct postgres *p, const char *text) {
    p->order[p->n_order++] = text == POSTGRES_XID ? THE_XID : NO_CALL;
    return PQsendQueryParams(p->pg, text, 0, NULL, NULL, NULL, NULL, 1);
}

/* What is pending, and what must be true on the server before anything else is: the transaction. */
static bool queue_pending(struct postgres *p) {
    bool good = true;
    for (size_t i = 0; i < p->n_pending; i++)
        good = good && queue_text(p, p->pending[i]);
    p->begun = p->begun || p->n_pending > 0;
    p->n_pending = 0;
    return good;
}

/* Ends the batch and reads its answers; results gets those of calls (NULL: they are dropped). The first error
 * counts: what follows it in the batch has not been run. */
static enum err collect(struct postgres *p, PGresult **results, const char *what) {
    enum err e = OK;
    if (!PQpipelineSync(p->pg))
        return lost(p);
    if ((e = postgres_drain(p)))
        return e;
    for (size_t i = 0; i < p->n_order; i++) {
        PGresult *r = exchange(p) ? PQgetResult(p->pg) : NULL;
        ExecStatusType status = PQresultStatus(r);
        if (!r)
            return lost(p);
        if (!e && status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
            e = postgres_trouble(p, r, what);
            if (p->order[i] < 0)
                p->base.gone = true; /* a transaction that cannot even begin, or end a savepoint */
        }
        if (!e && p->order[i] == THE_XID)
            snprintf(p->xid, sizeof(p->xid), "%s", PQgetvalue(r, 0, 0));
        if (results && p->order[i] >= 0)
            results[p->order[i]] = r;
        else
            PQclear(r);
        if (PQstatus(p->pg) == CONNECTION_BAD || !exchange(p))
            return lost(p);
        PQclear(PQgetResult(p->pg)); /* NULL: the end of this command's results */
    }
    p->n_order = 0;
    PGresult *sync = exchange(p) ? PQgetResult(p->pg) : NULL;
    bool good = PQresultStatus(sync) == PGRES_PIPELINE_SYNC;
    PQclear(sync);
    return good ? e : lost(p);
}

enum err postgres_settle(struct postgres *p) {
    return p->n_order ? collect(p, NULL, "a statement before") : OK;
}

enum err postgres_command(struct postgres *p, const char *text, PGresult **out) {
    PGresult *r = NULL;
    bool sent = queue_pending(p) && queue_text(p, text);
    p->order[p->n_order - 1] = 0;
    enum err e = sent ? collect(p, &r, text) : lost(p);
    if (e || !out)
        PQclear(r);
    else
        *out = r;
    return e;
}

enum err postgres_tell(struct postgres *p, const char *text) {
    bool sent = queue_pending(p) && queue_text(p, text) && PQpipelineSync(p->pg) && PQflush(p->pg) >= 0;
    p->n_order = 0;
    p->due += sent;
    return sent ? OK : lost(p);
}

/* $org becomes the parameter after the last. */
static bool translate(struct arena *mem, const char *text, struct str *out, size_t *n, bool *has_org) {
    struct buf b = buf_new(mem, 1 << 16);
    size_t most = 0;
    *has_org = false;
    for (const char *p = text; *p; p++) {
        if (p[0] != '$' || p[1] < '0' || p[1] > '9')
            continue;
        size_t k = 0;
        while (p[1] >= '0' && p[1] <= '9')
            k = k * 10 + (size_t)(*++p - '0');
        most = k > most ? k : most;
    }
    for (const char *p = text; *p; p++) {
        if (strncmp(p, "$org", 4) == 0) {
            buf_printf(&b, "$%zu", most + 1);
            *has_org = true;
            p += 3;
        } else {
            buf_byte(&b, *p);
        }
    }
    buf_byte(&b, '\0');
    *n = most + *has_org;
    *out = buf_str(&b);
    return !b.failed && *n <= PARAMS_MAX;
}

void postgres_free_prepared(void *prepared) {
    struct prepared *r = prepared;
    if (!r)
        return;
    free(r->parameters);
    free(r->types);
    free(r->columns);
    free(r);
}

static struct prepared *new_prepared(struct postgres *p, const struct stmt *st, size_t n, bool has_org) {
    struct prepared *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    snprintf(r->name, sizeof(r->name), "s%u", p->names++);
    r->n = n;
    r->parameters = calloc(n + 1, sizeof(*r->parameters));
    r->columns = columns_new(st->row);
    r->types = r->columns ? calloc(r->columns->n + 1, sizeof(*r->types)) : NULL;
    if (!r->parameters || !r->types) {
        postgres_free_prepared(r);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        r->parameters[i].arg = has_org && i + 1 == n ? -1 : (int)i;
    return r;
}

/* Takes over what the server inferred. A statement without row may return columns: they are counted. */
static enum err describe(struct postgres *p, const struct stmt *st, struct prepared *r, const PGresult *d) {
    if ((size_t)PQnparams(d) != r->n)
        return conn_fail(&p->base, ERR_INTERNAL, "%s: it has %d parameters, %zu are named", st->name,
                         PQnparams(d), r->n);
    for (size_t i = 0; i < r->n; i++)
        r->parameters[i].type = PQparamtype(d, (int)i);
    if (st->row && (size_t)PQnfields(d) != r->columns->n)
        return conn_fail(&p->base, ERR_INTERNAL, "%s: %d columns come, its row has %zu", st->name,
                         PQnfields(d), r->columns->n);
    for (size_t i = 0; i < r->columns->n; i++) {
        r->types[i] = PQftype(d, (int)i);
        if (!column_named(r->columns, i, PQfname(d, (int)i)))
            return conn_fail(&p->base, ERR_INTERNAL, "%s: column %zu is %s, its field is %s", st->name, i + 1,
                             PQfname(d, (int)i), r->columns->v[i].field->name);
    }
    return OK;
}

static enum err queue_prepare(struct postgres *p, struct arena *mem, const struct stmt *st,
                              struct prepared **out) {
    struct str text;
    size_t n;
    bool has_org;
    if (!translate(mem, st->postgres ? st->postgres : st->text, &text, &n, &has_org))
        return conn_fail(&p->base, ERR_INTERNAL, "%s: too long, or too many parameters", st->name);
    if (!(*out = new_prepared(p, st, n, has_org)))
        return conn_fail(&p->base, ERR_MEMORY, "%s: no memory to prepare it", st->name);
    if (!PQsendPrepare(p->pg, (*out)->name, text.p, 0, NULL) || !PQsendDescribePrepared(p->pg, (*out)->name))
        return lost(p);
    return OK;
}

/* The statement whose preparation the batch stopped at. */
static enum err find_failed(struct postgres *p, const struct stmt *const *stmts, PGresult **results,
                            size_t n) {
    for (size_t i = 0; i < n; i++)
        if (PQresultStatus(results[2 * i]) != PGRES_COMMAND_OK)
            return postgres_trouble(p, results[2 * i], stmts[i]->name);
    return p->base.failed;
}

/* Prepares up to half a batch of statements, each two commands, in one round trip. */
static enum err prepare_some(struct postgres *p, struct arena *mem, const struct stmt *const *stmts,
                             size_t n) {
    struct prepared *made[BATCH_MAX] = {0};
    PGresult *results[2 * BATCH_MAX] = {0};
    enum err e = postgres_settle(p);
    for (size_t i = 0; !e && i < n; i++) {
        e = queue_prepare(p, mem, stmts[i], &made[i]);
        p->order[p->n_order++] = (int16_t)(2 * i);
        p->order[p->n_order++] = (int16_t)(2 * i + 1);
    }
    if (e && p->n_order > 0)
        p->base.lost = p->base.gone =
            true; /* the batch is half sent: nothing can be said on this connection */
    else if (!e && (e = collect(p, results, "prepare")) && !p->base.lost)
        e = find_failed(p, stmts, results, n);
    for (size_t i = 0; !e && i < n; i++)
        if (!(e = describe(p, stmts[i], made[i], results[2 * i + 1]))) {
            e = cache_add(&p->cache, stmts[i], made[i])
                    ? OK
                    : conn_fail(&p->base, ERR_MEMORY, "%s: no memory", stmts[i]->name);
            made[i] = e ? made[i] : NULL;
        }
    for (size_t i = 0; i < n; i++)
        postgres_free_prepared(made[i]);
    for (size_t i = 0; i < 2 * n; i++)
        PQclear(results[i]);
    return e;
}

static bool listed(const struct stmt *const *stmts, size_t n, const struct stmt *st) {
    for (size_t i = 0; i < n; i++)
        if (stmts[i] == st)
            return true;
    return false;
}

static enum err prepare_calls(struct postgres *p, const struct call *calls, size_t n) {
    const struct stmt *missing[BATCH_MAX];
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (!cache_find(&p->cache, calls[i].st) && !listed(missing, count, calls[i].st))
            missing[count++] = calls[i].st;
    return count ? prepare_some(p, calls[0].cx->mem, missing, count) : OK;
}

enum err postgres_check(struct db_conn *c, struct ctx *cx, const struct stmt *stmts, size_t n) {
    enum err e = OK;
    for (size_t at = 0; !e && at < n;) {
        const struct stmt *some[BATCH_MAX];
        size_t count = 0;
        for (; at < n && count < BATCH_MAX; at++)
            if (!cache_find(&postgres_of(c)->cache, &stmts[at]))
                some[count++] = &stmts[at];
        e = count ? prepare_some(postgres_of(c), cx->mem, some, count) : OK;
    }
    return e;
}

/* The organisation that row-level security goes by, where the server has another. */
static bool queue_org(struct postgres *p, const struct call *c) {
    const struct uuid *org = &c->cx->actor.org;
    char text[80], id[36];
    if (c->st->scope == SYSTEM ? p->org_state == ORG_ALL : p->org_state == ORG_ONE && uuid_eq(p->org, *org))
        return true;
    struct str value = c->st->scope == SYSTEM ? S("*") : uuid_format(*org, id);
    snprintf(text, sizeof(text), "SET entrepot.org = '%.*s'", STR_FMT(value));
    p->org_state = c->st->scope == SYSTEM ? ORG_ALL : ORG_ONE;
    p->org = *org;
    return queue_text(p, text);
}

/* One parameter of a call: the organisation, an argument, or for rows the array of that argument. */
static enum err encode(struct postgres *p, const struct call *c, const struct parameter *to,
                       unsigned char slot[VALUE_SIZE], const char **value, int *length) {
    if (to->arg < 0) {
        *value = (const char *)c->cx->actor.org.b;
        *length = sizeof(c->cx->actor.org.b);
        return OK;
    }
    size_t from = (size_t)to->arg;
    if (!c->rows && from >= c->args.n)
        return conn_fail(&p->base, ERR_INTERNAL, "%s: argument $%zu is missing", c->st->name, from + 1);
    bool good = c->rows ? value_encode_rows(c->cx->mem, to->type, c->rows, c->n_rows, from, value, length)
                        : value_encode(c->cx->mem, to->type, &c->args.v[from], slot, value, length);
    return good ? OK
                : conn_fail(&p->base, ERR_INTERNAL, "%s: argument $%zu does not fit type %u, or memory",
                            c->st->name, from + 1, to->type);
}

static enum err queue_call(struct postgres *p, const struct call *c, int16_t index) {
    const struct prepared *r = cache_find(&p->cache, c->st);
    unsigned char slots[PARAMS_MAX][VALUE_SIZE];
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX], formats[PARAMS_MAX];
    enum err e = OK;
    for (size_t i = 0; !e && i < r->n; i++) {
        formats[i] = 1;
        e = encode(p, c, &r->parameters[i], slots[i], &values[i], &lengths[i]);
    }
    if (e)
        return e;
    if (!queue_org(p, c))
        return lost(p);
    p->order[p->n_order++] = index;
    return PQsendQueryPrepared(p->pg, r->name, (int)r->n, values, lengths, formats, 1) ? OK : lost(p);
}

static enum err take_rows(struct postgres *p, struct call *c, const PGresult *res) {
    const struct prepared *r = cache_find(&p->cache, c->st);
    struct arg values[PARAMS_MAX];
    int rows = PQntuples(res);
    int64_t changed = 0;
    if (PQresultStatus(res) == PGRES_COMMAND_OK &&
        !str_int(str_of(PQcmdTuples((PGresult *)(uintptr_t)res)), &changed))
        changed = 0;
    c->changed = changed;
    assert(r->columns->n <= PARAMS_MAX);
    for (int row = 0; row < rows; row++) {
        c->changed++;
        for (size_t i = 0; c->take && i < r->columns->n; i++) {
            values[i].kind = ARG_NULL;
            if (!PQgetisnull(res, row, (int)i) &&
                !value_decode(r->types[i], r->columns->v[i].kind, PQgetvalue(res, row, (int)i),
                              PQgetlength(res, row, (int)i), &values[i]))
                return conn_fail(&p->base, ERR_INTERNAL, "%s: column %s of type %u is not its field's",
                                 c->st->name, PQfname(res, (int)i), r->types[i]);
        }
        enum err e = c->take && !(c->first_only && row > 0) ? c->take(c, r->columns, values) : OK;
        if (e)
            return e;
    }
    return OK;
}

static const char *batch_name(const struct call *calls, size_t n) {
    return n == 1 ? calls[0].st->name : "statements";
}

static enum err run_batch(struct postgres *p, struct call *calls, size_t n) {
    PGresult *results[BATCH_MAX] = {0};
    enum err e = prepare_calls(p, calls, n);
    if (e)
        return e;
    e = queue_pending(p) ? OK : lost(p);
    for (size_t i = 0; !e && i < n; i++)
        e = queue_call(p, &calls[i], (int16_t)i);
    if (!e) {
        e = collect(p, results, batch_name(calls, n));
    } else if (!p->base.lost) {
        /* What was queued before the bad call runs, and is taken back with the closure. */
        char problem[sizeof(p->base.problem)];
        memcpy(problem, p->base.problem, sizeof(problem));
        if (collect(p, results, "statements") == OK)
            memcpy(p->base.problem, problem, sizeof(problem));
        p->base.failed = e;
    }
    for (size_t i = 0; !e && i < n; i++)
        e = take_rows(p, &calls[i], results[i]);
    for (size_t i = 0; i < n; i++)
        PQclear(results[i]);
    return e;
}

/* Stays in the library's buffer. */
static enum err tell(struct postgres *p, const struct call *c) {
    enum err e = p->n_order < TOLD_MAX ? OK : postgres_settle(p);
    if (!e)
        e = prepare_calls(p, c, 1);
    if (!e && !queue_pending(p))
        e = lost(p);
    return e ? e : queue_call(p, c, NO_CALL);
}

enum err postgres_run(struct db_conn *c, struct call *calls, size_t n) {
    enum err e = c->failed;
    if (!e && n == 1 && calls->told)
        return tell(postgres_of(c), calls);
    for (size_t at = 0; !e && at < n; at += BATCH_MAX)
        e = run_batch(postgres_of(c), calls + at, n - at < BATCH_MAX ? n - at : BATCH_MAX);
    return e;
}
