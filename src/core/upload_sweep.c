/* The job `uploads.sweep`: nothing stays half read, and nothing is kept for ever that nobody asked to keep.
 */
#include "core/upload.h"
#include "jobs/jobs.h"

#include "base/banned.h"

#define READING_US (15 * 60 * US_PER_S) /* a file that takes longer is read by nobody any more */
#define ROWS_AT_ONCE 200

struct doomed {
    struct uuid id;
};
static const struct field DOOMED_FIELDS[] = {FIELD(struct doomed, id, ROW, "An upload.")};
static const struct schema DOOMED = SCHEMA(struct doomed, "UploadToDrop", DOOMED_FIELDS);

enum { FAIL_READING, FAIL_READY, NEXT, DROP_ROWS, DROPPED };
static const struct stmt SQL[] = {
    [FAIL_READING] = {"upload_fail_reading", TENANT,
                      "UPDATE upload SET state = 'failed', problem = $2 WHERE org_id = $org"
                      " AND dropped_at IS NULL AND created_at < $1 AND state = 'reading'",
                      NULL, NULL},
    /* It can be applied no more before the first of its rows goes. */
    [FAIL_READY] = {"upload_fail_ready", TENANT,
                    "UPDATE upload SET state = 'failed', problem = $2 WHERE org_id = $org"
                    " AND dropped_at IS NULL AND created_at < $1 AND state = 'ready'",
                    NULL, NULL},
    [NEXT] = {"upload_next_to_drop", TENANT,
              "SELECT id FROM upload WHERE org_id = $org AND dropped_at IS NULL"
              " AND (state = 'failed' OR (state = 'applied' AND created_at < $1 AND applied_at < $1))"
              " ORDER BY created_at LIMIT 1",
              NULL, &DOOMED},
    [DROP_ROWS] = {"upload_drop_some_rows", TENANT,
                   "DELETE FROM upload_row WHERE org_id = $org AND upload_id = $1 AND row_number IN"
                   " (SELECT row_number FROM upload_row WHERE org_id = $org AND upload_id = $1"
                   " ORDER BY row_number LIMIT $2)",
                   NULL, NULL},
    [DROPPED] = {"upload_dropped", TENANT,
                 "UPDATE upload SET dropped_at = $2 WHERE org_id = $org AND id = $1", NULL, NULL},
};

struct sweep {
    struct instant before; /* what is older than this has been kept long enough */
    int64_t rows;
    bool more;
};

static enum err fail_old(struct ctx *cx, void *arg) {
    const struct sweep *s = arg;
    struct instant begun = {cx->now.us - READING_US};
    struct steps steps = {.cx = cx};
    steps_add(&steps, &SQL[FAIL_READING],
              ARGS(A(begun), A(S("The server ended while it read the file; upload it again."))), NULL);
    steps_add(&steps, &SQL[FAIL_READY],
              ARGS(A(s->before), A(S("It was not applied in time (UPLOAD_DAYS); upload it again."))), NULL);
    return steps_run(&steps);
}

static enum err drop_some(struct ctx *cx, void *arg) {
    struct sweep *s = arg;
    struct doomed d;
    int64_t n;
    enum err e = db_get(cx, &SQL[NEXT], ARGS(A(s->before)), &d, &s->more);
    if (e || !s->more)
        return e;
    if ((e = db_exec(cx, &SQL[DROP_ROWS], ARGS(A(d.id), A((int64_t)ROWS_AT_ONCE)), &n)))
        return e;
    s->rows += n;
    return n == ROWS_AT_ONCE ? OK : db_exec(cx, &SQL[DROPPED], ARGS(A(d.id), A(cx->now)), NULL);
}

static enum err sweep(struct ctx *cx, const struct job *job) {
    int64_t days = setting_int(cx->modules->settings, "UPLOAD_DAYS");
    struct sweep s = {.before = {days ? cx->now.us - days * 24 * 3600 * US_PER_S : 0}, .more = true};
    enum err e = job_write(cx, job, fail_old, &s);
    while (!e && s.more) {
        struct sweep again = s; /* a closure may run twice */
        e = job_cancelled(job) ? fail(cx, ERR_UNAVAILABLE, "The job was broken off.")
                               : job_write(cx, job, drop_some, &again);
        if (!e)
            s = again;
        job_progress(job, s.rows, 0, S("rows dropped"));
    }
    return e;
}

static const struct job_type JOBS[] = {
    {.name = "uploads.sweep",
     .mode = JOB_THREAD,
     .run = sweep,
     .schedule = "7-59/15 * * * *",
     .doc = "Ends uploads that were not read to their end, and drops the rows of those that are UPLOAD_DAYS "
            "old."},
};
static const struct setting SETTINGS[] = {
    {.name = "UPLOAD_DAYS",
     .type = SETTING_INT,
     .fallback = "0",
     .min = 0,
     .max = 36500,
     .doc =
         "After how many days the rows of an applied upload are dropped, and one that was not applied fails; "
         "what it came to, and its exceptions, stay. 0 keeps them."},
};

const struct module UPLOAD_SWEEP_MODULE = {
    .name = "upload-sweep", TABLE(stmts, SQL), TABLE(jobs, JOBS), TABLE(settings, SETTINGS)};
