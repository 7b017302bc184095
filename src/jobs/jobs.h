/* Jobs: work that outlives its request. A job is enqueued in the transaction of the data that caused it,
 * claimed under a lease with a fencing token, and finished in the transaction of its effect, so that a crash
 * at any instruction leaves nothing or the whole effect. At least once; every job type is idempotent.
 *
 * States: waiting (due later) → ready → running → (gone | done | waiting again, backing off | dead |
 * cancelled). paused: set aside while its queue is paused. The sweep makes ready what was waiting and is due,
 * and what was running when its lease ended: that is how delays end and how the jobs of a crashed process are
 * found. Where to start reading: driver.h, then work.h, then runner.c. */
#ifndef JOBS_JOBS_H
#define JOBS_JOBS_H

#include "base/module.h"
#include "base/settings.h"
#include "db/db.h"

struct work;
struct job {
    struct uuid id, org_id; /* org nil: belongs to the server */
    struct str name, queue;
    struct json args;
    struct str unique_key, request_id, state, last_error;
    int64_t priority; /* smaller first */
    int64_t attempts, attempts_max;
    int64_t lease; /* the fencing token: grows with every claim; 0: in the foreground, without a row */
    struct instant due_at, created_at, finished_at;
    bool cancel_asked; /* it is running, and somebody wants it to break off */
    struct optional_int progress_done, progress_total;
    struct str progress_text;
    struct json result;
    struct work *work; /* the runner's, for job_cancelled and the like; NULL outside one */
};
extern const struct schema JOB;

/* CLOSURE: run is itself the closure, in the writer, in one transaction with the job's end. THREAD: run is
 * called on a worker thread without a transaction, may take long, and does its writes with job_write, which
 * checks the lease.
 *
 * What run fails with decides what comes next (base/err.def): RETRY waits 1 s · 2^attempts up to 1 h, ± 20 %,
 * PERMANENT and the last attempt go to the dead letters. A name that no module here has is retried in the
 * same way, because during an update another process may have it. */
enum job_mode { JOB_CLOSURE = 1, JOB_THREAD };

struct job_type {
    const char *name, *queue; /* queue NULL: default */
    enum job_mode mode;
    enum err (*run)(struct ctx *cx, const struct job *job);
    const struct schema *args; /* its CREATE fields: what people give it is checked by them; NULL: anything */
    int64_t attempts_max;      /* 0: 12 */
    int64_t priority;          /* of those that name none; smaller goes first */
    /* How long one attempt may take. THREAD: after time_limit_us (0: 5 minutes) job_cancelled says so; after
     * hard_limit_us (0: twice that) the attempt has failed whatever its thread still does: a thread cannot be
     * ended from outside, but its writes are refused from then on, and another thread takes its place.
     * CLOSURE: one that took longer than time_limit_us (0: 30 s) is rolled back and has failed. */
    int64_t time_limit_us, hard_limit_us;
    bool keep_done;  /* leave a row in state done; else success deletes the row */
    int64_t keep_us; /* for how long; 0: a week */
    /* When it is run by itself (jobs/cron.h), with {} for arguments; NULL: never. It comes once whatever the
     * number of processes, once for all the times that were missed, and not while the one before still waits
     * or runs. zone: NULL for TIME_ZONE. An organisation can say otherwise for itself. */
    const char *schedule, *zone;
    bool of_server; /* one schedule for the server; else one for each organisation */
    bool by_hand;   /* POST /api/v1/jobs may enqueue it; what has a schedule may be run by hand anyway */
    /* CLOSURE only: jobs of one organisation that were claimed together may share a transaction; if one of
     * them fails they are run again one by one. For small effects that lock no row which others lock in
     * another order. */
    int64_t batch; /* how many at most; 0: each by itself */
    enum err (*run_all)(struct ctx *cx, const struct job *jobs, size_t n); /* optional: such a lot at once */
    const char *doc;
};

/* What is wrong with the arguments of a job that a person asks for: ERR_INVALID, with fields as "args.since".
 */
MUST_USE enum err job_args_check(struct ctx *cx, const struct job_type *type, struct json args);

