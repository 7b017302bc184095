/* SQLite 3.40 by the system's library. What the code relies on, and the reasons:
 * - One process owns the file (a lock beside it), one connection writes, and only that one checkpoints, on
 * the lane's thread. Versions before 3.51.3 can corrupt a WAL database when two connections do these at the
 * same moment.
 * - WAL with synchronous=FULL: a commit is on the disk when it returns. */
#include "db/sqlite.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/banned.h"

#define WRITER_CACHE "-4000" /* KiB */
#define READER_CACHE "-1000"
#define BUSY_MS 1000 /* readers wait this long for recovery of the log at the start */

/* A checkpoint costs two syncs and the pages, so it waits for a quiet moment once the log has CHECKPOINT_SOFT
 * pages, and for nothing at CHECKPOINT_HARD. */
#define CHECKPOINT_SOFT 4000
#define CHECKPOINT_HARD 16000
#define CHECKPOINT_AGAIN 1000 /* pages more, when readers kept one from coming to the end */
#define QUIET_US 2000
#define RESTART_MS 20

struct place {
    char *path;
    int lock;
};

struct sqlite *sqlite_of(struct db_conn *c) {
    assert(c->driver == &SQLITE_DRIVER);
    return (struct sqlite *)c;
}

const char *sqlite_text(const struct stmt *st) { return st->text; }

