-- Runs of the feeds: what each phase came to, recorded in the transaction of its effect, so that a run that
-- was killed goes on behind what is written here. run_date is YYYY-MM-DD.
CREATE TABLE feed_run (
    org_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    run_date {text} NOT NULL,
    bucket {text},
    store {text},
    origin {text},
    state {text} NOT NULL CHECK (state IN ('running', 'done', 'warned', 'stopped', 'failed')),
    message {text},
    started_at {time} NOT NULL,
    finished_at {time},
    actor {text} NOT NULL,
    PRIMARY KEY (org_id, id)
{table_keyed}
{tenant feed_run}
CREATE INDEX feed_run_of_date ON feed_run (org_id, run_date, id);

-- phase is what is to be done next. read = accepted + rejected + duplicates + skipped once it is done, and
-- accepted = inserted + updated + unchanged; done_rows is how many rows of the merged file are in the table.
CREATE TABLE feed_run_bucket (
    org_id {uuid} NOT NULL,
    run_id {uuid} NOT NULL,
    bucket {text} NOT NULL,
    phase {text} NOT NULL CHECK (phase IN ('merge', 'ingest', 'cleanup', 'ended')),
    state {text} NOT NULL CHECK (state IN ('running', 'done', 'warned', 'stopped', 'failed', 'empty')),
    message {text},
    merged_file {text},
    files_read {int} NOT NULL,
    files_failed {int} NOT NULL,
    rows_read {int} NOT NULL,
    merged_rows {int} NOT NULL,
    rejected_rows {int} NOT NULL,
    duplicate_rows {int} NOT NULL,
    skipped_rows {int} NOT NULL,
    inserted_rows {int} NOT NULL,
    updated_rows {int} NOT NULL,
    unchanged_rows {int} NOT NULL,
    decided {bool} NOT NULL,
    approved_by {text},
    finished_at {time},
    PRIMARY KEY (org_id, run_id, bucket),
    FOREIGN KEY (org_id, run_id) REFERENCES feed_run (org_id, id)
{table_keyed}
{tenant feed_run_bucket}
CREATE INDEX feed_run_bucket_good ON feed_run_bucket (org_id, bucket, run_id)
    WHERE state IN ('done', 'warned');

CREATE TABLE feed_run_store (
    org_id {uuid} NOT NULL,
    run_id {uuid} NOT NULL,
    bucket {text} NOT NULL,
    store_code {text} NOT NULL,
    rows_read {int} NOT NULL,
    merged_rows {int} NOT NULL,
    rejected_rows {int} NOT NULL,
    duplicate_rows {int} NOT NULL,
    skipped_rows {int} NOT NULL,
    PRIMARY KEY (org_id, run_id, bucket, store_code),
    FOREIGN KEY (org_id, run_id, bucket) REFERENCES feed_run_bucket (org_id, run_id, bucket)
{table_keyed}
{tenant feed_run_store}

-- Who may work on a date, and until when. The token grows with each holder; whoever has an older one writes
-- no more.
CREATE TABLE feed_lease (
    org_id {uuid} NOT NULL,
    run_date {text} NOT NULL,
    holder {text} NOT NULL,
    token {int} NOT NULL,
    held_until {time} NOT NULL,
    PRIMARY KEY (org_id, run_date)
{table_keyed}
{tenant feed_lease}

-- down
DROP TABLE feed_lease;
DROP TABLE feed_run_store;
DROP TABLE feed_run_bucket;
DROP TABLE feed_run;