struct job_new {
    const char *name;
    struct json args;      /* an object; no value: {} */
    struct str unique_key; /* no second live job of this name, organisation and key; no value: any number */
    struct instant due_at; /* 0: now */
    int64_t priority;      /* 0: the type's; smaller goes first */
    struct uuid id;        /* nil: a new one; for callers that want to name the job before it is there */
};
#define JOB_ARGS_MAX (1024 * 1024)
/* In cx's transaction, for cx's organisation. An existing live job of the same unique key is left as it is.
 * Queue and attempts come from the type's row; a name that no module has goes to the queue default.
 * ERR_TOO_LARGE for arguments of more than JOB_ARGS_MAX bytes. */
MUST_USE enum err jobs_enqueue(struct ctx *cx, const struct job_new *job);
/* The same, and says which job it became; nil where the unique key was taken. */
MUST_USE enum err jobs_enqueue_id(struct ctx *cx, const struct job_new *job, struct uuid *id);
/* The row of jobs_enqueue as a step of db_steps; its arguments live in cx->mem. */
MUST_USE enum err jobs_enqueue_step(struct ctx *cx, const struct job_new *job, struct step *out);
/* The same as one more row of what several enqueue at once. */
MUST_USE enum err jobs_enqueue_row(struct steps *rows, struct ctx *cx, const struct job_new *job);
/* In the transaction that enqueued it: it never was. For who learns only then that it is not needed. */
MUST_USE enum err jobs_take_back(struct ctx *cx, struct uuid id);

/* The job is to break off: somebody cancelled it, its time is up, its lease is lost, or the server stops. A
 * THREAD job that takes long asks now and then and returns ERR_UNAVAILABLE; what becomes of it then follows
 * from the reason: it is cancelled, has failed, or is handed back and not counted. */
bool job_cancelled(const struct job *job);
/* In a THREAD job: how far it is, for people; total 0: nobody knows. Cheap, to be called for every row: it is
 * written down once a second. text is cut to 200 bytes. */
void job_progress(const struct job *job, int64_t done, int64_t total, struct str text);
/* What came of it, an object; kept with the row of a type that has keep_done. The last call counts. */
MUST_USE enum err job_result(struct ctx *cx, const struct job *job, struct json result);
/* In a THREAD job: the closure runs only while the lease holds; ERR_LEASE_LOST else. */
MUST_USE enum err job_write(struct ctx *cx, const struct job *job, enum err (*run)(struct ctx *cx, void *arg),
                            void *arg);

struct runner;
struct runner_setup {
    const struct module *const *modules;
    size_t n_modules;
    struct settings *settings;
    struct metrics *metrics;
    struct log *log;
    const struct clock *clock;
    struct db *db;
    void *app;                 /* becomes cx->app */
    const char *const *queues; /* NULL: all; NULL-terminated */
    int64_t workers;           /* threads for THREAD jobs; 0: they are left to other processes */
    int64_t lease_us;          /* 0: 10 s */
};
/* Starts claiming, the heartbeat and the sweep, and sets the database's commit hook to runner_wake. What jobs
 * find in cx->modules is the starter's. At most one runner a process: on SQLite it takes what it finds
 * running for orphaned. */
MUST_USE enum err runner_start(struct ctx *cx, const struct runner_setup *setup, struct runner **out);
void runner_wake(struct runner *r); /* any thread; cheap */
/* No new claims, what is not begun is handed back, what runs may end within grace_us, all is freed. A THREAD
 * job that runs on after that keeps its thread and its lease, and the runner's memory is left to the end of
 * the process. */
void runner_stop(struct runner *r, int64_t grace_us);
/* One job at once in the foreground, without the queue and for cx's organisation: `entrepot jobs run`. Of
 * setup, only the modules are used. */
MUST_USE enum err runner_foreground(struct ctx *cx, const struct runner_setup *setup, struct str name,
                                    struct str args);

struct scheduler;
/* Runs the schedules of the modules, as long as no other process does: one at a time holds a lease. workers,
 * queues and lease_us of the setup are not looked at. */
MUST_USE enum err scheduler_start(struct ctx *cx, const struct runner_setup *setup, struct scheduler **out);
void scheduler_stop(struct scheduler *s);

extern const struct module JOBS_MODULE, QUEUE_MODULE, SCHEDULE_MODULE;

#endif
