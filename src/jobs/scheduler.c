#include "base/log.h"
#include "base/metrics.h"
#include "jobs/schedule.h"

#include <pthread.h>

#include "base/banned.h"

#define LOOK_US (200 * US_PER_MS) /* how often the clock is looked at, which may be set */
#define LEAD_US (1 * US_PER_S)    /* how often the lease and the next due time are */
#define CHECK_US (15 * US_PER_S)  /* how often each row is: new organisations, other time zones */
#define STEP_US (1 * US_PER_S)    /* a clock that is off by more than this was set */
#define MEM_MAX ((size_t)64 * 1024 * 1024)

struct scheduler {
    struct runner_setup setup;
    const struct modules *modules;
    struct arena *mem, *work;
    struct uuid holder;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;

    bool leads, away;
    struct instant next_due;       /* 0: none */
    int64_t next_lead, next_check; /* steady */
    int64_t ahead;                 /* of the steady clock */
};

static void context(struct scheduler *s, struct ctx *cx) {
    arena_reset(s->work);
    *cx = (struct ctx){
        .mem = s->work,
        .clock = s->setup.clock,
        .now = clock_now(s->setup.clock),
        .log = s->setup.log,
        .database = s->setup.db,
        .actor = {.name = S("schedule"), .role = ROLE_OPERATOR},
        .app = s->setup.app,
        .modules = s->modules,
    };
}

static enum err lead_closure(struct ctx *cx, void *arg) {
    struct scheduler *s = arg;
    return schedule_lead(cx, s->holder, &s->leads);
}
static enum err leave_closure(struct ctx *cx, void *arg) {
    return schedule_leave(cx, ((struct scheduler *)arg)->holder);
}

static enum err look_up(struct scheduler *s, struct ctx *cx) {
    enum err e = db_read_begin(cx);
    if (!e)
        e = schedule_next_due(cx, &s->next_due);
    db_read_end(cx);
    return e;
}

/* The lease, then what does not hold, then what is due. */
static enum err turn(struct scheduler *s, struct ctx *cx, bool stepped) {
    int64_t steady = clock_steady();
    struct firing f = {.holder = s->holder, .more = true};
    enum err e = OK;
    if (stepped || steady >= s->next_lead) {
        bool led = s->leads;
        if ((e = db_write_wait(cx, lead_closure, s)))
            return e;
        s->next_lead = steady + LEAD_US;
        metrics_set(s->setup.metrics, &SCHEDULE_METRICS[SCHEDULES_LEADER], (struct str){0}, s->leads);
        if (!s->leads)
            return OK;
        if (!led)
            LOG(cx, LOG_INFO, "jobs", S("running schedules"));
        if (stepped || !led || steady >= s->next_check) {
            if ((e = schedule_check(cx)))
                return e;
            s->next_check = steady + CHECK_US;
        }
        if ((e = look_up(s, cx)))
            return e;
    }
    if (!s->leads || !s->next_due.us || s->next_due.us > cx->now.us)
        return OK;
    for (f.leads = true; !e && f.leads && f.more;)
        e = db_write_wait(cx, schedule_fire, &f);
    s->leads = f.leads;
    return e ? e : look_up(s, cx);
}

static void *scheduler_main(void *arg) {
    struct scheduler *s = arg;
    struct ctx cx;
    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        pthread_mutex_unlock(&s->lock);
        context(s, &cx);
        int64_t ahead = cx.now.us - clock_steady(), moved = ahead - s->ahead;
        s->ahead = ahead;
        enum err e = turn(s, &cx, moved > STEP_US || moved < -STEP_US);
        if (e && !s->away)
            log_fault(&cx, LOG_ERROR, "jobs", S("schedules cannot be run"));
        s->away = e != OK;
        int64_t until = clock_steady() + (e ? LEAD_US : LOOK_US);
        struct timespec t = {.tv_sec = until / US_PER_S, .tv_nsec = until % US_PER_S * 1000};
        pthread_mutex_lock(&s->lock);
        if (!s->stopping)
            pthread_cond_timedwait(&s->stop, &s->lock, &t);
    }
    pthread_mutex_unlock(&s->lock);
    context(s, &cx);
    if (s->leads && db_write_wait(&cx, leave_closure, s))
        log_fault(&cx, LOG_WARN, "jobs", S("the lease of schedules is left to its end"));
    return NULL;
}

enum err scheduler_start(struct ctx *cx, const struct runner_setup *setup, struct scheduler **out) {
    struct arena *mem = arena_new(MEM_MAX), *work = arena_new(MEM_MAX);
    struct scheduler *s = mem && work ? NEW(mem, struct scheduler) : NULL;
    if (!s) {
        arena_free(mem);
        arena_free(work);
        return fail(cx, ERR_MEMORY, "There is no memory for the schedules.");
    }
    *s = (struct scheduler){
        .setup = *setup,
        .modules = cx->modules,
        .mem = mem,
        .work = work,
        .holder = uuid_new(cx->now),
    };
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->stop, &steady);
    pthread_condattr_destroy(&steady);
    if (pthread_create(&s->thread, NULL, scheduler_main, s)) {
        pthread_cond_destroy(&s->stop);
        pthread_mutex_destroy(&s->lock);
        arena_free(work);
        arena_free(mem);
        return fail(cx, ERR_MEMORY, "The thread of the schedules cannot be started.");
    }
    *out = s;
    return OK;
}

void scheduler_stop(struct scheduler *s) {
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->stop);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->stop);
    pthread_mutex_destroy(&s->lock);
    struct arena *mem = s->mem;
    arena_free(s->work);
    arena_free(mem);
}
