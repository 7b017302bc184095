/* The surface of db.h: statements on the connection of a context, reads, opening and closing. */
#include "db/state.h"

#include "base/instant.h"

#include <assert.h>
#include <sodium.h>
#include <unistd.h>

#include "base/banned.h"

/* "postgresql+asyncpg://…": the suffix names a driver of another language and is passed over. */
static const struct driver *driver_of(struct str url, struct str *rest) {
    struct str scheme, suffix;
    if (!str_cut(url, ':', &scheme, rest))
        return NULL;
    (void)str_cut(scheme, '+', &scheme, &suffix);
    if (str_eq(scheme, S("sqlite")))
        return str_starts(*rest, S("///")) && rest->n > 3 ? &SQLITE_DRIVER : NULL;
    bool postgres = str_eq(scheme, S("postgresql")) || str_eq(scheme, S("postgres"));
    return postgres && str_starts(*rest, S("//")) ? &POSTGRES_DRIVER : NULL;
}

bool db_url_valid(struct str url) {
    struct str rest;
    return driver_of(url, &rest) != NULL;
}

static struct db *new_db(const struct ctx *cx, const struct driver *driver) {
    struct db *db = calloc(1, sizeof(*db));
    if (!db)
        return NULL;
    db->driver = driver;
    db->metrics = cx->modules ? cx->modules->metrics : NULL;
    db->listener_stop = -1;
    randombytes_buf(&db->identity, sizeof(db->identity));
    pool_init(&db->pool);
    pthread_mutex_init(&db->hook_lock, NULL);
    for (size_t i = 0; i < driver->writers; i++)
        lane_init(&db->writers[i], db);
    return db;
}

/* The main writer opens with the database: it makes the file, and shows at once whether a server can be
 * reached. */
static enum err open_main(struct ctx *cx, struct db *db) {
    char problem[sizeof(db->writers[0].problem)] = "no memory";
    struct instant now;
    enum err e = db->driver->open(db->place, CONN_WRITE, &db->writers[0].conn, problem);
    if (e)
        return fail(cx, e, "The database cannot be opened: %s.", problem);
    if ((e = db->driver->time(db->writers[0].conn, &now)))
        return conn_report(cx, db->writers[0].conn, e);
    time_set(db, now);
    return OK;
}

enum err db_open(struct ctx *cx, struct str url, struct str data, struct db **out) {
    struct str rest;
    if (url.n == 0)
        url = str_printf(cx->mem, "sqlite:///%.*s/entrepot.db", STR_FMT(data));
    const struct driver *driver = driver_of(url, &rest);
    if (!driver)
        return fail(cx, ERR_USAGE,
                    "DATABASE_URL must be sqlite:///relative.db, sqlite:////absolute.db or postgresql://…");
    struct db *db = new_db(cx, driver);
    if (!db)
        return fail(cx, ERR_MEMORY, "There is no memory to open the database.");
    enum err e = driver->attach(cx, rest, &db->place);
    if (!e)
        e = open_main(cx, db);
    if (e)
        db_close(db);
    else
        *out = db;
    return e;
}

void db_close(struct db *db) {
    notice_done(db);
    watch_done(db);
    pool_done(db); /* before the writer: SQLite's last connection checkpoints */
    for (size_t i = 0; i < db->driver->writers; i++)
        lane_done(&db->writers[i]);
    if (db->place)
        db->driver->detach(db->place);
    pthread_mutex_destroy(&db->hook_lock);
    free(db);
}

enum err db_read_begin(struct ctx *cx) {
    assert(!cx->db);
    struct db_conn *c;
    enum err e = pool_take(cx, cx->database, &c);
    if (e)
        return e;
    if ((e = c->driver->begin(c))) {
        (void)conn_report(cx, c, e);
        pool_give(cx->database, c);
        return e;
    }
    cx->db = c;
    return OK;
}

void db_read_end(struct ctx *cx) {
    struct db_conn *c = cx->db;
    if (!c)
        return;
    assert(c->use == CONN_READ);
    if (c->failed || c->driver->commit(c))
        c->driver->rollback(c);
    pool_give(cx->database, c);
    cx->db = NULL;
}

