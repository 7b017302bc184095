#include "net/pulse.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/banned.h"

#define PERIOD_S 1
#define STALE_US (4 * US_PER_S) /* a ping that hangs longer counts as none */

struct pulse {
    struct db *db;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t end;
    bool ending;
    _Atomic bool good;
    _Atomic int64_t at;
};

static void ping(struct pulse *p) {
    atomic_store(&p->good, db_ping(p->db) == OK);
    atomic_store(&p->at, clock_steady());
}

static void *beat(void *arg) {
    struct pulse *p = arg;
    pthread_mutex_lock(&p->lock);
    while (!p->ending) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += PERIOD_S;
        pthread_cond_timedwait(&p->end, &p->lock, &until);
        if (p->ending)
            break;
        pthread_mutex_unlock(&p->lock);
        ping(p);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

struct pulse *pulse_start(struct db *db) {
    struct pulse *p = calloc(1, sizeof(*p));
    pthread_condattr_t attr;
    if (!p)
        return NULL;
    p->db = db;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->end, &attr);
    pthread_condattr_destroy(&attr);
    ping(p);
    if (pthread_create(&p->thread, NULL, beat, p) == 0)
        return p;
    pthread_cond_destroy(&p->end);
    pthread_mutex_destroy(&p->lock);
    free(p);
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
    pthread_cond_destroy(&p->end);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

bool pulse_good(struct pulse *p) {
    return atomic_load(&p->good) && clock_steady() - atomic_load(&p->at) < STALE_US;
}
