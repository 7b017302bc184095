#include "jobs/work.h"

#include "base/log.h"

#include "base/banned.h"

#define SWEEP_US (1 * US_PER_S)
#define POLL_US (5 * US_PER_S) /* against wake-ups that got lost between processes */
#define SAMPLE_US (1 * US_PER_S)
#define DATABASE_AWAY_US (500 * US_PER_MS)
#define LATE_BEAT_US (50 * US_PER_MS)

/* What the dispatcher knows between two looks at the queues. */
struct dispatch {
    struct runner *r;
    bool hungry[KINDS];              /* there may be ready jobs that were not claimed */
    int64_t next_sweep, next_sample; /* steady */
    int64_t chunk;                   /* how many to claim at most: doubles, halves when memory is out */
    bool away;                       /* the database is, and that has been said */
};

/* One look, in one closure. */
struct look {
    struct runner *r;
    bool sweep, more_to_sweep;
    int64_t room[KINDS], got[KINDS];
    struct list rules;
    bool limited;      /* the operator limits one of the queues */
    struct list *jobs; /* by queue and kind */
    struct instant next_due;
};

void runner_wake(struct runner *r) {
    if (atomic_exchange(&r->woken, true))
        return;
    pthread_mutex_lock(&r->lock);
    pthread_cond_signal(&r->dispatch);
    pthread_mutex_unlock(&r->lock);
}

static const struct job_rule *rule_of(struct list rules, struct uuid org, struct str queue) {
    const struct job_rule *all = rules.items;
    for (size_t i = 0; i < rules.n; i++)
        if (uuid_eq(all[i].org_id, org) && str_eq(all[i].name, queue))
            return &all[i];
    return NULL;
}

static bool is_paused(const struct job_rule *rule) { return rule && str_eq(rule->state, S("paused")); }

/* Lets go, a part at a time, what was set aside in queues that are no longer paused. */
static enum err release(struct ctx *cx, struct look *l) {
    const struct job_rule *all = l->rules.items;
    enum err e = OK;
    for (size_t i = 0; !e && i < l->rules.n; i++)
        if (str_eq(all[i].state, S("resuming")))
            e = l->r->driver->release(cx, &all[i], &l->more_to_sweep);
    return e;
}

/* How many the operator lets run in a queue beside those that do. */
static enum err limit(struct ctx *cx, struct look *l, struct str queue, int64_t *max) {
    const struct job_rule *rule = rule_of(l->rules, (struct uuid){0}, queue);
    int64_t running;
    if (is_paused(rule))
        *max = 0;
    if (*max <= 0 || !rule || !rule->concurrency.has)
        return OK;
    enum err e = l->r->driver->running(cx, queue, &running);
    if (!e && *max > rule->concurrency.v - running)
        *max = rule->concurrency.v - running;
    l->limited = true;
    return e;
}

/* Jobs of organisations that have paused the queue are put where no claim finds them. */
static enum err set_aside(struct ctx *cx, struct look *l, struct list *jobs) {
    struct job *all = jobs->items;
    struct uuid own = cx->actor.org;
    size_t kept = 0;
    enum err e = OK;
    for (size_t i = 0; !e && i < jobs->n; i++) {
        if (!is_paused(rule_of(l->rules, all[i].org_id, all[i].queue))) {
            all[kept++] = all[i];
            continue;
        }
        cx->actor.org = all[i].org_id;
        e = l->r->driver->set_aside(cx, &all[i]);
    }
    cx->actor.org = own;
    jobs->n = kept;
    return e;
}

static enum err look_at(struct ctx *cx, struct look *l, const struct job_queue *queue, enum kind_of_work kind,
                        struct list *jobs) {
    struct runner *r = l->r;
    struct job_claim claim = {
        .queue = queue->name,
        .threaded = kind == THREADS,
        .max = l->room[kind] - l->got[kind],
        .lease_end = {db_time(r->setup.db).us + runner_lease_us(r)},
    };
    *jobs = (struct list){NULL, 0};
    if ((kind == THREADS && !queue->threads) || atomic_load(&r->stopping))
        return OK;
    enum err e = l->rules.n ? limit(cx, l, queue->name, &claim.max) : OK;
    if (!e && claim.max > 0)
        e = r->driver->claim(cx, &claim, jobs);
    l->got[kind] += (int64_t)jobs->n;
    return e || !l->rules.n ? e : set_aside(cx, l, jobs);
}

