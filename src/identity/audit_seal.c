#include "identity/audit_seal.h"

#include "identity/audit_chain.h"

#include "base/log.h"
#include "base/module.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/banned.h"

#define LEASE_US (10 * US_PER_S)
#define SETTLE_US (2 * US_PER_S) /* how long to wait for transactions that were under way */
#define SETTLE_STEP_US (5 * US_PER_MS)
#define PERIOD_S 1
#define ANCHOR_US (60 * US_PER_S) /* the head goes to the log at most so often */
#define THREAD_MEMORY ((size_t)64 << 20)

const struct metric AUDIT_METRICS[] = {
    [AUDIT_SEALED] = {"entrepot_audit_sealed_rows_total", METRIC_COUNTER, NULL,
                      "Rows of the audit trail sealed by this process."},
    [AUDIT_BATCH] = {"entrepot_audit_batch", METRIC_GAUGE, NULL,
                     "The last batch of the audit trail that this process has sealed."},
    [AUDIT_FAILURES] = {"entrepot_audit_seal_failures_total", METRIC_COUNTER, NULL,
                        "Sealings that failed; the rows are sealed later."},
};

struct sealing {
    struct uuid holder;
    int64_t token;
    bool held;
    int64_t upto;           /* the last number to be sealed this time */
    struct audit_head from; /* where the chain ends */
    struct audit_batch batch;
    struct audit_seal seal;
    unsigned char marks[AUDIT_BATCH_MAX][AUDIT_MARK_BYTES];
    unsigned char hash[2][AUDIT_HASH_BYTES]; /* of the head and of the batch in the making, in turn */
};

static enum err take_lease(struct ctx *cx, void *arg) {
    struct sealing *s = arg;
    struct instant now = db_time(cx->database), end = {now.us + LEASE_US};
    struct audit_number token;
    enum err e =
        db_get(cx, &AUDIT_STMTS[AUDIT_LEASE_TAKE], ARGS(A(s->holder), A(now), A(end)), &token, &s->held);
    if (!e && s->held)
        s->token = token.number;
    return e;
}

/* One batch becomes part of the chain, if lease and head are still what they were. With the last one the
 * lease ends. */
static enum err append(struct ctx *cx, void *arg) {
    const struct sealing *s = arg;
    const struct audit_seal *n = &s->seal;
    struct instant end = {db_time(cx->database).us + (n->last_seq < s->upto ? LEASE_US : 0)};
    int64_t kept, moved;
    enum err e = db_exec(cx, &AUDIT_STMTS[AUDIT_LEASE_KEEP], ARGS(A(s->holder), A(s->token), A(end)), &kept);
    if (e || (e = db_exec(cx, &AUDIT_STMTS[AUDIT_HEAD_MOVE],
                          ARGS(A(n->batch), A(n->last_seq), A(n->hash), A(s->from.batch), A(s->from.last_seq),
                               A(s->from.hash)),
                          &moved)))
        return e;
    if (!kept || !moved)
        return fail(cx, ERR_LEASE_LOST, "Another process seals the audit trail.");
    return db_exec(cx, &AUDIT_STMTS[AUDIT_SEAL_INSERT], args_of(cx, &AUDIT_SEAL, n, ARGS()), NULL);
}

static enum err add_row(void *arg, const struct audit_row *row) {
    struct sealing *s = arg;
    audit_batch_add(&s->batch, row, s->marks[s->batch.rows]);
    return OK;
}

static enum err seal_batch(struct ctx *cx, struct sealing *s) {
    unsigned char *hash = s->from.hash.p == s->hash[0] ? s->hash[1] : s->hash[0];
    int64_t number = s->from.batch + 1, first = s->from.last_seq + 1, last;
    audit_batch_begin(&s->batch, number, s->from.hash, first);
    enum err e = audit_rows(cx, first, s->upto, AUDIT_BATCH_MAX, add_row, s, &last);
    if (e)
        return e;
    /* The column has microseconds, and so has the hash. */
    audit_batch_end(&s->batch, last, cx->now, hash);
    s->seal = (struct audit_seal){.batch = number,
                                  .first_seq = first,
                                  .last_seq = last,
                                  .row_count = s->batch.rows,
                                  .sealed_at = cx->now,
                                  .marks = {s->marks[0], (size_t)s->batch.rows * AUDIT_MARK_BYTES},
                                  .previous = s->from.hash,
                                  .hash = {hash, AUDIT_HASH_BYTES}};
    if ((e = db_write_wait(cx, append, s)))
        return e;
    s->from = (struct audit_head){number, last, {hash, AUDIT_HASH_BYTES}};
    return OK;
}

/* Numbers that are given out below the frontier may belong to transactions that still run. */
static enum err settle(struct ctx *cx, bool *settled) {
    int64_t begun, ended, until = clock_steady() + SETTLE_US;
    enum err e = audit_number(cx, AUDIT_BEGUN, &begun);
    *settled = false;
    while (!e && !(e = audit_number(cx, AUDIT_ENDED, &ended))) {
        *settled = ended >= begun;
        if (*settled || clock_steady() > until)
            break;
        nanosleep(&(struct timespec){.tv_nsec = SETTLE_STEP_US * 1000}, NULL);
    }
    return e;
}

static enum err read_head(struct ctx *cx, struct sealing *s) {
    bool found = false;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = db_get(cx, &AUDIT_STMTS[AUDIT_HEAD_GET], ARGS(), &s->from, &found);
    db_read_end(cx);
    if (e)
        return e;
    if (!found || s->from.hash.n != AUDIT_HASH_BYTES)
        return fail(cx, ERR_INTERNAL, "The head of the audit trail is gone; see `entrepot audit verify`.");
    memcpy(s->hash[0], s->from.hash.p, AUDIT_HASH_BYTES);
    s->from.hash.p = s->hash[0];
    return OK;
}