static enum err take_lock(struct ctx *cx, const char *path, int *lock) {
    struct str name = str_printf(cx->mem, "%s.lock", path);
    char *z = name.p ? str_z(cx->mem, name) : NULL;
    if (!z)
        return fail(cx, ERR_MEMORY, "There is no memory to open the database.");
    int fd = open(z, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(cx, ERR_USAGE, "The database's folder cannot be written: %s: %s.", z, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *lock = fd;
        return OK;
    }
    close(fd);
    return fail(
        cx, ERR_UNAVAILABLE,
        "Another process has the database %s open; stop it, or use the commands that work beside a server.",
        path);
}

/* The folder may be shared with others, the file is ours alone; its log takes over the file's mode. */
static bool make_file(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static enum err attach(struct ctx *cx, struct str rest, void **place) {
    /* Before the library is first used; later calls are refused and change nothing. */
    (void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    struct place *p = calloc(1, sizeof(*p));
    if (!p || !(p->path = strndup(rest.p + 3, rest.n - 3))) {
        free(p);
        return fail(cx, ERR_MEMORY, "There is no memory to open the database.");
    }
    enum err e = take_lock(cx, p->path, &p->lock);
    if (!e && !make_file(p->path)) {
        e = fail(cx, ERR_USAGE, "The database %s cannot be written: %s.", p->path, strerror(errno));
        close(p->lock);
    }
    if (!e) {
        *place = p;
        return OK;
    }
    free(p->path);
    free(p);
    return e;
}

static void detach(void *place) {
    struct place *p = place;
    close(p->lock);
    free(p->path);
    free(p);
}

/* What a failed call means. After a failed sync nothing in memory can be trusted to be on the disk. */
enum err sqlite_trouble(struct sqlite *s, const char *what) {
    int code = sqlite3_extended_errcode(s->handle);
    enum err e = ERR_DATABASE;
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        e = ERR_MEMORY;
        break;
    case SQLITE_CONSTRAINT:
        e = ERR_CONFLICT;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        e = ERR_UNAVAILABLE;
        s->base.again = true;
        break;
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_MISUSE:
    case SQLITE_READONLY:
        e = ERR_INTERNAL;
        break;
    default:
        break;
    }
    if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC)
        die_unsynced(sqlite3_errmsg(s->handle));
    conn_fail(&s->base, e, "%s: %s (%d)", what, sqlite3_errmsg(s->handle), code);
    if (s->base.use == CONN_WRITE && sqlite3_get_autocommit(s->handle))
        s->base.gone = true;
    return e;
}

static const char *const FIXED_TEXT[FIXED] = {
    [FIXED_BEGIN] = "BEGIN",           [FIXED_COMMIT] = "COMMIT",     [FIXED_ROLLBACK] = "ROLLBACK",
    [FIXED_SAVEPOINT] = "SAVEPOINT c", [FIXED_RELEASE] = "RELEASE c", [FIXED_ROLLBACK_TO] = "ROLLBACK TO c",
};

static enum err run_fixed(struct sqlite *s, enum fixed f) {
    int rc = sqlite3_step(s->fixed[f]);
    enum err e = rc == SQLITE_DONE ? OK : sqlite_trouble(s, FIXED_TEXT[f]);
    sqlite3_reset(s->fixed[f]);
    return e;
}

static int on_commit(void *arg, sqlite3 *handle, const char *name, int pages) {
    (void)handle, (void)name;
    ((struct sqlite *)arg)->wal_pages = pages;
    return SQLITE_OK;
}

static bool pragma(struct sqlite *s, const char *text) {
    return sqlite3_exec(s->handle, text, NULL, NULL, NULL) == SQLITE_OK;
}

/* The first column of the only row. */
static bool pragma_is(struct sqlite *s, const char *text, const char *wanted) {
    sqlite3_stmt *st = NULL;
    bool is = false;
    if (sqlite3_prepare_v2(s->handle, text, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
        const char *got = (const char *)sqlite3_column_text(st, 0);
        is = got && str_eq(str_of(got), str_of(wanted));
    }
    sqlite3_finalize(st);
    return is;
}

static bool configure(struct sqlite *s) {
    sqlite3 *h = s->handle;
    bool writer = s->base.use == CONN_WRITE;
    sqlite3_extended_result_codes(h, 1);
    sqlite3_busy_timeout(h, BUSY_MS);
    if (sqlite3_db_config(h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) ||
        sqlite3_db_config(h, SQLITE_DBCONFIG_DQS_DML, 0, NULL) ||
        sqlite3_db_config(h, SQLITE_DBCONFIG_DQS_DDL, 0, NULL) ||
        sqlite3_db_config(h, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL) ||
        sqlite3_db_config(h, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL))
        return false;
    if (!pragma(s, writer ? "PRAGMA cache_size=" WRITER_CACHE : "PRAGMA cache_size=" READER_CACHE) ||
        !pragma(s, "PRAGMA mmap_size=0; PRAGMA secure_delete=OFF; PRAGMA temp_store=MEMORY"))
        return false;
    if (!writer)
        return pragma(s, "PRAGMA query_only=ON; PRAGMA wal_autocheckpoint=0");
    if (!pragma_is(s, "PRAGMA journal_mode=WAL", "wal") || !pragma(s, "PRAGMA journal_size_limit=67108864") ||
        !pragma(s, "PRAGMA synchronous=FULL") || !pragma_is(s, "PRAGMA synchronous", "2"))
        return false;
    sqlite3_wal_hook(h, on_commit, s);
    return sqlite_bulk_prepare(s);
}

static bool prepare_fixed(struct sqlite *s) {
    for (size_t f = 0; f < FIXED; f++) {
        /* The writer takes the lock at once: one that began by reading might be refused it later. */
        const char *text = f == FIXED_BEGIN && s->base.use == CONN_WRITE ? "BEGIN IMMEDIATE" : FIXED_TEXT[f];
        if (sqlite3_prepare_v3(s->handle, text, -1, SQLITE_PREPARE_PERSISTENT, &s->fixed[f], NULL) !=
            SQLITE_OK)
            return false;
    }
    return true;
}

static void free_prepared(void *prepared) {
    struct prepared *p = prepared;
    sqlite3_finalize(p->handle);
    free(p->columns);
    free(p);
}

static void close_conn(struct db_conn *c) {
    struct sqlite *s = sqlite_of(c);
    cache_clear(&s->cache, free_prepared);
    for (size_t f = 0; f < FIXED; f++)
        sqlite3_finalize(s->fixed[f]);
    sqlite3_close(s->handle); /* the last one checkpoints */
    free(s);
}

static enum err open_conn(void *place, enum conn_use use, struct db_conn **out, char *problem) {
    const struct place *p = place;
    struct sqlite *s = calloc(1, sizeof(*s));
    if (!s)
        return ERR_MEMORY;
    s->base = (struct db_conn){.driver = &SQLITE_DRIVER, .use = use};
    s->checkpoint_from = CHECKPOINT_SOFT;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (use == CONN_WRITE ? SQLITE_OPEN_CREATE : 0);
    if (sqlite3_open_v2(p->path, &s->handle, flags, NULL) == SQLITE_OK && configure(s) && prepare_fixed(s)) {
        *out = &s->base;
        return OK;
    }
    snprintf(problem, sizeof(s->base.problem), "%s: %s", p->path,
             s->handle ? sqlite3_errmsg(s->handle) : "no memory");
    close_conn(&s->base);
    return ERR_DATABASE;
}

static bool alive(struct db_conn *c) { return !c->lost; }

static enum err begin(struct db_conn *c) {
    conn_reset(c);
    return run_fixed(sqlite_of(c), FIXED_BEGIN);
}

static enum err commit(struct db_conn *c) {
    enum err e = run_fixed(sqlite_of(c), FIXED_COMMIT);
    if (!e && c->use == CONN_WRITE)
        assert(sqlite3_get_autocommit(sqlite_of(c)->handle));
    return e;
}

static void rollback(struct db_conn *c) {
    struct sqlite *s = sqlite_of(c);
    if (!sqlite3_get_autocommit(s->handle))
        (void)run_fixed(s, FIXED_ROLLBACK);
    conn_reset(c);
}

static enum err savepoint(struct db_conn *c) { return run_fixed(sqlite_of(c), FIXED_SAVEPOINT); }

static enum err release(struct db_conn *c) { return run_fixed(sqlite_of(c), FIXED_RELEASE); }

/* There are no limits of time here. */
static enum err patient(struct db_conn *c) {
    (void)c;
    return OK;
}

static enum err rollback_to(struct db_conn *c) {
    if (c->gone)
        return c->failed;
    conn_reset(c);
    enum err e = run_fixed(sqlite_of(c), FIXED_ROLLBACK_TO);
    return e ? e : run_fixed(sqlite_of(c), FIXED_RELEASE);
}

/* Which argument each of SQLite's parameters is: it numbers $n by first appearance. */
static bool map_args(struct prepared *p) {
    for (int i = 0; i < p->n; i++) {
        struct str name = str_of(sqlite3_bind_parameter_name(p->handle, i + 1));
        int64_t number = 0;
        if (str_eq(name, S("$org")))
            p->arg[i] = -1;
        else if (name.n > 1 && str_int(str_sub(name, 1, name.n), &number) && number >= 1 && number <= 999)
            p->arg[i] = (int)number - 1;
        else
            return false;
    }
    return true;
}

static enum err compile(struct sqlite *s, const struct stmt *st, struct prepared **out) {
    sqlite3_stmt *handle = NULL;
    if (sqlite3_prepare_v3(s->handle, sqlite_text(st), -1, SQLITE_PREPARE_PERSISTENT, &handle, NULL) !=
        SQLITE_OK)
        return sqlite_trouble(s, st->name);
    int n = sqlite3_bind_parameter_count(handle);
    struct prepared *p = calloc(1, sizeof(*p) + (size_t)n * sizeof(p->arg[0]));
    if (!p || !(p->columns = columns_new(st->row))) {
        sqlite3_finalize(handle);
        free(p);
        return conn_fail(&s->base, ERR_MEMORY, "%s: no memory to prepare it", st->name);
    }
    p->handle = handle;
    p->n = n;
    if (!map_args(p)) {
        free_prepared(p);
        return conn_fail(&s->base, ERR_INTERNAL, "%s: parameters are $org and $1 to $999", st->name);
    }
    if (st->row && (size_t)sqlite3_column_count(handle) != p->columns->n) {
        enum err e = conn_fail(&s->base, ERR_INTERNAL, "%s: %d columns come, its row has %zu", st->name,
                               sqlite3_column_count(handle), p->columns->n);
        free_prepared(p);
        return e;
    }
    *out = p;
    return OK;
}

enum err sqlite_prepare(struct sqlite *s, const struct stmt *st, struct prepared **out) {
    *out = cache_find(&s->cache, st);
    if (*out)
        return OK;
    struct prepared *p;
    enum err e = compile(s, st, &p);
    if (e)
        return e;
    if (!cache_add(&s->cache, st, p)) {
        free_prepared(p);
        return conn_fail(&s->base, ERR_MEMORY, "%s: no memory to keep it", st->name);
    }
    *out = p;
    return OK;
}

int sqlite_bind_arg(sqlite3_stmt *h, int i, const struct arg *a) {
    switch (a->kind) {
    case ARG_NULL:
        return sqlite3_bind_null(h, i);
    case ARG_BOOL:
    case ARG_INT:
    case ARG_INSTANT:
        return sqlite3_bind_int64(h, i, a->i);
    case ARG_STR:
        return sqlite3_bind_text64(h, i, a->s.p, a->s.n, SQLITE_STATIC, SQLITE_UTF8);
    case ARG_BYTES:
        return sqlite3_bind_blob64(h, i, a->b.p, a->b.n, SQLITE_STATIC);
    case ARG_UUID:
        return sqlite3_bind_blob(h, i, a->u.b, sizeof(a->u.b), SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

static enum err bind(struct sqlite *s, const struct prepared *p, const struct call *c,
                     const struct args *args) {
    for (int i = 0; i < p->n; i++) {
        int from = p->arg[i], rc;
        if (from < 0) {
            rc = sqlite3_bind_blob(p->handle, i + 1, c->cx->actor.org.b, sizeof(c->cx->actor.org.b),
                                   SQLITE_STATIC);
        } else {
            if ((size_t)from >= args->n)
                return conn_fail(&s->base, ERR_INTERNAL, "%s: argument $%d is missing", c->st->name,
                                 from + 1);
            rc = sqlite_bind_arg(p->handle, i + 1, &args->v[from]);
        }
        if (rc != SQLITE_OK)
            return sqlite_trouble(s, c->st->name);
    }
    return OK;
}

static bool read_value(sqlite3_stmt *h, int i, enum arg_kind wanted, struct arg *out) {
    int type = sqlite3_column_type(h, i);
    out->kind = type == SQLITE_NULL ? ARG_NULL : wanted;
    if (type == SQLITE_NULL)
        return true;
    switch (wanted) {
    case ARG_BOOL:
    case ARG_INT:
    case ARG_INSTANT:
        out->i = sqlite3_column_int64(h, i);
        return type == SQLITE_INTEGER;
    case ARG_STR: /* the pointer before the length: asking for it may convert */
        out->s.p = (const char *)sqlite3_column_text(h, i);
        out->s.n = (size_t)sqlite3_column_bytes(h, i);
        return type == SQLITE_TEXT && out->s.p;
    case ARG_BYTES:
    case ARG_UUID: {
        const unsigned char *p = sqlite3_column_blob(h, i);
        size_t n = (size_t)sqlite3_column_bytes(h, i);
        if (wanted == ARG_BYTES)
            out->b = (struct bytes){p ? p : (const unsigned char *)"", n};
        else if (n == sizeof(out->u.b))
            memcpy(out->u.b, p, n);
        return type == SQLITE_BLOB && (wanted == ARG_BYTES || n == sizeof(out->u.b));
    }
    case ARG_NULL:
        break;
    }
    return false;
}

#define COLUMNS_MAX 128

static enum err take_row(struct sqlite *s, const struct prepared *p, struct call *c) {
    struct arg values[COLUMNS_MAX];
    assert(p->columns->n <= COLUMNS_MAX);
    for (size_t i = 0; i < p->columns->n; i++)
        if (!read_value(p->handle, (int)i, p->columns->v[i].kind, &values[i]))
            return conn_fail(&s->base, ERR_INTERNAL, "%s: the type of column %s is not its field's",
                             c->st->name, sqlite3_column_name(p->handle, (int)i));
    return c->take(c, p->columns, values);
}

static enum err step(struct sqlite *s, const struct prepared *p, struct call *c) {
    bool reads = sqlite3_stmt_readonly(p->handle);
    int rc;
    c->changed = 0;
    while ((rc = sqlite3_step(p->handle)) == SQLITE_ROW) {
        c->changed++;
        enum err e = c->take && !(c->first_only && c->changed > 1) ? take_row(s, p, c) : OK;
        if (e)
            return e;
        if (c->first_only && reads)
            return OK;
    }
    if (rc != SQLITE_DONE)
        return sqlite_trouble(s, c->st->name);
    if (sqlite3_column_count(p->handle) == 0)
        c->changed = reads ? 0 : sqlite3_changes64(s->handle);
    return OK;
}

/* Outside a transaction a statement would commit itself. */
static enum err check_transaction(struct sqlite *s) {
    if (s->base.failed || !sqlite3_get_autocommit(s->handle))
        return s->base.failed;
    s->base.gone = true;
    return conn_fail(&s->base, ERR_DATABASE, "the transaction has ended");
}

static enum err run_call(struct sqlite *s, struct call *c) {
    struct prepared *p;
    int64_t changed = 0;
    enum err e = sqlite_prepare(s, c->st, &p);
    assert(e || !sqlite3_stmt_busy(p->handle)); /* a statement inside its own db_each */
    for (size_t i = 0; !e && i < (c->rows ? c->n_rows : 1); i++) {
        if ((e = bind(s, p, c, c->rows ? &c->rows[i] : &c->args)))
            return e;
        e = step(s, p, c);
        changed += c->changed;
        sqlite3_reset(p->handle);
    }
    c->changed = changed;
    return e;
}

static enum err run(struct db_conn *conn, struct call *calls, size_t n) {
    struct sqlite *s = sqlite_of(conn);
    enum err e = check_transaction(s);
    for (size_t i = 0; !e && i < n; i++)
        e = run_call(s, &calls[i]);
    return e;
}

static enum err script(struct db_conn *c, struct ctx *cx, struct str text) {
    char *z = str_z(cx->mem, text);
    if (!z)
        return conn_fail(c, ERR_MEMORY, "the script does not fit in memory");
    return pragma(sqlite_of(c), z) ? OK : sqlite_trouble(sqlite_of(c), "script");
}

static enum err check_one(struct db_conn *c, const struct stmt *st) {
    struct prepared *p;
    enum err e = compile(sqlite_of(c), st, &p);
    if (e)
        return e;
    for (size_t i = 0; !e && i < p->columns->n; i++)
        if (!column_named(p->columns, i, sqlite3_column_name(p->handle, (int)i)))
            e = conn_fail(c, ERR_INTERNAL, "%s: column %zu is %s, its field is %s", st->name, i + 1,
                          sqlite3_column_name(p->handle, (int)i), p->columns->v[i].field->name);
    free_prepared(p);
    return e;
}

static enum err check(struct db_conn *c, struct ctx *cx, const struct stmt *stmts, size_t n) {
    (void)cx;
    enum err e = OK;
    for (size_t i = 0; !e && i < n; i++)
        e = check_one(c, &stmts[i]);
    return e;
}

static enum err read_time(struct db_conn *c, struct instant *now) {
    (void)c;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    now->us = t.tv_sec * US_PER_S + t.tv_nsec / 1000;
    return OK;
}

static enum err privileged(struct db_conn *c, bool *yes) {
    (void)c;
    *yes = false; /* there are no users, and no row-level security */
    return OK;
}

static int64_t upkeep(struct db_conn *c, bool idle) {
    struct sqlite *s = sqlite_of(c);
    bool hard = s->wal_pages >= CHECKPOINT_HARD;
    if (s->wal_pages < s->checkpoint_from)
        return 0;
    if (!idle && !hard)
        return QUIET_US;
    int log = 0, done = 0;
    /* Readers that overlap without end would keep the log growing; at the hard limit they are waited for. */
    sqlite3_busy_timeout(s->handle, RESTART_MS);
    int rc = sqlite3_wal_checkpoint_v2(
        s->handle, NULL, hard ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, &log, &done);
    sqlite3_busy_timeout(s->handle, BUSY_MS);
    if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC)
        die_unsynced(sqlite3_errmsg(s->handle));
    if (rc == SQLITE_OK && log == done)
        s->wal_pages = 0, s->checkpoint_from = CHECKPOINT_SOFT;
    else
        s->checkpoint_from = s->wal_pages + CHECKPOINT_AGAIN;
    return 0;
}

const struct driver SQLITE_DRIVER = {
    .reads_inline = true,
    .writers = 1,
    .group_max = 256,
    .readers_max = 16,
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
    .run = run,
    .script = script,
    .check = check,
    .bulk_compare = sqlite_bulk_compare,
    .bulk_upsert = sqlite_bulk_upsert,
    .time = read_time,
    .privileged = privileged,
    .upkeep = upkeep,
};
