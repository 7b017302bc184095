-- Jobs whole: cancelled and paused jobs, progress, results; queues that are paused or limited; schedules.
{sqlite}
CREATE TABLE job_whole (
    org_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    name {text} NOT NULL,
    queue {text} NOT NULL,
    threaded {bool} NOT NULL,
    args {json} NOT NULL,
    unique_key {text},
    request_id {text},
    state {text} NOT NULL
        CHECK (state IN ('waiting', 'ready', 'running', 'paused', 'done', 'cancelled', 'dead')),
    last_error {text},
    priority {int} NOT NULL,
    attempts {int} NOT NULL,
    attempts_max {int} NOT NULL,
    lease {int} NOT NULL,
    due_at {time} NOT NULL,
    wake_at {time},
    created_at {time} NOT NULL,
    finished_at {time},
    cancel_asked {bool} NOT NULL DEFAULT FALSE,
    progress_done {int},
    progress_total {int},
    progress_text {text},
    result {json},
    PRIMARY KEY (org_id, id)
{table_keyed}
INSERT INTO job_whole SELECT org_id, id, name, queue, threaded, args, unique_key, request_id, state,
    last_error, priority, attempts, attempts_max, lease, due_at, wake_at, created_at, finished_at,
    FALSE, NULL, NULL, NULL, NULL FROM job;
DROP TABLE job;
ALTER TABLE job_whole RENAME TO job;
CREATE INDEX job_ready ON job (queue, threaded, priority, due_at, id) WHERE state = 'ready';
CREATE INDEX job_wake ON job (state, wake_at) WHERE wake_at IS NOT NULL;
CREATE UNIQUE INDEX job_unique ON job (org_id, name, unique_key)
    WHERE unique_key IS NOT NULL AND state IN ('waiting', 'ready', 'running', 'paused');
{end}
{postgres}
ALTER TABLE job DROP CONSTRAINT job_state_check;
ALTER TABLE job
    ADD CONSTRAINT job_state_check
        CHECK (state IN ('waiting', 'ready', 'running', 'paused', 'done', 'cancelled', 'dead')),
    ADD COLUMN cancel_asked {bool} NOT NULL DEFAULT FALSE,
    ADD COLUMN progress_done {int},
    ADD COLUMN progress_total {int},
    ADD COLUMN progress_text {text},
    ADD COLUMN result {json};
DROP INDEX job_unique;
CREATE UNIQUE INDEX job_unique ON job (org_id, name, unique_key)
    WHERE unique_key IS NOT NULL AND state IN ('waiting', 'ready', 'running', 'paused');
{end}
CREATE INDEX job_paused ON job (org_id, queue, id) WHERE state = 'paused';
CREATE INDEX job_cancel ON job (org_id, id) WHERE state = 'running' AND cancel_asked;

-- What was said about a queue: by an organisation for its own jobs, by the operator (org_id nil) for all.
-- resuming: the jobs that were set aside are being let go, a part at a time.
CREATE TABLE job_queue (
    org_id {uuid} NOT NULL,
    name {text} NOT NULL,
    state {text} NOT NULL CHECK (state IN ('open', 'paused', 'resuming')),
    concurrency {int} CHECK (concurrency > 0),
    changed_at {time} NOT NULL,
    changed_by {text} NOT NULL,
    PRIMARY KEY (org_id, name)
{table_keyed}
{tenant job_queue}

-- One row for each organisation and scheduled type of job (org_id nil: a job of the server). cron and
-- time_zone are what next_at was worked out by: own_cron and own_time_zone, or else those of the type.
CREATE TABLE job_schedule (
    org_id {uuid} NOT NULL,
    name {text} NOT NULL,
    cron {text} NOT NULL,
    time_zone {text} NOT NULL,
    own_cron {text},
    own_time_zone {text},
    paused {bool} NOT NULL,
    next_at {time},
    last_at {time},
    fired {int} NOT NULL,
    skipped {int} NOT NULL,
    PRIMARY KEY (org_id, name)
{table_keyed}
{tenant job_schedule}
CREATE INDEX job_schedule_next ON job_schedule (next_at) WHERE next_at IS NOT NULL AND NOT paused;

-- What one process at a time may do, and until when.
CREATE TABLE job_leader (
    name {text} NOT NULL PRIMARY KEY,
    holder {uuid} NOT NULL,
    held_until {time} NOT NULL
{table_keyed}

-- down
DROP TABLE job_leader;
DROP TABLE job_schedule;
DROP TABLE job_queue;
DROP INDEX job_paused;
DROP INDEX job_cancel;
UPDATE job SET state = 'ready' WHERE state = 'paused';
UPDATE job SET state = 'dead', wake_at = NULL WHERE state = 'cancelled';
{sqlite}
CREATE TABLE job_before (
    org_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    name {text} NOT NULL,
    queue {text} NOT NULL,
    threaded {bool} NOT NULL,
    args {json} NOT NULL,
    unique_key {text},
    request_id {text},
    state {text} NOT NULL CHECK (state IN ('waiting', 'ready', 'running', 'done', 'dead')),
    last_error {text},
    priority {int} NOT NULL,
    attempts {int} NOT NULL,
    attempts_max {int} NOT NULL,
    lease {int} NOT NULL,
    due_at {time} NOT NULL,
    wake_at {time},
    created_at {time} NOT NULL,
    finished_at {time},
    PRIMARY KEY (org_id, id)
{table_keyed}
INSERT INTO job_before SELECT org_id, id, name, queue, threaded, args, unique_key, request_id, state,
    last_error, priority, attempts, attempts_max, lease, due_at, wake_at, created_at, finished_at FROM job;
DROP TABLE job;
ALTER TABLE job_before RENAME TO job;
CREATE INDEX job_ready ON job (queue, threaded, priority, due_at, id) WHERE state = 'ready';
CREATE INDEX job_wake ON job (state, wake_at) WHERE wake_at IS NOT NULL;
CREATE UNIQUE INDEX job_unique ON job (org_id, name, unique_key)
    WHERE unique_key IS NOT NULL AND state IN ('waiting', 'ready', 'running');
{end}
{postgres}
DROP INDEX job_unique;
CREATE UNIQUE INDEX job_unique ON job (org_id, name, unique_key)
    WHERE unique_key IS NOT NULL AND state IN ('waiting', 'ready', 'running');
ALTER TABLE job DROP CONSTRAINT job_state_check;
ALTER TABLE job
    ADD CONSTRAINT job_state_check CHECK (state IN ('waiting', 'ready', 'running', 'done', 'dead')),
    DROP COLUMN cancel_asked,
    DROP COLUMN progress_done,
    DROP COLUMN progress_total,
    DROP COLUMN progress_text,
    DROP COLUMN result;
{end}
