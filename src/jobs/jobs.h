/* Jobs: work that outlives its request. A job is enqueued in the transaction of the data that caused it,
 * claimed under a lease with a fencing token, and finished in the transaction of its effect, so that a crash
 * at any instruction leaves nothing or the whole effect. At least once; every job type is idempotent.
 *
 * States: waiting (due later) → ready → running → (gone | done | waiting again, backing off | dead). The
 * sweep makes ready what was waiting and is due, and what was running when its lease ended: that is how
 * delays end and how the jobs of a crashed process are found. Where to start reading: driver.h, then work.h,
 * then runner.c. */
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
    const struct work *work; /* the runner's, for job_cancelled; NULL outside one */
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
    int64_t attempts_max;  /* 0: 12 */
    int64_t time_limit_us; /* THREAD only: then job_cancelled says so; 0: 5 minutes */
    bool keep_done;        /* leave a row in state done for a week; else success deletes the row */
    /* CLOSURE only: jobs of one organisation that were claimed together may share a transaction; if one of
     * them fails they are run again one by one. For small effects that lock no row which others lock in
     * another order. */
    int64_t batch; /* how many at most; 0: each by itself */
    enum err (*run_all)(struct ctx *cx, const struct job *jobs, size_t n); /* optional: such a lot at once */
    const char *doc;
};

struct job_new {
    const char *name;
    struct json args;      /* an object; no value: {} */
    struct str unique_key; /* no second live job of this name, organisation and key; no value: any number */
    struct instant due_at; /* 0: now */
    int64_t priority;      /* 0: as others; smaller goes first */
    struct uuid id;        /* nil: a new one; for callers that want to name the job before it is there */
};
#define JOB_ARGS_MAX (1024 * 1024)
/* In cx's transaction, for cx's organisation. An existing live job of the same unique key is left as it is.
 * Queue and attempts come from the type's row; a name that no module has goes to the queue default.
 * ERR_TOO_LARGE for arguments of more than JOB_ARGS_MAX bytes. */
MUST_USE enum err jobs_enqueue(struct ctx *cx, const struct job_new *job);
/* The row of jobs_enqueue as a step of db_steps; its arguments live in cx->mem. */
MUST_USE enum err jobs_enqueue_step(struct ctx *cx, const struct job_new *job, struct step *out);
/* In the transaction that enqueued it: it never was. For who learns only then that it is not needed. */
MUST_USE enum err jobs_take_back(struct ctx *cx, struct uuid id);

/* The job is to break off: its time is up, its lease is lost, or the server stops. A THREAD job that takes
 * long asks now and then and returns ERR_UNAVAILABLE; one that does so while the server stops is handed back,
 * not counted. */
bool job_cancelled(const struct job *job);
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

extern const struct module JOBS_MODULE;

#endif
