/* The statements of the table `job`, in one table as the module wants them, and what their rows read into. */
#ifndef JOBS_STATEMENTS_H
#define JOBS_STATEMENTS_H

#include "db/db.h"

enum job_stmt {
    JOB_ENQUEUE,
    JOB_CLAIM,
    JOB_EXTEND,
    JOB_HOLD,
    JOB_FINISH,
    JOB_FINISH_MANY,
    JOB_KEEP,
    JOB_FAIL,
    JOB_GIVE_BACK,
    JOB_RECOVER,
    JOB_SWEEP_DUE,
    JOB_SWEEP_LAPSED,
    JOB_SWEEP_DONE,
    JOB_NEXT_DUE,
    JOB_COUNT_READY,
    JOB_GET,
    JOB_RETRY,
    JOB_DROP,
    JOB_PAGE,     /* of an organisation, the newest first */
    JOB_PAGE_ALL, /* of all, by organisation and then the newest first */
    JOB_STMTS_N
};
extern const struct stmt JOB_STMTS[JOB_STMTS_N];

struct job_key {
    struct uuid id;
};
struct job_wake {
    struct instant wake_at;
};
struct job_count {
    int64_t n;
};
extern const struct schema JOB_KEY, JOB_WAKE, JOB_COUNT;

#endif
