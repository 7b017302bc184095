/* A work is what the runner holds: one job, or several of a kind that share a transaction, from the claim to
 * its end. It goes through the stages below, each of which is one closure (or, for a THREAD job, one call and
 * one closure). What fails to be recorded because the database is away is tried again while the lease lasts;
 * then the sweep takes over.
 *
 * Threads: the dispatcher (dispatch.c) claims, makes works and hands them to the lanes and to the workers; a
 * lane's thread ends works or gives them back to the dispatcher's list; the heartbeat moves lease ends. The
 * runner's lock guards the lists and the counts; a work itself belongs to one thread at a time, but for
 * lease_until. */
#ifndef JOBS_WORK_H
#define JOBS_WORK_H

#include "base/metrics.h"
#include "jobs/driver.h"

#include <pthread.h>
#include <stdatomic.h>

enum stage { RUN, FINISH, FAIL, GIVE_BACK };
enum kind_of_work { CLOSURES, THREADS, KINDS };

/* The memory of one claim: its rows and their works. Freed with the last of them. */
struct claimed {
    struct arena *mem;
    size_t works;
};

/* What job_progress said and has not been written down yet. */
struct job_shown {
    bool fresh;
    int64_t done, total;
    char text[200];
    size_t text_n;
};

struct work {
    struct work *next, *previous; /* among all that the runner holds */
    struct work *following;       /* in the one list in which it waits */
    struct runner *runner;
    struct claimed *claimed;
    const struct job_type *type; /* NULL: no module here has the name */
    struct job *jobs;
    size_t n;
    struct ctx cx;
    struct write write;
    enum stage stage;
    bool split;      /* it failed as several jobs and is to be halved */
    bool given_back; /* its last closure handed the jobs back */
    struct str error;
    struct instant again;         /* when it is tried again; 0: never */
    int64_t not_before, deadline; /* steady */
    int64_t run_us;
    _Atomic int64_t lease_until; /* steady; past it, somebody else may have the job */
    /* Of a THREAD job: */
    atomic_bool cancelled; /* somebody wants it to break off */
    bool given_up;         /* past its hard limit: it has failed, and its thread may do what it likes */
    int64_t begun;         /* steady; 0: not yet */
    _Atomic int64_t shown_at;
    struct job_shown shown; /* with the runner's lock */
};

struct work_list {
    struct work *first, *last;
};
void work_list_add(struct work_list *l, struct work *w);
struct work *work_list_take(struct work_list *l); /* NULL: empty */

struct job_queue {
    struct str name;
    bool threads; /* some type of it wants one */
};

/* Jobs are claimed in chunks, the next one while the last is still being run, so that the lane never idles.
 */
#define JOB_CHUNK 512
#define SPARE_ARENAS 64
struct runner {
    const struct job_driver *driver;
    struct runner_setup setup;
    const struct modules *modules;
    struct arena *mem; /* what lives as long as the runner */
    struct job_queue *queues;
    size_t n_queues, turn;

    pthread_mutex_t lock;
    pthread_cond_t dispatch, beat, work; /* for the dispatcher, the heartbeat, workers without work */
    pthread_cond_t watch;                /* for the watch, while nothing runs that it could watch */
    pthread_cond_t idle;                 /* for runner_stop, and workers that try to record something again */
    atomic_bool stopping, woken;
    atomic_bool limited;       /* some queue may have room only now that a job has ended */
    _Atomic int64_t last_beat; /* steady */
    bool looking;              /* the dispatcher is claiming */
    bool abandoned;            /* the grace is over */
    bool come_back;            /* something was added to todo */
    struct work *held;         /* all */
    size_t n_held[KINDS];      /* jobs */
    size_t n_given_up;         /* of them, past their hard limit */
    struct work_list todo;     /* come back, for the dispatcher to hand on */
    struct work_list for_lane, for_worker;
    size_t in_lane;
    struct arena *spare[SPARE_ARENAS];
    size_t n_spare;

    pthread_t threads[3]; /* heartbeat, dispatcher, watch */
    size_t n_threads;
    pthread_t *workers;
    size_t n_workers, workers_max; /* each THREAD job that is given up is made good by another thread */
};

/* On the dispatcher's thread, without the lock: the works of some rows, which live in claimed->mem; they are
 * held. */
MUST_USE enum err work_make(struct runner *r, struct claimed *claimed, struct list jobs, int64_t lease_until,
                            struct work_list *out);
/* The same for one that failed as several: half of its jobs become a work of their own. NULL when memory is
 * out. */
struct work *work_split(struct work *w);
/* With the lock: it has ended; frees it, and its claim's memory with the last of them. */
void work_release(struct work *w);

/* Without the lock. The closure of a stage; and what follows its outcome: false when the work has ended. */
enum err work_closure(struct ctx *cx, void *work);
bool work_next(struct work *w, enum err outcome);
int64_t work_backoff(const struct job *job); /* until the next attempt */
bool work_cancelled(const struct work *w);
int64_t work_time_limit(const struct work *w); /* of a THREAD job */

/* Without the lock: an arena from the spare ones, NULL when memory is out; with it: back to them. A context
 * for it. */
struct arena *runner_take_arena(struct runner *r);
void runner_return_arena(struct runner *r, struct arena *a);
void runner_context(const struct runner *r, struct arena *mem, struct ctx *cx);

int64_t runner_lease_us(const struct runner *r);
void runner_wait(struct runner *r, pthread_cond_t *cond, int64_t until); /* with the lock; steady */

/* The dispatcher's thread: takes jobs from the queues and hands works on until the runner stops. */
void *dispatch_main(void *runner);

/* watch.c: a thread that, once a second while THREAD jobs run, writes down their progress, learns which of
 * them are to be cancelled, and gives up those past their hard limit. */
void *watch_main(void *runner);
void *worker_main(void *runner);

/* hand.c, on the dispatcher's thread without the lock: to a worker or towards the lane; what has come back
 * and is due, returning when to look at the rest (at the latest at latest); fills the lane. */
void hand_on(struct work *w);
int64_t hand_on_todo(struct runner *r, int64_t latest);
void hand_to_lane(struct runner *r);
/* With the lock: back to todo; whether the lane is to be filled again. */
void hand_come_back(struct work *w);
bool hand_room(const struct runner *r);

/* The first row with the name; NULL: none. The queue of a type, also of none. */
const struct job_type *job_type_find(const struct module *const *modules, size_t n, struct str name);
struct str job_type_queue(const struct job_type *type);

enum { CLAIMED, DONE, FAILED, DEAD, LEASES_LOST, READY_NOW, WAIT_TIME, RUN_TIME, JOB_METRICS_N };
extern const struct metric JOB_METRICS[JOB_METRICS_N];

#endif
