/* A bulk load on PostgreSQL: on a connection of its own all rows go into a temporary table by COPY, which
 * nobody waits for and nothing logs; then the table is locked against other writers (readers go on), what
 * differs is counted, and what is new or differs is written, in one transaction. The lock is why the count
 * holds for what follows, and why two loads cannot deadlock. */
#include "db/bulk_table.h"
#include "db/postgres.h"

#include "base/instant.h"

#include <stdio.h>
#include <string.h>

#include "base/banned.h"

#define CHUNK ((size_t)64 << 10) /* bytes handed to the library at a time */

struct copy {
    struct postgres *p;
    char *text;
    size_t n, cap;
    bool failed; /* no memory for a row */
};

static bool room(struct copy *c, size_t n) {
    if (c->cap - c->n >= n)
        return true;
    size_t cap = c->cap * 2 + n;
    char *text = realloc(c->text, cap);
    if (!text) {
        c->failed = true;
        return false;
    }
    c->text = text;
    c->cap = cap;
    return true;
}

/* COPY's text format: a backslash before what it would take for something else. */
static char *put_text(char *to, struct str s) {
    for (const char *p = s.p, *end = s.p + s.n; p < end; p++) {
        unsigned char at = (unsigned char)*p;
        if (at == '\\' || at == '\n' || at == '\r' || at == '\t') {
            *to++ = '\\';
            *to++ = (char)(at == '\n' ? 'n' : at == '\r' ? 'r' : at == '\t' ? 't' : '\\');
        } else {
            *to++ = (char)at;
        }
    }
    return to;
}

static char *put_cell(char *to, const struct arg *a) {
    char buf[40];
    struct str s;
    switch (a->kind) {
    case ARG_STR:
        return put_text(to, a->s);
    case ARG_BOOL:
        *to++ = a->i ? 't' : 'f';
        return to;
    case ARG_INT:
        return to + snprintf(to, 24, "%lld", (long long)a->i);
    case ARG_UUID:
        s = uuid_format(a->u, buf);
        break;
    case ARG_INSTANT:
        s = instant_format((struct instant){a->i}, buf);
        break;
    default: /* NULL; bytes do not come here */
        s = S("\\N");
    }
    memcpy(to, s.p, s.n);
    return to + s.n;
}

static bool put_row(struct copy *c, const struct arg *cells, size_t n) {
    size_t most = 0;
    for (size_t i = 0; i < n; i++)
        most += (cells[i].kind == ARG_STR ? 2 * cells[i].s.n : 40) + 1;
    if (!room(c, most))
        return false;
    char *to = c->text + c->n;
    for (size_t i = 0; i < n; i++) {
        to = put_cell(to, &cells[i]);
        *to++ = i + 1 < n ? '\t' : '\n';
    }
    c->n = (size_t)(to - c->text);
    return true;
}

static enum err send(struct copy *c) {
    bool good = c->n == 0 || PQputCopyData(c->p->pg, c->text, (int)c->n) == 1;
    c->n = 0;
    return good ? OK : postgres_trouble(c->p, NULL, "copy");
}

static enum err copy_rows(struct copy *c, struct ctx *cx, const struct bulk *b) {
    const struct arg *cells;
    size_t n, n_cells = b->table->n_cells;
    enum err e = b->rewind(cx, b->arg, b->from);
    while (!e && !(e = b->next(cx, b->arg, &cells, &n)) && n > 0)
        for (size_t i = 0; !e && i < n; i++) {
            if (!put_row(c, cells + i * n_cells, n_cells))
                return conn_fail(&c->p->base, ERR_MEMORY, "copy: a row does not fit in memory");
            if (c->n >= CHUNK)
                e = send(c);
        }
    return e ? e : send(c);
}