static enum err look_closure(struct ctx *cx, void *arg) {
    struct look *l = arg;
    struct runner *r = l->r;
    l->got[CLOSURES] = l->got[THREADS] = 0;
    l->limited = l->more_to_sweep = false;
    enum err e = r->driver->rules(cx, &l->rules);
    if (!e && l->sweep)
        e = r->driver->sweep(cx, &l->more_to_sweep);
    if (!e)
        e = release(cx, l);
    for (size_t i = 0; !e && i < r->n_queues * KINDS; i++)
        e = look_at(cx, l, &r->queues[(r->turn + i / KINDS) % r->n_queues], i % KINDS ? THREADS : CLOSURES,
                    &l->jobs[i]);
    return e ? e : r->driver->next_due(cx, &l->next_due);
}

static void plan(struct dispatch *d, const struct look *l, struct instant now) {
    int64_t in = POLL_US;
    for (int kind = 0; kind < KINDS; kind++) {
        if (l->room[kind] > 0)
            d->hungry[kind] = l->got[kind] == l->room[kind];
        if (d->hungry[kind])
            in = SWEEP_US;
    }
    int64_t due_in = l->next_due.us > now.us ? l->next_due.us - now.us : 0;
    if (l->next_due.us && due_in < in)
        in = due_in;
    int64_t next = clock_steady() + (l->more_to_sweep ? 0 : in);
    if (l->sweep || next < d->next_sweep)
        d->next_sweep = next;
    d->chunk = d->chunk * 2 < JOB_CHUNK ? d->chunk * 2 : JOB_CHUNK;
    d->away = false;
}

static void look_failed(struct dispatch *d, struct ctx *cx, enum err e) {
    if (e == ERR_MEMORY && d->chunk > 1) {
        d->chunk /= 2;
        return;
    }
    if (!d->away && !atomic_load(&d->r->stopping))
        log_fault(cx, LOG_ERROR, "jobs", S("the queues cannot be read"));
    d->away = true;
    d->hungry[CLOSURES] = d->hungry[THREADS] = false;
    d->next_sweep = clock_steady() + DATABASE_AWAY_US;
}

/* Makes works of what was claimed. Rows that find no memory are left to the end of their lease. */
static void take_in(struct dispatch *d, struct claimed *claimed, const struct look *l, int64_t lease_until) {
    struct runner *r = d->r;
    struct work_list works = {NULL, NULL};
    for (size_t i = 0; i < r->n_queues * KINDS; i++)
        if (l->jobs[i].n && work_make(r, claimed, l->jobs[i], lease_until, &works))
            break;
    pthread_mutex_lock(&r->lock);
    if (!claimed->works)
        runner_return_arena(r, claimed->mem);
    pthread_mutex_unlock(&r->lock);
    for (struct work *w; (w = work_list_take(&works));)
        hand_on(w);
    hand_to_lane(r);
}

static void look(struct dispatch *d, bool sweep, const int64_t room[KINDS]) {
    struct runner *r = d->r;
    struct arena *mem = runner_take_arena(r);
    struct claimed *claimed = mem ? NEW(mem, struct claimed) : NULL;
    struct look l = {.r = r, .sweep = sweep, .room = {room[CLOSURES], room[THREADS]}};
    l.jobs = claimed ? NEW_N(mem, struct list, r->n_queues * KINDS + 1) : NULL;
    struct ctx cx;
    runner_context(r, mem, &cx);
    int64_t lease_until = clock_steady() + runner_lease_us(r);
    enum err e = l.jobs ? db_write_wait(&cx, look_closure, &l) : ERR_MEMORY;
    if (!e) {
        claimed->mem = mem;
        r->turn++;
        atomic_store(&r->limited, l.limited);
        plan(d, &l, cx.now);
        take_in(d, claimed, &l, lease_until);
        return;
    }
    look_failed(d, &cx, e);
    pthread_mutex_lock(&r->lock);
    if (mem)
        runner_return_arena(r, mem);
    pthread_mutex_unlock(&r->lock);
}

static void sample(struct dispatch *d) {
    struct runner *r = d->r;
    struct arena *mem = runner_take_arena(r);
    struct ctx cx;
    runner_context(r, mem, &cx);
    if (mem && !db_read_begin(&cx)) {
        int64_t n;
        for (size_t i = 0; i < r->n_queues; i++)
            if (!r->driver->count_ready(&cx, r->queues[i].name, &n))
                metrics_set(r->setup.metrics, &JOB_METRICS[READY_NOW], r->queues[i].name, n);
        db_read_end(&cx);
    }
    pthread_mutex_lock(&r->lock);
    if (mem)
        runner_return_arena(r, mem);
    pthread_mutex_unlock(&r->lock);
}

