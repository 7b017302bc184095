#include "jobs/work.h"

#include "base/banned.h"

/* The lane is shared with requests, so only so many works are in it at a time; it is filled up again when
 * half of them are through. */
#define IN_LANE_MAX 128
#define LANE_FULL_US (10 * US_PER_MS)

void hand_come_back(struct work *w) {
    work_list_add(&w->runner->todo, w);
    w->runner->come_back = true;
    pthread_cond_signal(&w->runner->dispatch);
}

bool hand_room(const struct runner *r) { return r->for_lane.first && r->in_lane <= IN_LANE_MAX / 2; }

static void closure_done(struct write *write, enum err outcome) {
    struct work *w = write->arg;
    struct runner *r = w->runner;
    bool more = work_next(w, outcome);
    pthread_mutex_lock(&r->lock);
    r->in_lane--;
    if (more)
        hand_come_back(w);
    else
        work_release(w);
    if (r->in_lane == IN_LANE_MAX / 2 && r->for_lane.first)
        pthread_cond_signal(&r->dispatch);
    pthread_mutex_unlock(&r->lock);
}

static void into_lane(struct work *w) {
    struct runner *r = w->runner;
    w->cx.now = clock_now(r->setup.clock);
    w->cx.after = 0;
    w->write =
        (struct write){.cx = &w->cx, .run = work_closure, .done = closure_done, .arg = w, .lane = LANE_MAIN};
    if (!db_write(r->setup.db, &w->write))
        return;
    fault_clear(&w->cx); /* the lane is full; done will not be called */
    w->not_before = clock_steady() + LANE_FULL_US;
    pthread_mutex_lock(&r->lock);
    r->in_lane--;
    hand_come_back(w);
    pthread_mutex_unlock(&r->lock);
}

void hand_to_lane(struct runner *r) {
    for (;;) {
        pthread_mutex_lock(&r->lock);
        struct work *w = r->in_lane < IN_LANE_MAX ? work_list_take(&r->for_lane) : NULL;
        r->in_lane += w != NULL;
        pthread_mutex_unlock(&r->lock);
        if (!w)
            return;
        into_lane(w);
    }
}

void hand_on(struct work *w) {
    struct runner *r = w->runner;
    bool thread = w->stage == RUN && w->type && w->type->mode == JOB_THREAD;
    bool begin = thread && !atomic_load(&r->stopping);
    if (thread && !begin)
        w->stage = GIVE_BACK;
    pthread_mutex_lock(&r->lock);
    work_list_add(begin ? &r->for_worker : &r->for_lane, w);
    if (begin)
        pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
}

int64_t hand_on_todo(struct runner *r, int64_t latest) {
    pthread_mutex_lock(&r->lock);
    struct work_list todo = r->todo;
    r->todo = (struct work_list){NULL, NULL};
    r->come_back = false;
    pthread_mutex_unlock(&r->lock);
    int64_t now = clock_steady();
    struct work_list rest = {NULL, NULL};
    for (struct work *w; (w = work_list_take(&todo));) {
        struct work *half = NULL;
        if (w->split && !(half = work_split(w)))
            w->not_before = now + LANE_FULL_US;
        if (w->not_before > now) {
            latest = w->not_before < latest ? w->not_before : latest;
            work_list_add(&rest, w);
            continue;
        }
        hand_on(w);
        if (half)
            hand_on(half);
    }
    pthread_mutex_lock(&r->lock);
    for (struct work *w; (w = work_list_take(&rest));)
        work_list_add(&r->todo, w);
    pthread_mutex_unlock(&r->lock);
    hand_to_lane(r);
    return latest;
}
