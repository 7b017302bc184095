-- An upload that was not read to its end, or never applied, has failed and says why; dropped_at is when its
-- rows went, after which only what they came to is kept. SQLite cannot change a CHECK: the tables are made
-- anew.
{sqlite}
ALTER TABLE upload_row RENAME TO upload_row_before;
ALTER TABLE upload RENAME TO upload_before;
DROP INDEX upload_of_digest;
CREATE TABLE upload (
    org_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    name {text} NOT NULL,
    format {text} NOT NULL,
    encoding {text},
    size {int} NOT NULL,
    digest {text} NOT NULL,
    columns {json} NOT NULL,
    warnings {json} NOT NULL,
    state {text} NOT NULL CHECK (state IN ('reading', 'ready', 'applying', 'applied', 'failed')),
    total_rows {int} NOT NULL,
    to_create {int} NOT NULL,
    to_receive {int} NOT NULL,
    to_touch {int} NOT NULL,
    to_repair {int} NOT NULL,
    to_reject {int} NOT NULL,
    to_skip {int} NOT NULL,
    accepted {int} NOT NULL,
    rejected {int} NOT NULL,
    duplicate {int} NOT NULL,
    created_at {time} NOT NULL,
    actor {text} NOT NULL,
    applied_at {time},
    applied_by {text},
    cursor_row {int} NOT NULL,
    ref_prefix {text},
    problem {text},
    dropped_at {time},
    PRIMARY KEY (org_id, id)
{table_keyed}

INSERT INTO upload (
    org_id, id, name, format, encoding, size, digest, columns, warnings, state, total_rows, to_create,
    to_receive, to_touch, to_repair, to_reject, to_skip, accepted, rejected, duplicate, created_at, actor,
    applied_at, applied_by, cursor_row, ref_prefix)
SELECT
    org_id, id, name, format, encoding, size, digest, columns, warnings, state, total_rows, to_create,
    to_receive, to_touch, to_repair, to_reject, to_skip, accepted, rejected, duplicate, created_at, actor,
    applied_at, applied_by, cursor_row, ref_prefix
FROM upload_before;
CREATE INDEX upload_of_digest ON upload (org_id, digest, state);

CREATE TABLE upload_row (
    org_id {uuid} NOT NULL,
    upload_id {uuid} NOT NULL,
    row_number {int} NOT NULL,
    original {text} NOT NULL,
    scan {text} NOT NULL,
    sku {text},
    quantity {int},
    verdict {text} NOT NULL
        CHECK (verdict IN ('create', 'receive', 'touch', 'repair', 'rejected', 'duplicate')),
    problems {json} NOT NULL,
    exception_id {uuid},
    outcome {text} CHECK (outcome IN ('accepted', 'rejected', 'duplicate')),
    move_id {uuid},
    PRIMARY KEY (org_id, upload_id, row_number),
    FOREIGN KEY (org_id, upload_id) REFERENCES upload (org_id, id)
{table_keyed}

INSERT INTO upload_row SELECT * FROM upload_row_before;
DROP TABLE upload_row_before;
DROP TABLE upload_before;
{end}
{postgres}
ALTER TABLE upload DROP CONSTRAINT upload_state_check;
ALTER TABLE upload ADD CONSTRAINT upload_state_check
    CHECK (state IN ('reading', 'ready', 'applying', 'applied', 'failed'));
ALTER TABLE upload ADD COLUMN problem {text};
ALTER TABLE upload ADD COLUMN dropped_at {time};
{end}
-- What the sweep looks at.
CREATE INDEX upload_kept ON upload (org_id, created_at) WHERE dropped_at IS NULL;

-- down
DROP INDEX upload_kept;
DELETE FROM upload_row WHERE EXISTS (SELECT 1 FROM upload u
    WHERE u.org_id = upload_row.org_id AND u.id = upload_row.upload_id AND u.state = 'failed');
DELETE FROM upload WHERE state = 'failed';
ALTER TABLE upload DROP COLUMN dropped_at;
ALTER TABLE upload DROP COLUMN problem;
{postgres}
ALTER TABLE upload DROP CONSTRAINT upload_state_check;
ALTER TABLE upload ADD CONSTRAINT upload_state_check
    CHECK (state IN ('reading', 'ready', 'applying', 'applied'));
{end}
