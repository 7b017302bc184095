/* The SQL of the table `job`. Where two texts stand side by side, the second passes over rows that another
 * transaction has locked (SKIP LOCKED) and finds them by ctid, which keeps the plan what it is whatever the
 * table's statistics say; SQLite has one writer and needs neither. */
#include "jobs/statements.h"

#include "jobs/jobs.h"

#include "base/banned.h"

#define CLAIMED \
    "org_id, id, name, queue, args, unique_key, request_id, priority, attempts, attempts_max, lease, due_at"
/* A bounded set of rows, the first of an order: by key, and by place. */
#define KEYS_OF(where, order, limit) \
    " WHERE (org_id, id) IN (SELECT org_id, id FROM job WHERE " where " ORDER BY " order " LIMIT " limit ")"
#define PLACES_OF(where, order, limit)                                                               \
    " WHERE ctid = ANY (ARRAY (SELECT ctid FROM job WHERE " where " ORDER BY " order " LIMIT " limit \
    " FOR UPDATE SKIP LOCKED))"

#define CLAIM_SET "UPDATE job SET state = 'running', lease = lease + 1, attempts = attempts + 1, wake_at = $4"
#define CLAIM_OF "state = 'ready' AND queue = $1 AND threaded = $2", "priority, due_at, id", "$3"
#define READY_SET "UPDATE job SET state = 'ready', wake_at = NULL"
#define LAPSED_SET                                                                                    \
    "UPDATE job SET wake_at = CASE WHEN cancel_asked THEN wake_at END,"                               \
    " state = CASE WHEN cancel_asked THEN 'cancelled' WHEN attempts >= attempts_max"                  \
    " THEN 'dead' ELSE 'ready' END,"                                                                  \
    " finished_at = CASE WHEN cancel_asked OR attempts >= attempts_max THEN $2 ELSE finished_at END," \
    " last_error = 'lease-lost: Its worker stopped before the end.'"
#define DUE_OF "state = 'waiting' AND wake_at <= $1", "wake_at", "500"
#define LAPSED_OF "state = 'running' AND wake_at <= $1", "wake_at", "500"
#define DONE_OF "state = 'done' AND wake_at <= $1", "wake_at", "500"
#define CANCELLED_OF "state = 'cancelled' AND wake_at <= $1", "wake_at", "500"
#define PAUSED_OF "org_id = $org AND state = 'paused' AND queue = $1", "id", "500"
#define LIVE "('waiting', 'ready', 'running', 'paused')"
#define APPLY(macro, ...) macro(__VA_ARGS__)

#define FENCE " WHERE org_id = $org AND id = $1 AND lease = $2 AND state = 'running'"
#define PAGE_FILTERS "($5 IS NULL OR state = $5) AND ($6 IS NULL OR queue = $6) AND ($7 IS NULL OR name = $7)"
#define PAGE_FILTERS_PG                                                     \
    "($5::text IS NULL OR state = $5) AND ($6::text IS NULL OR queue = $6)" \
    " AND ($7::text IS NULL OR name = $7)"

#define LAST_SQLITE "x'ffffffffffffffffffffffffffffffff'"
#define LAST_POSTGRES "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid"

#define INSERT_JOB                                                                                       \
    "INSERT INTO job (org_id, id, name, queue, threaded, args, unique_key, request_id, state, priority," \
    " attempts, attempts_max, lease, due_at, wake_at, created_at)"
#define ONE_JOB " VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, 0, $11, $12, $13)"
#define UNLESS_LIVE                           \
    " ON CONFLICT (org_id, name, unique_key)" \
    " WHERE unique_key IS NOT NULL AND state IN " LIVE " DO NOTHING"
