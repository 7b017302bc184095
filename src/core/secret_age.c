#include "core/secret_age.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

#define DAY_US (24 * 3600 * US_PER_S)
#define NOTE_US (60 * US_PER_S)  /* a use is written down at most so often, by each process */
#define AGAIN_US (60 * US_PER_S) /* after a write that failed */
#define NOTE_MEMORY ((size_t)8 << 20)

/* What is to be written down of one secret. */
struct note {
    struct uuid org;
    enum secret_setting of;
    unsigned char fingerprint[FINGERPRINT_BYTES];
    struct instant used_at;
};
struct noting {
    struct write write;
    struct ctx cx;
    struct secrets *s;
    struct note *notes;
    size_t n;
};

static bool is_old(const struct secret *a, struct instant now) {
    return a->first_seen_at.us && now.us - a->first_seen_at.us > SECRET_OLD_DAYS * DAY_US;
}

/* Reads the table where it may have something new: at the start, after organisations have changed, and after
 * a write of ours, which may have found what another process had written. */
static enum err learn(struct ctx *cx, struct secrets *s) {
    struct list rows;
    pthread_mutex_lock(&s->lock);
    bool unread = s->unread;
    s->unread = false; /* before it is read: what is written meanwhile is read the next time */
    pthread_mutex_unlock(&s->lock);
    if (!unread)
        return OK;
    enum err e = db_list(cx, &SECRET_STMTS[SECRETS_ALL], ARGS(), &rows);
    const struct secret_row *row = e ? NULL : rows.items;
    pthread_mutex_lock(&s->lock);
    s->unread = s->unread || e;
    for (size_t i = 0; !e && i < s->n; i++)
        for (size_t k = 0; k < rows.n; k++)
            if (row[k].fingerprint.n == FINGERPRINT_BYTES &&
                memcmp(row[k].fingerprint.p, s->active[i].fingerprint, FINGERPRINT_BYTES) == 0)
                s->active[i].first_seen_at = row[k].first_seen_at;
    pthread_mutex_unlock(&s->lock);
    return e;
}

static bool is_due(const struct secret *a, struct instant now) {
    return a->first_seen_at.us == 0 || (a->used_at.us > a->noted_at.us && now.us - a->noted_at.us >= NOTE_US);
}

/* In the order of the key: that is how the rows are locked. */
static int by_key(const void *a, const void *b) {
    const struct note *x = a, *y = b;
    int d = memcmp(x->org.b, y->org.b, sizeof(x->org.b));
    if (d == 0)
        d = strcmp(secret_setting_name(x->of), secret_setting_name(y->of));
    return d ? d : memcmp(x->fingerprint, y->fingerprint, FINGERPRINT_BYTES);
}

static enum err write_notes(struct ctx *cx, void *arg) {
    const struct noting *w = arg;
    enum err e = OK;
    for (size_t i = 0; !e && i < w->n; i++) {
        const struct note *n = &w->notes[i];
        struct bytes fingerprint = {n->fingerprint, FINGERPRINT_BYTES};
        e = db_tell(cx, &SECRET_STMTS[SECRET_NOTE],
                    ARGS(A(n->org), A(str_of(secret_setting_name(n->of))), A(fingerprint), A(w->cx.now),
                         A(n->used_at)));
    }
    return e;
}

/* With the lock. A setting may name one secret twice. */
static void settle(struct secrets *s, const struct note *n) {
    for (size_t i = 0; i < s->n; i++)
        if (memcmp(s->active[i].fingerprint, n->fingerprint, FINGERPRINT_BYTES) == 0) {
            s->active[i].noted_at = n->used_at;
            s->unread = s->unread || s->active[i].first_seen_at.us == 0;
        }
}

