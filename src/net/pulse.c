#include "net/pulse.h"

#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/banned.h"

#define PERIOD_US (250 * US_PER_MS)
#define PATIENCE_US \
    (700 * US_PER_MS) /* a beat that takes longer counts as none: within a second it is said */
#define BEAT_MEMORY ((size_t)64 << 20)

struct pulse {
    struct ctx cx; /* of the thread */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t end;
    bool ending;
    bool failing; /* a look has failed, and it has been said */
    _Atomic bool good;
    _Atomic int64_t asked_at; /* steady, of the beat under way; 0: none is */
};

/* A look that fails leaves what was known; whoever knows it says when that is too old. */
static void look(struct pulse *p) {
    struct ctx *cx = &p->cx;
    bool failed = false;
    for (size_t i = 0; cx->modules && i < cx->modules->n; i++) {
        const struct module *m = cx->modules->list[i];
        fault_clear(cx);
        if (!m->refresh || !m->refresh(cx, cx->modules->state[i]))
            continue;
        if (!p->failing)
            log_fault(cx, LOG_WARN, "net", S("what requests go by could not be looked at"));
        failed = true;
        break; /* its transaction is lost */
    }
    p->failing = failed;
}

static void beat(struct pulse *p) {
    struct ctx *cx = &p->cx;
    arena_reset(cx->mem);
    fault_clear(cx);
    cx->now = clock_now(cx->clock);
    atomic_store(&p->asked_at, clock_steady());
    enum err e = db_watch_begin(cx);
    if (!e)
        look(p);
    db_watch_end(cx);
    atomic_store(&p->good, e == OK);
    atomic_store(&p->asked_at, 0);
}

static void *run(void *arg) {
    struct pulse *p = arg;
    pthread_mutex_lock(&p->lock);
    while (!p->ending) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        int64_t ns = until.tv_nsec + PERIOD_US * 1000;
        until.tv_sec += ns / 1000000000;
        until.tv_nsec = ns % 1000000000;
        pthread_cond_timedwait(&p->end, &p->lock, &until);
        if (p->ending)
            break;
        pthread_mutex_unlock(&p->lock);
        beat(p);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void drop(struct pulse *p) {
    pthread_cond_destroy(&p->end);
    pthread_mutex_destroy(&p->lock);
    arena_free(p->cx.mem);
    free(p);
}

struct pulse *pulse_start(const struct ctx *cx) {
    struct pulse *p = calloc(1, sizeof(*p));
    pthread_condattr_t attr;
    if (!p)
        return NULL;
    p->cx = (struct ctx){.clock = cx->clock,
                         .log = cx->log,
                         .database = cx->database,
                         .modules = cx->modules,
                         .mem = arena_new(BEAT_MEMORY)};
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->end, &attr);
    pthread_condattr_destroy(&attr);
    if (p->cx.mem) {
        beat(p);
        if (pthread_create(&p->thread, NULL, run, p) == 0)
            return p;
    }
    drop(p);
    return NULL;
}

void pulse_stop(struct pulse *p) {
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_signal(&p->end);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    drop(p);
}

bool pulse_good(const struct pulse *p) {
    int64_t asked = atomic_load(&p->asked_at);
    return atomic_load(&p->good) && (asked == 0 || clock_steady() - asked < PATIENCE_US);
}