const struct stmt JOB_STMTS[] = {
    [JOB_ENQUEUE] = {"job_enqueue", TENANT, INSERT_JOB ONE_JOB UNLESS_LIVE, NULL, NULL},
    [JOB_ENQUEUE_ROWS] =
        {"job_enqueue_rows", TENANT, INSERT_JOB ONE_JOB UNLESS_LIVE,
         INSERT_JOB
         " SELECT $org, u.id, u.name, u.queue, u.threaded, u.args, u.unique_key, u.request_id, u.state,"
         " u.priority, 0, u.attempts_max, 0, u.due_at, u.wake_at, u.created_at FROM unnest($1::uuid[],"
         " $2::text[], $3::text[], $4::boolean[], $5::jsonb[], $6::text[], $7::text[], $8::text[],"
         " $9::bigint[], $10::bigint[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[]) AS u(id,"
         " name, queue, threaded, args, unique_key, request_id, state, priority, attempts_max, due_at,"
         " wake_at, created_at)" UNLESS_LIVE,
         NULL},
    [JOB_CLAIM] = {"job_claim", SYSTEM, CLAIM_SET APPLY(KEYS_OF, CLAIM_OF) " RETURNING " CLAIMED,
                   CLAIM_SET APPLY(PLACES_OF, CLAIM_OF) " RETURNING " CLAIMED, &JOB_CLAIMED},
    /* $2: organisation and id of each, end to end; $3: their leases as a JSON array. */
    [JOB_EXTEND] =
        {"job_extend", SYSTEM,
         "UPDATE job SET wake_at = $1 WHERE +state = 'running' AND (org_id, id, lease) IN"
         " (SELECT substr($2, e.key * 32 + 1, 16), substr($2, e.key * 32 + 17, 16), e.value"
         " FROM json_each($3) e) RETURNING id",
         "UPDATE job SET wake_at = $1 WHERE ctid = ANY (ARRAY (SELECT j.ctid FROM"
         " jsonb_array_elements_text($3::jsonb) WITH ORDINALITY e (lease, n) CROSS JOIN LATERAL"
         " (SELECT ctid FROM job WHERE"
         " org_id = encode(substr($2::bytea, ((n - 1) * 32 + 1)::int, 16), 'hex')::uuid"
         " AND id = encode(substr($2::bytea, ((n - 1) * 32 + 17)::int, 16), 'hex')::uuid"
         " AND lease = e.lease::bigint AND state = 'running' FOR UPDATE SKIP LOCKED) j)) RETURNING id",
         &JOB_KEY},
    [JOB_HOLD] = {"job_hold", TENANT, "UPDATE job SET lease = lease" FENCE, NULL, NULL},
    [JOB_FINISH] = {"job_finish", TENANT, "DELETE FROM job" FENCE, NULL, NULL},
    /* $1: their ids, end to end; $2: their leases as a JSON array. */
    [JOB_FINISH_MANY] =
        {"job_finish_many", TENANT,
         "DELETE FROM job WHERE org_id = $org AND +state = 'running' AND (id, lease) IN"
         " (SELECT substr($1, e.key * 16 + 1, 16), e.value FROM json_each($2) e)",
         "DELETE FROM job WHERE ctid = ANY (ARRAY (SELECT j.ctid FROM"
         " jsonb_array_elements_text($2::jsonb) WITH ORDINALITY e (lease, n) CROSS JOIN LATERAL"
         " (SELECT ctid FROM job WHERE org_id = $org"
         " AND id = encode(substr($1::bytea, ((n - 1) * 16 + 1)::int, 16), 'hex')::uuid"
         " AND lease = e.lease::bigint AND state = 'running' FOR UPDATE) j))",
         NULL},
    [JOB_KEEP] = {"job_keep", TENANT,
                  "UPDATE job SET state = 'done', finished_at = $3, wake_at = $4, last_error = NULL,"
                  " result = $5" FENCE,
                  NULL, NULL},
    [JOB_CANCELLED] =
        {"job_cancelled", TENANT,
         "UPDATE job SET state = 'cancelled', finished_at = $3, wake_at = $4, last_error = $5" FENCE
         " AND cancel_asked",
         NULL, NULL},
    [JOB_FAIL] =
        {"job_fail", TENANT,
         "UPDATE job SET state = $3, due_at = $4, wake_at = $5, finished_at = $6, last_error = $7" FENCE,
         NULL, NULL},
    [JOB_GIVE_BACK] = {"job_give_back", TENANT,
                       "UPDATE job SET state = 'ready', wake_at = NULL, attempts = attempts - 1" FENCE, NULL,
                       NULL},
    [JOB_SET_ASIDE] = {"job_set_aside", TENANT,
                       "UPDATE job SET state = 'paused', wake_at = NULL, attempts = attempts - 1" FENCE, NULL,
                       NULL},
    [JOB_PROGRESS] = {"job_progress", TENANT,
                      "UPDATE job SET progress_done = $3, progress_total = $4, progress_text = $5" FENCE,
                      NULL, NULL},
    [JOB_CANCEL_ASKED] = {"job_cancel_asked", SYSTEM,
                          "SELECT id FROM job WHERE state = 'running' AND cancel_asked", NULL, &JOB_KEY},
    [JOB_RULES] = {"job_rules", SYSTEM, "SELECT org_id, name, state, concurrency FROM job_queue", NULL,
                   &JOB_RULE},
    [JOB_RULE_HOLD] = {"job_rule_hold", TENANT,
                       "UPDATE job_queue SET concurrency = concurrency WHERE org_id = $org AND name = $1",
                       NULL, NULL},
    [JOB_COUNT_RUNNING] = {"job_count_running", SYSTEM,
                           "SELECT count(*) AS n FROM job WHERE state = 'running' AND wake_at IS NOT NULL"
                           " AND queue = $1",
                           NULL, &JOB_COUNT},
    [JOB_RELEASE] = {"job_release", TENANT, READY_SET APPLY(KEYS_OF, PAUSED_OF),
                     READY_SET APPLY(PLACES_OF, PAUSED_OF), NULL},
    [JOB_RULE_OPEN] = {"job_rule_open", TENANT,
                       "UPDATE job_queue SET state = 'open' WHERE org_id = $org AND name = $1"
                       " AND state = 'resuming'",
                       NULL, NULL},
    /* $1 is for PostgreSQL: there other processes may be alive, and their leases are waited for. */
    [JOB_RECOVER] = {"job_recover", SYSTEM,
                     LAPSED_SET " WHERE state = 'running' AND wake_at IS NOT NULL AND $1 IS NOT NULL",
                     LAPSED_SET APPLY(PLACES_OF, LAPSED_OF), NULL},
    [JOB_SWEEP_DUE] = {"job_sweep_due", SYSTEM, READY_SET APPLY(KEYS_OF, DUE_OF),
                       READY_SET APPLY(PLACES_OF, DUE_OF), NULL},
    [JOB_SWEEP_LAPSED] = {"job_sweep_lapsed", SYSTEM, LAPSED_SET APPLY(KEYS_OF, LAPSED_OF),
                          LAPSED_SET APPLY(PLACES_OF, LAPSED_OF), NULL},
    [JOB_SWEEP_DONE] = {"job_sweep_done", SYSTEM, "DELETE FROM job" APPLY(KEYS_OF, DONE_OF),
                        "DELETE FROM job" APPLY(PLACES_OF, DONE_OF), NULL},
    [JOB_SWEEP_CANCELLED] = {"job_sweep_cancelled", SYSTEM, "DELETE FROM job" APPLY(KEYS_OF, CANCELLED_OF),
                             "DELETE FROM job" APPLY(PLACES_OF, CANCELLED_OF), NULL},
    [JOB_NEXT_DUE] =
        {"job_next_due", SYSTEM,
         "SELECT wake_at FROM job WHERE state = 'waiting' AND wake_at IS NOT NULL ORDER BY wake_at LIMIT 1",
         NULL, &JOB_WAKE},
    [JOB_COUNT_READY] = {"job_count_ready", SYSTEM,
                         "SELECT count(*) AS n FROM (SELECT 1 FROM job WHERE state = 'ready' AND queue = $1"
                         " LIMIT $2) AS counted",
                         NULL, &JOB_COUNT},
    [JOB_GET] = {"job_get", TENANT, "SELECT " JOB_COLUMNS " FROM job WHERE org_id = $org AND id = $1", NULL,
                 &JOB},
    [JOB_RETRY] =
        {"job_retry", TENANT,
         "UPDATE job SET state = 'ready', attempts = 0, due_at = $2, wake_at = NULL, finished_at = NULL,"
         " cancel_asked = FALSE"
         " WHERE org_id = $org AND id = $1 AND state IN ('dead', 'cancelled', 'waiting') AND NOT EXISTS"
         " (SELECT 1 FROM job live WHERE live.org_id = $org AND live.name = job.name"
         " AND live.unique_key = job.unique_key AND live.id <> job.id"
         " AND live.state IN " LIVE ")",
         NULL, NULL},
    [JOB_DROP] = {"job_drop", TENANT,
                  "DELETE FROM job WHERE org_id = $org AND id = $1 AND state <> 'running'", NULL, NULL},
    /* One that waits longer than its new due time, or not as long, is the sweep's to find. */
    [JOB_CHANGE] = {"job_change", TENANT,
                    "UPDATE job SET args = $2, priority = $3, due_at = $4,"
                    " state = CASE WHEN state = 'ready' THEN 'waiting' ELSE state END,"
                    " wake_at = CASE WHEN state IN ('ready', 'waiting') THEN $5 ELSE wake_at END"
                    " WHERE org_id = $org AND id = $1"
                    " AND state IN ('waiting', 'ready', 'paused', 'dead', 'cancelled')",
                    NULL, NULL},
    [JOB_CANCEL_IDLE] = {"job_cancel_idle", TENANT,
                         "UPDATE job SET state = 'cancelled', cancel_asked = TRUE, finished_at = $2,"
                         " wake_at = $3, last_error = $4 WHERE org_id = $org AND id = $1"
                         " AND state IN ('waiting', 'ready', 'paused', 'dead')",
                         NULL, NULL},
    [JOB_CANCEL_RUNNING] = {"job_cancel_running", TENANT,
                            "UPDATE job SET cancel_asked = TRUE"
                            " WHERE org_id = $org AND id = $1 AND state = 'running'",
                            NULL, NULL},
    [JOB_PAGE] = {"job_page", TENANT,
                  "SELECT " JOB_COLUMNS " FROM job WHERE org_id = $org AND id < COALESCE($3, " LAST_SQLITE ")"
                  " AND $4 IS NULL AND " PAGE_FILTERS " ORDER BY id DESC LIMIT $1 OFFSET $2",
                  "SELECT " JOB_COLUMNS " FROM job WHERE org_id = $org"
                  " AND id < COALESCE($3, " LAST_POSTGRES ")"
                  " AND $4::text IS NULL AND " PAGE_FILTERS_PG " ORDER BY id DESC LIMIT $1 OFFSET $2",
                  &JOB},
    /* The cursor's organisation is NULL where it is nil. */
    [JOB_PAGE_ALL] = {"job_page_all", SYSTEM,
                      "SELECT " JOB_COLUMNS
                      " FROM job WHERE (org_id, id) < (CASE WHEN $4 IS NULL THEN " LAST_SQLITE
                      " ELSE COALESCE($3, zeroblob(16)) END, COALESCE($4, " LAST_SQLITE "))"
                      " AND " PAGE_FILTERS " ORDER BY org_id DESC, id DESC LIMIT $1 OFFSET $2",
                      "SELECT " JOB_COLUMNS
                      " FROM job WHERE (org_id, id) < (CASE WHEN $4::uuid IS NULL THEN " LAST_POSTGRES
                      " ELSE COALESCE($3, '00000000-0000-0000-0000-000000000000'::uuid) END,"
                      " COALESCE($4, " LAST_POSTGRES "))"
                      " AND " PAGE_FILTERS_PG " ORDER BY org_id DESC, id DESC LIMIT $1 OFFSET $2",
                      &JOB},
};
