-- Jobs. A row is inserted, claimed and deleted thousands of times a second, so it has few indexes and each
-- holds only the rows that somebody looks for. org_id is nil for jobs of the server itself, so it references
-- nothing. wake_at is when the sweep looks at the row: the time of a waiting job, the end of the lease of a
-- running one, the end of the keeping of a done one.
CREATE TABLE job (
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
{tenant job}
CREATE INDEX job_ready ON job (queue, threaded, priority, due_at, id) WHERE state = 'ready';
CREATE INDEX job_wake ON job (state, wake_at) WHERE wake_at IS NOT NULL;
CREATE UNIQUE INDEX job_unique ON job (org_id, name, unique_key)
    WHERE unique_key IS NOT NULL AND state IN ('waiting', 'ready', 'running');
{postgres}
-- Dead rows of a queue are what makes it slow: clean up early and without pauses.
ALTER TABLE job SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 50000
);
{end}

-- down
DROP TABLE job;