enum err db_patient(struct ctx *cx) {
    assert(cx->db);
    enum err e = cx->db->driver->patient(cx->db);
    return e ? conn_report(cx, cx->db, e) : OK;
}

enum err db_attempt(struct ctx *cx, enum err (*run)(struct ctx *cx, void *arg), void *arg) {
    struct db_conn *c = cx->db;
    assert(c && c->use == CONN_WRITE);
    if (c->driver->savepoint(c))
        return conn_report(cx, c, c->failed);
    enum err outcome = run(cx, arg);
    if (!outcome && c->failed)
        outcome = conn_report(cx, c, c->failed);
    if (c->gone || c->again) /* not to be gone on with; all of it is run again, or nothing */
        return outcome;
    if (outcome ? c->driver->rollback_to(c) : c->driver->release(c))
        return conn_report(cx, c, c->failed);
    return outcome;
}

bool db_reads_inline(const struct db *db) { return db->driver->reads_inline; }

static bool fits(const struct call *c) {
    bool good = !c->args.n || c->args.v;
    for (size_t i = 0; i < c->n_rows; i++)
        good = good && (!c->rows[i].n || c->rows[i].v);
    return good;
}

static enum err run(struct ctx *cx, struct call *calls, size_t n) {
    struct db_conn *c = cx->db;
    assert(c);
    for (size_t i = 0; i < n; i++)
        if (!fits(&calls[i]))
            return fail(cx, ERR_MEMORY, "The statement does not fit in memory.");
    enum err e = c->driver->run(c, calls, n);
    /* An error of a row's reader or of a caller's function stands in the context already. */
    return e && c->failed ? conn_report(cx, c, c->failed) : e;
}

static struct call call_of(struct ctx *cx, const struct stmt *st, struct args args) {
    return (struct call){.cx = cx, .st = st, .args = args};
}

enum err db_exec(struct ctx *cx, const struct stmt *st, struct args args, int64_t *changed) {
    struct call c = call_of(cx, st, args);
    enum err e = run(cx, &c, 1);
    if (!e && changed)
        *changed = c.changed;
    return e;
}

enum err db_tell(struct ctx *cx, const struct stmt *st, struct args args) {
    struct call c = call_of(cx, st, args);
    c.told = true;
    return run(cx, &c, 1);
}

enum err db_tell_rows(struct ctx *cx, const struct stmt *st, const struct args *rows, size_t n) {
    struct call c = {.cx = cx, .st = st, .rows = rows, .n_rows = n, .told = true};
    return n ? run(cx, &c, 1) : OK;
}

static enum err take_first(struct call *c, const struct columns *columns, const struct arg *values) {
    if (c->changed > 1)
        return OK;
    memset(c->to, 0, columns->size);
    return columns_read(c->cx, columns, values, c->to);
}

enum err db_get(struct ctx *cx, const struct stmt *st, struct args args, void *row, bool *found) {
    assert(st->row);
    struct call c = call_of(cx, st, args);
    c.take = take_first;
    c.to = row;
    c.first_only = true;
    enum err e = run(cx, &c, 1);
    if (!e)
        *found = c.changed > 0;
    return e;
}

struct each {
    void *row, *arg;
    db_each_fn *fn;
};

static enum err take_each(struct call *c, const struct columns *columns, const struct arg *values) {
    struct each *each = c->to;
    memset(each->row, 0, columns->size);
    enum err e = columns_read(c->cx, columns, values, each->row);
    return e ? e : each->fn(c->cx, each->row, each->arg);
}

enum err db_each(struct ctx *cx, const struct stmt *st, struct args args, db_each_fn *fn, void *arg) {
    assert(st->row);
    struct each each = {arena_alloc(cx->mem, st->row->size), arg, fn};
    struct call c = call_of(cx, st, args);
    c.take = take_each;
    c.to = &each;
    return each.row ? run(cx, &c, 1) : fail(cx, ERR_MEMORY, "The row does not fit in memory.");
}

#define LIST_FIRST 16
struct growing {
    struct list list;
    size_t cap;
};