static enum err seal_batches(struct ctx *cx, struct sealing *s, struct audit_sealed *out) {
    enum err e = db_write_wait(cx, take_lease, s);
    if (e)
        return e;
    out->elsewhere = !s->held;
    /* The head once more: it may have moved before the lease was ours. */
    if (out->elsewhere || (e = read_head(cx, s)))
        return e;
    while (!e && s->from.last_seq < s->upto) {
        e = seal_batch(cx, s);
        out->batches += !e;
        out->rows += e ? 0 : s->batch.rows;
    }
    if (e == ERR_LEASE_LOST) {
        fault_clear(cx);
        out->elsewhere = true;
        e = OK;
    }
    return e;
}

static enum err seal(struct ctx *cx, struct sealing *s, struct audit_sealed *out) {
    bool settled;
    *out = (struct audit_sealed){0};
    /* The frontier in a read of its own: a transaction that has a number by then has begun by the next. */
    enum err e = audit_number(cx, AUDIT_FRONTIER, &s->upto);
    if (e || (e = read_head(cx, s)) || s->upto <= s->from.last_seq)
        return e;
    if ((e = settle(cx, &settled)) || !settled)
        return e;
    e = seal_batches(cx, s, out);
    if (out->batches && cx->modules) {
        metrics_add(cx->modules->metrics, &AUDIT_METRICS[AUDIT_SEALED], (struct str){0}, out->rows);
        metrics_set(cx->modules->metrics, &AUDIT_METRICS[AUDIT_BATCH], (struct str){0}, s->from.batch);
    }
    return e;
}

enum err audit_seal_all(struct ctx *cx, struct audit_sealed *out) {
    struct sealing *s = NEW(cx->mem, struct sealing);
    if (!s)
        return fail(cx, ERR_MEMORY, "There is no memory to seal the audit trail.");
    s->holder = uuid_new(cx->now);
    /* A process that was killed while it sealed leaves its lease behind. */
    int64_t until = clock_steady() + LEASE_US + US_PER_S;
    enum err e;
    while (!(e = seal(cx, s, out)) && out->elsewhere && clock_steady() < until) {
        nanosleep(&(struct timespec){.tv_nsec = 100 * US_PER_MS * 1000}, NULL);
        if (cx->clock)
            cx->now = clock_now(cx->clock);
    }
    return e;
}

struct sealer {
    struct ctx cx; /* mem is the thread's */
    struct sealing sealing;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t end;
    bool ending;
    bool failing;    /* said so already */
    bool news;       /* sealed since the head was logged */
    int64_t told_at; /* steady */
};

/* What is kept elsewhere cannot be rewritten here: the log carries the head away. */
static void tell_head(struct sealer *s, bool now) {
    if (!s->news || (!now && s->told_at && clock_steady() - s->told_at < ANCHOR_US))
        return;
    struct str head = hex_encode(s->cx.mem, s->sealing.from.hash);
    LOG(&s->cx, LOG_INFO, "audit", S("audit trail sealed"), LOG_INT("batch", s->sealing.from.batch),
        LOG_INT("last", s->sealing.from.last_seq), LOG_STR("head", head));
    s->news = false;
    s->told_at = clock_steady();
}

static void turn(struct sealer *s, bool last) {
    struct audit_sealed done;
    arena_reset(s->cx.mem);
    fault_clear(&s->cx);
    s->cx.now = clock_now(s->cx.clock);
    enum err e = seal(&s->cx, &s->sealing, &done);
    if (e)
        metrics_add(s->cx.modules->metrics, &AUDIT_METRICS[AUDIT_FAILURES], (struct str){0}, 1);
    if (e && !s->failing)
        log_fault(&s->cx, LOG_WARN, "audit", S("the audit trail could not be sealed; trying on"));
    s->failing = e != OK;
    s->news = s->news || done.batches > 0;
    tell_head(s, last);
}

static void *run(void *arg) {
    struct sealer *s = arg;
    for (bool last = false; !last;) {
        struct timespec until;
        turn(s, false);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += PERIOD_S;
        pthread_mutex_lock(&s->lock);
        while (!s->ending && pthread_cond_timedwait(&s->end, &s->lock, &until) == 0)
            ;
        last = s->ending;
        pthread_mutex_unlock(&s->lock);
    }
    turn(s, true);
    return NULL;
}

static void drop(struct sealer *s) {
    pthread_cond_destroy(&s->end);
    pthread_mutex_destroy(&s->lock);
    arena_free(s->cx.mem);
    free(s);
}

enum err sealer_start(const struct ctx *cx, struct sealer **out) {
    struct sealer *s = calloc(1, sizeof(*s));
    pthread_condattr_t attr;
    if (!s)
        return ERR_MEMORY;
    s->cx = (struct ctx){.clock = cx->clock,
                         .log = cx->log,
                         .database = cx->database,
                         .modules = cx->modules,
                         .actor = {.name = S("sealer"), .role = ROLE_OPERATOR},
                         .mem = arena_new(THREAD_MEMORY)};
    s->sealing.holder = uuid_new(clock_now(cx->clock));
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->end, &attr);
    pthread_condattr_destroy(&attr);
    if (!s->cx.mem || pthread_create(&s->thread, NULL, run, s)) {
        drop(s);
        return ERR_MEMORY;
    }
    *out = s;
    return OK;
}

void sealer_stop(struct sealer *s) {
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    pthread_cond_signal(&s->end);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    drop(s);
}
