-- Files of scans that people upload: looked at row by row before anything is applied, then applied in pieces.
-- cursor_row is the last row that was applied; digest is of the file's bytes.
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
    state {text} NOT NULL CHECK (state IN ('reading', 'ready', 'applying', 'applied')),
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
    PRIMARY KEY (org_id, id)
{table_keyed}
{tenant upload}
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
{tenant upload_row}

-- down
DROP TABLE upload_row;
DROP TABLE upload;