static bool grow(struct ctx *cx, struct growing *g, size_t size) {
    size_t cap = g->cap ? g->cap * 2 : LIST_FIRST;
    if (!g->list.items || !arena_extend(cx->mem, g->list.items, g->cap * size, cap * size)) {
        void *items = arena_alloc_n(cx->mem, size, cap);
        if (!items)
            return false;
        if (g->list.n)
            memcpy(items, g->list.items, g->list.n * size);
        g->list.items = items;
    }
    g->cap = cap;
    return true;
}

static enum err take_listed(struct call *c, const struct columns *columns, const struct arg *values) {
    struct growing *g = c->to;
    if (g->list.n == g->cap && !grow(c->cx, g, columns->size))
        return fail(c->cx, ERR_MEMORY, "The rows do not fit in memory.");
    enum err e = columns_read(c->cx, columns, values, (char *)g->list.items + g->list.n * columns->size);
    if (!e)
        g->list.n++;
    return e;
}

enum err db_list(struct ctx *cx, const struct stmt *st, struct args args, struct list *rows) {
    assert(st->row);
    struct growing g = {0};
    struct call c = call_of(cx, st, args);
    c.take = take_listed;
    c.to = &g;
    if (!grow(cx, &g, st->row->size))
        return fail(cx, ERR_MEMORY, "The rows do not fit in memory.");
    enum err e = run(cx, &c, 1);
    if (!e)
        *rows = g.list;
    return e;
}

enum err db_steps(struct ctx *cx, struct step *steps, size_t n) {
    struct call *calls = NEW_N(cx->mem, struct call, n);
    if (!calls)
        return fail(cx, ERR_MEMORY, "The statements do not fit in memory.");
    for (size_t i = 0; i < n; i++) {
        calls[i] = call_of(cx, steps[i].st, steps[i].args);
        calls[i].rows = steps[i].rows;
        calls[i].n_rows = steps[i].n_rows;
        calls[i].to = steps[i].row;
        calls[i].take = steps[i].row ? take_first : NULL;
    }
    enum err e = run(cx, calls, n);
    for (size_t i = 0; !e && i < n; i++)
        steps[i].changed = calls[i].changed;
    return e;
}

enum err db_ping(struct db *db) {
    struct arena *mem = arena_new(1 << 16);
    struct ctx cx = {.mem = mem, .database = db};
    struct db_conn *c;
    struct instant now;
    enum err e = mem ? pool_take(&cx, db, &c) : ERR_MEMORY;
    if (!e) {
        e = db->driver->time(c, &now);
        if (!e && db->driver->shared)
            time_set(db, now);
        pool_give(db, c);
    }
    arena_free(mem);
    return e;
}

void time_set(struct db *db, struct instant now) { atomic_store(&db->time_offset, now.us - clock_steady()); }

struct instant db_time(struct db *db) {
    return (struct instant){atomic_load(&db->time_offset) + clock_steady()};
}

enum err db_refuse_superuser(struct ctx *cx) {
    struct db_conn *c;
    bool yes = false;
    enum err e = pool_take(cx, cx->database, &c);
    if (e)
        return e;
    if ((e = c->driver->privileged(c, &yes)))
        (void)conn_report(cx, c, e);
    pool_give(cx->database, c);
    return e || !yes ? e
                     : fail(cx, ERR_USAGE,
                            "DATABASE_URL names a superuser or a role with BYPASSRLS, for whom row-level"
                            " security does not hold; make a role of its own for entrepot.");
}

enum err db_check_stmts(struct ctx *cx, const struct stmt *stmts, size_t n) {
    struct db_conn *c;
    enum err e = n ? pool_take(cx, cx->database, &c) : OK;
    if (e || !n)
        return e;
    for (size_t i = 0; i < n; i++) {
        assert((stmts[i].scope == TENANT) == (strstr(stmts[i].text, "$org") != NULL));
        assert(!stmts[i].postgres ||
               (stmts[i].scope == TENANT) == (strstr(stmts[i].postgres, "$org") != NULL));
    }
    conn_reset(c);
    if ((e = c->driver->check(c, cx, stmts, n)))
        e = conn_report(cx, c, e);
    pool_give(cx->database, c);
    return e;
}
