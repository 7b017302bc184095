-- One list for everything that a person must look at: what kind of row it is, where it came from, what it was
-- repaired to, how it ended. origin_key tells the same refused row sent again. An exception of a delivery has
-- the delivery's id.
{sqlite}
ALTER TABLE intake_exception RENAME TO intake_exception_before;
DROP INDEX intake_exception_open;
CREATE TABLE intake_exception (
    org_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    kind {text} NOT NULL,
    source {text} NOT NULL,
    body {text} NOT NULL,
    repaired {text},
    problems {json} NOT NULL,
    state {text} NOT NULL CHECK (state IN ('open', 'resolved', 'dismissed')),
    ref {text},
    delivery_id {uuid},
    upload_id {uuid},
    row_number {int},
    seen {int} NOT NULL DEFAULT 1,
    created_at {time} NOT NULL,
    actor {text} NOT NULL,
    resolved_at {time},
    resolved_by {text},
    resolution {text},
    run_id {uuid},
    origin_key {text},
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, origin_key)
{table_keyed}
INSERT INTO intake_exception (org_id, id, kind, source, body, problems, state, created_at, actor, resolved_at)
SELECT org_id, id, source, source, body, problems, state, created_at, actor, resolved_at
  FROM intake_exception_before;
DROP TABLE intake_exception_before;
CREATE INDEX intake_exception_open ON intake_exception (org_id, state, id);
{end}
{postgres}
ALTER TABLE intake_exception DROP CONSTRAINT intake_exception_state_check;
ALTER TABLE intake_exception ADD CONSTRAINT intake_exception_state_check
    CHECK (state IN ('open', 'resolved', 'dismissed'));
ALTER TABLE intake_exception ADD COLUMN kind {text};
UPDATE intake_exception SET kind = source;
ALTER TABLE intake_exception ALTER COLUMN kind SET NOT NULL;
ALTER TABLE intake_exception ADD COLUMN repaired {text};
ALTER TABLE intake_exception ADD COLUMN ref {text};
ALTER TABLE intake_exception ADD COLUMN delivery_id {uuid};
ALTER TABLE intake_exception ADD COLUMN upload_id {uuid};
ALTER TABLE intake_exception ADD COLUMN row_number {int};
ALTER TABLE intake_exception ADD COLUMN seen {int} NOT NULL DEFAULT 1;
ALTER TABLE intake_exception ADD COLUMN resolved_by {text};
ALTER TABLE intake_exception ADD COLUMN resolution {text};
ALTER TABLE intake_exception ADD COLUMN run_id {uuid};
ALTER TABLE intake_exception ADD COLUMN origin_key {text};
ALTER TABLE intake_exception ADD CONSTRAINT intake_exception_origin UNIQUE (org_id, origin_key);
{end}
CREATE INDEX intake_exception_kinds ON intake_exception (org_id, kind, source, state);

-- The deliveries that wait for a person already.
{sqlite}
INSERT INTO intake_exception
    (org_id, id, kind, source, body, problems, state, ref, delivery_id, created_at, actor)
SELECT org_id, id, 'delivery', source, CAST(body AS text),
       json_array(json_object('field', NULL, 'problem', problem)), 'open', event_id, id, settled_at, source
  FROM inbox WHERE state = 'exception';
{end}
{postgres}
INSERT INTO intake_exception
    (org_id, id, kind, source, body, problems, state, ref, delivery_id, created_at, actor)
SELECT org_id, id, 'delivery', source, convert_from(body, 'UTF8'),
       jsonb_build_array(jsonb_build_object('field', NULL, 'problem', problem)), 'open', event_id, id,
       settled_at, source
  FROM inbox WHERE state = 'exception';
{end}

-- One action over all exceptions that a filter matches, done in pieces; cursor_id is the last one looked at.
CREATE TABLE exception_run (
    org_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    action {text} NOT NULL CHECK (action IN ('replay', 'dismiss', 'patch')),
    filter {json} NOT NULL,
    patch {json},
    reason {text},
    state {text} NOT NULL CHECK (state IN ('running', 'done')),
    matched {int} NOT NULL,
    succeeded {int} NOT NULL,
    failed {int} NOT NULL,
    created_at {time} NOT NULL,
    finished_at {time},
    actor {text} NOT NULL,
    cursor_id {uuid} NOT NULL,
    PRIMARY KEY (org_id, id)
{table_keyed}
{tenant exception_run}

-- down
DROP TABLE exception_run;
DELETE FROM intake_exception WHERE kind = 'delivery';
UPDATE intake_exception SET state = 'resolved' WHERE state = 'dismissed';
{sqlite}
ALTER TABLE intake_exception RENAME TO intake_exception_after;
DROP INDEX intake_exception_open;
DROP INDEX intake_exception_kinds;
CREATE TABLE intake_exception (
    org_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    source {text} NOT NULL,
    body {text} NOT NULL,
    problems {json} NOT NULL,
    state {text} NOT NULL CHECK (state IN ('open', 'resolved')),
    created_at {time} NOT NULL,
    resolved_at {time},
    actor {text} NOT NULL,
    PRIMARY KEY (org_id, id)
{table_keyed}
INSERT INTO intake_exception (org_id, id, source, body, problems, state, created_at, resolved_at, actor)
SELECT org_id, id, source, body, problems, state, created_at, resolved_at, actor FROM intake_exception_after;
DROP TABLE intake_exception_after;
CREATE INDEX intake_exception_open ON intake_exception (org_id, state, id);
{end}
{postgres}
DROP INDEX intake_exception_kinds;
ALTER TABLE intake_exception DROP CONSTRAINT intake_exception_origin;
ALTER TABLE intake_exception DROP COLUMN origin_key;
ALTER TABLE intake_exception DROP COLUMN run_id;
ALTER TABLE intake_exception DROP COLUMN resolution;
ALTER TABLE intake_exception DROP COLUMN resolved_by;
ALTER TABLE intake_exception DROP COLUMN seen;
ALTER TABLE intake_exception DROP COLUMN row_number;
ALTER TABLE intake_exception DROP COLUMN upload_id;
ALTER TABLE intake_exception DROP COLUMN delivery_id;
ALTER TABLE intake_exception DROP COLUMN ref;
ALTER TABLE intake_exception DROP COLUMN repaired;
ALTER TABLE intake_exception DROP COLUMN kind;
ALTER TABLE intake_exception DROP CONSTRAINT intake_exception_state_check;
ALTER TABLE intake_exception ADD CONSTRAINT intake_exception_state_check
    CHECK (state IN ('open', 'resolved'));
{end}