/* With the lock: how many of each kind may be claimed now. */
static void room_now(const struct dispatch *d, int64_t room[KINDS]) {
    const struct runner *r = d->r;
    room[CLOSURES] = d->hungry[CLOSURES] && r->n_held[CLOSURES] <= JOB_CHUNK ? d->chunk : 0;
    int64_t workers = r->setup.workers + (int64_t)r->n_given_up;
    if (workers > (int64_t)r->n_workers)
        workers = (int64_t)r->n_workers;
    room[THREADS] = d->hungry[THREADS] ? workers - (int64_t)r->n_held[THREADS] : 0;
}

/* After the whole process was paused, the heartbeat comes before the sweep, so that it does not find its own.
 */
static bool sweep_is_due(struct dispatch *d, int64_t now) {
    if (now < d->next_sweep)
        return false;
    if (now - atomic_load(&d->r->last_beat) < runner_lease_us(d->r) / 2)
        return true;
    d->next_sweep = now + LATE_BEAT_US;
    return false;
}

static void claim_while_there_is(struct dispatch *d) {
    struct runner *r = d->r;
    int64_t now = clock_steady(), room[KINDS];
    bool woken = atomic_exchange(&r->woken, false), sweep = sweep_is_due(d, now);
    if (woken || sweep)
        d->hungry[CLOSURES] = d->hungry[THREADS] = true;
    pthread_mutex_lock(&r->lock);
    room_now(d, room);
    r->looking = !atomic_load(&r->stopping) && (sweep || room[CLOSURES] > 0 || room[THREADS] > 0);
    pthread_mutex_unlock(&r->lock);
    if (!r->looking)
        return;
    look(d, sweep, room);
    if (now >= d->next_sample) {
        sample(d);
        d->next_sample = now + SAMPLE_US;
    }
    pthread_mutex_lock(&r->lock);
    r->looking = false;
    pthread_cond_broadcast(&r->idle);
    pthread_mutex_unlock(&r->lock);
}

static enum err recover_closure(struct ctx *cx, void *runner) {
    return ((struct runner *)runner)->driver->recover(cx);
}

/* False: the database is away. */
static bool recover(struct dispatch *d) {
    struct arena *mem = runner_take_arena(d->r);
    struct ctx cx;
    runner_context(d->r, mem, &cx);
    enum err e = mem ? db_write_wait(&cx, recover_closure, d->r) : ERR_MEMORY;
    if (e && mem)
        look_failed(d, &cx, e);
    pthread_mutex_lock(&d->r->lock);
    if (mem)
        runner_return_arena(d->r, mem);
    pthread_mutex_unlock(&d->r->lock);
    return !e;
}

/* With the lock: sleeps until there is something to do. */
static void sleep_until(struct dispatch *d, int64_t until) {
    struct runner *r = d->r;
    int64_t room[KINDS];
    bool stopping = atomic_load(&r->stopping);
    while (!atomic_load(&r->woken) && !r->come_back && clock_steady() < until && !r->abandoned &&
           atomic_load(&r->stopping) == stopping && !(stopping && !r->held)) {
        room_now(d, room);
        if (hand_room(r) || (!stopping && (room[CLOSURES] > 0 || room[THREADS] > 0)))
            return;
        runner_wait(r, &r->dispatch, until);
    }
}

void *dispatch_main(void *runner) {
    struct runner *r = runner;
    /* Chunks grow from one: where a job ends the process each time, it soon is the first one and stands
     * alone, and does not use up the attempts of those that would have been claimed with it. */
    struct dispatch d = {.r = r, .chunk = 1};
    for (bool recovered = false, over = false; !over;) {
        int64_t until = hand_on_todo(r, clock_steady() + POLL_US);
        bool stopping = atomic_load(&r->stopping);
        if (stopping)
            atomic_store(&r->woken, false);
        else if (recovered || (recovered = recover(&d)))
            claim_while_there_is(&d);
        pthread_mutex_lock(&r->lock);
        for (struct work *w; stopping && (w = work_list_take(&r->for_worker));)
            hand_come_back(w); /* not begun: handed back */
        if (!stopping && d.next_sweep < until)
            until = d.next_sweep;
        sleep_until(&d, until);
        over = r->abandoned || (atomic_load(&r->stopping) && !r->held && !r->for_worker.first);
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}
