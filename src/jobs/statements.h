/* The statements of the table `job`, in one table as the module wants them, and what their rows read into. */
#ifndef JOBS_STATEMENTS_H
#define JOBS_STATEMENTS_H

#include "db/db.h"

enum job_stmt {
    JOB_ENQUEUE,
    JOB_ENQUEUE_ROWS,
    JOB_CLAIM,
    JOB_EXTEND,
    JOB_HOLD,
    JOB_FINISH,
    JOB_FINISH_MANY,
    JOB_KEEP,
    JOB_CANCELLED, /* one that failed or is given back, if somebody asked for it */
    JOB_FAIL,
    JOB_GIVE_BACK,
    JOB_SET_ASIDE,
    JOB_PROGRESS,
    JOB_CANCEL_ASKED,
    JOB_RULES,
    JOB_RULE_HOLD,
    JOB_COUNT_RUNNING,
    JOB_RELEASE,
    JOB_RULE_OPEN,
    JOB_RECOVER,
    JOB_SWEEP_DUE,
    JOB_SWEEP_LAPSED,
    JOB_SWEEP_DONE,
    JOB_SWEEP_CANCELLED,
    JOB_NEXT_DUE,
    JOB_COUNT_READY,
    JOB_GET,
    JOB_RETRY,
    JOB_DROP,
    JOB_CHANGE,
    JOB_CANCEL_IDLE,
    JOB_CANCEL_RUNNING,
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
/* All columns of a job as JOB reads them; what is left out when one is claimed has its first value then. */
#define JOB_COLUMNS                                                                       \
    "org_id, id, name, queue, args, unique_key, request_id, state, last_error, priority," \
    " attempts, attempts_max, lease, due_at, created_at, finished_at, cancel_asked,"      \
    " progress_done, progress_total, progress_text, result"
extern const struct schema JOB_KEY, JOB_WAKE, JOB_COUNT, JOB_CLAIMED, JOB_RULE;

#endif