/* On the lane's thread. */
static void noted(struct write *write, enum err outcome) {
    struct noting *w = write->arg;
    struct secrets *s = w->s;
    if (outcome)
        log_fault(&w->cx, LOG_WARN, "secrets", S("the use of webhook secrets could not be written down"));
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; !outcome && i < w->n; i++)
        settle(s, &w->notes[i]);
    s->noting = false;
    s->again = outcome ? clock_steady() + AGAIN_US : 0;
    pthread_mutex_unlock(&s->lock);
    arena_free(w->cx.mem);
}

static struct noting *make_noting(const struct ctx *cx, struct secrets *s) {
    struct arena *mem = arena_new(NOTE_MEMORY);
    struct noting *w = mem ? NEW(mem, struct noting) : NULL;
    if (!w || !(w->notes = NEW_N(mem, struct note, s->most + 1))) {
        arena_free(mem);
        return NULL;
    }
    w->cx = (struct ctx){.mem = mem,
                         .clock = cx->clock,
                         .now = cx->now,
                         .log = cx->log,
                         .database = cx->database,
                         .modules = cx->modules,
                         .actor = {.name = S("secrets"), .role = ROLE_OPERATOR}};
    w->s = s;
    w->write = (struct write){.cx = &w->cx, .run = write_notes, .done = noted, .arg = w, .lane = LANE_MAIN};
    return w;
}

/* Hands what is due to the lane and does not wait for it. */
static void note(const struct ctx *cx, struct secrets *s) {
    struct noting *w = NULL;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; !s->noting && !s->unread && clock_steady() >= s->again && i < s->n; i++) {
        const struct secret *a = &s->active[i];
        if (!is_due(a, cx->now) || (!w && !(w = make_noting(cx, s))))
            continue;
        struct note *n = &w->notes[w->n++];
        *n = (struct note){.org = a->org, .of = a->of, .used_at = a->used_at};
        memcpy(n->fingerprint, a->fingerprint, FINGERPRINT_BYTES);
    }
    s->noting = s->noting || w;
    pthread_mutex_unlock(&s->lock);
    if (!w)
        return;
    qsort(w->notes, w->n, sizeof(*w->notes), by_key);
    if (db_write(cx->database, &w->write)) { /* full or closing: the next beat tries again */
        arena_free(w->cx.mem);
        pthread_mutex_lock(&s->lock);
        s->noting = false;
        pthread_mutex_unlock(&s->lock);
    }
}

/* Once a day, in the log of each process. */
static void tell(struct ctx *cx, struct secrets *s) {
    struct secret *old = NEW_N(cx->mem, struct secret, s->most + 1);
    size_t n = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; old && i < s->n; i++)
        if (is_old(&s->active[i], cx->now) && cx->now.us - s->active[i].told_at.us >= DAY_US) {
            s->active[i].told_at = cx->now;
            old[n++] = s->active[i];
        }
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < n; i++)
        LOG(cx, LOG_WARN, "secrets", S("a webhook secret is old: rotate it, see docs/webhooks.md"),
            LOG_STR("setting", str_of(secret_setting_name(old[i].of))), LOG_INT("index", old[i].which),
            LOG_INT("age_days", (cx->now.us - old[i].first_seen_at.us) / DAY_US));
}

enum err secret_ages_tend(struct ctx *cx, struct secrets *s) {
    enum err e = learn(cx, s);
    if (e)
        return e;
    note(cx, s);
    tell(cx, s);
    return OK;
}

size_t secret_ages_warn(struct ctx *cx, void *secrets, struct warning *out, size_t max) {
    struct secrets *s = secrets;
    size_t n = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n && n < max; i++)
        if (is_old(&s->active[i], cx->now))
            out[n++] = (struct warning){
                S("webhook-secret-old"),
                str_printf(cx->mem,
                           "Secret %" PRId64 " of %s is older than %d days: rotate it (docs/webhooks.md).",
                           s->active[i].which, secret_setting_name(s->active[i].of), SECRET_OLD_DAYS)};
    pthread_mutex_unlock(&s->lock);
    return n;
}