/* COPY does not go through a pipeline, and this connection has nothing else to do meanwhile. */
static enum err stage(struct postgres *p, struct ctx *cx, const struct bulk *b) {
    enum err e = postgres_command(p, b->table->stage, NULL);
    if (e || (e = postgres_drain(p)))
        return e;
    struct copy c = {.p = p};
    PQexitPipelineMode(p->pg);
    PQsetnonblocking(p->pg, 0);
    PGresult *r = PQexec(p->pg, b->table->copy);
    bool begun = PQresultStatus(r) == PGRES_COPY_IN;
    e = begun ? copy_rows(&c, cx, b) : postgres_trouble(p, r, "copy");
    PQclear(r);
    if (begun) {
        (void)PQputCopyEnd(p->pg, e ? "not all rows could be read" : NULL);
        while ((r = PQgetResult(p->pg))) {
            if (!e && PQresultStatus(r) != PGRES_COMMAND_OK)
                e = postgres_trouble(p, r, "copy");
            PQclear(r);
        }
    }
    free(c.text);
    PQsetnonblocking(p->pg, 1);
    PQenterPipelineMode(p->pg);
    return e;
}

static enum err take_counts(struct call *c, const struct columns *columns, const struct arg *values) {
    (void)columns;
    *(struct bulk_counts *)c->to = (struct bulk_counts){values[0].i, values[1].i, values[2].i};
    return OK;
}

static enum err run_one(struct postgres *p, struct ctx *cx, const struct stmt *st, struct args args,
                        struct bulk_counts *counts, int64_t *changed) {
    struct call c = {.cx = cx, .st = st, .args = args, .take = counts ? take_counts : NULL, .to = counts};
    enum err e = postgres_run(&p->base, &c, 1);
    if (!e && changed)
        *changed = c.changed;
    return e;
}

static enum err merge(struct postgres *p, struct ctx *cx, const struct bulk *b,
                      const struct bulk_counts *would) {
    struct bulk_counts did = {.unchanged = would->unchanged};
    enum err e = OK;
    if (would->updated > 0)
        e = run_one(p, cx, &b->table->update, b->stamps, NULL, &did.updated);
    if (!e && would->inserted > 0)
        e = run_one(p, cx, &b->table->insert, b->stamps, NULL, &did.inserted);
    if (e)
        return e;
    cx->db = &p->base;
    e = b->record(cx, b->arg, &did, true);
    cx->db = NULL;
    return e ? e : p->base.failed ? p->base.failed : p->base.driver->commit(&p->base);
}

static enum err load(struct postgres *p, struct ctx *cx, const struct bulk *b) {
    struct bulk_counts would = {0};
    const struct driver *d = p->base.driver;
    enum err e = d->begin(&p->base);
    if (e || (e = d->patient(&p->base)) || (e = postgres_command(p, "SET LOCAL lock_timeout = 0", NULL)) ||
        (e = postgres_command(p, "SET LOCAL idle_in_transaction_session_timeout = 0", NULL)) ||
        (e = stage(p, cx, b)) || (e = postgres_command(p, "ANALYZE staged", NULL)))
        return e;
    if (!b->dry && (e = postgres_command(p, b->table->lock, NULL)))
        return e;
    if ((e = run_one(p, cx, &b->table->count, (struct args){0}, &would, NULL)) ||
        (b->decide && b->from == 0 && (e = b->decide(cx, b->arg, &would))))
        return e;
    return b->dry ? OK : merge(p, cx, b, &would);
}

enum err postgres_bulk_load(void *place, struct ctx *cx, const struct bulk *b) {
    struct db_conn *c;
    char problem[sizeof(c->problem)] = "no memory";
    enum err e = POSTGRES_DRIVER.open(place, CONN_WRITE, &c, problem);
    if (e)
        return fail_cause(cx, e, "%s", problem);
    e = load(postgres_of(c), cx, b);
    if (e && c->failed)
        e = conn_report(cx, c, c->failed);
    if (e)
        POSTGRES_DRIVER.rollback(c);
    POSTGRES_DRIVER.close(c);
    return e;
}
