-- The audit trail, numbered and sealed: rows are written without a thought for the chain; a sealer hashes
-- them in batches, each of which includes the hash of the one before.
--
-- Numbers do not commit in their order on PostgreSQL. Who takes one has a transaction id by then (the
-- condition makes it so), so once all transactions have ended that ran when a number was the last one given
-- out, no row of that number or below can appear any more.
{postgres}
SET LOCAL entrepot.org = '*';
CREATE SEQUENCE audit_number;
{end}
CREATE TABLE audit_trail (
{sqlite}
    seq INTEGER NOT NULL PRIMARY KEY,
{end}
{postgres}
    seq bigint NOT NULL PRIMARY KEY DEFAULT
        nextval(CASE WHEN pg_current_xact_id() IS NULL THEN NULL ELSE 'audit_number'::regclass END),
{end}
    org_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    recorded_at {time} NOT NULL,
    actor {text} NOT NULL,
    action {text} NOT NULL,
    target {text} NOT NULL,
    before_json {text},
    after_json {text},
    request_id {text}
{table_end}
{tenant audit_trail}
CREATE INDEX audit_trail_newest ON audit_trail (org_id, recorded_at, id);
CREATE INDEX audit_trail_of_target ON audit_trail (org_id, target, seq);
INSERT INTO audit_trail (org_id, id, recorded_at, actor, action, target, before_json, after_json, request_id)
SELECT org_id, id, recorded_at, actor, action, target, CAST(before_json AS text), CAST(after_json AS text),
       request_id
  FROM audit_log ORDER BY recorded_at, id;
DROP TABLE audit_log;

-- One sealed batch: the rows whose numbers lie between the two (not all numbers have a row). marks: for each
-- row its number and the beginning of its hash, to say which one a break is in.
CREATE TABLE audit_seal (
    batch {int} NOT NULL PRIMARY KEY,
    first_seq {int} NOT NULL,
    last_seq {int} NOT NULL,
    row_count {int} NOT NULL,
    sealed_at {time} NOT NULL,
    marks {bytes} NOT NULL,
    previous {bytes} NOT NULL,
    hash {bytes} NOT NULL
{table_end}

-- The one row that says where the chain ends; a sealer may only move it on from where it found it.
CREATE TABLE audit_head (
    id {int} NOT NULL PRIMARY KEY CHECK (id = 1),
    batch {int} NOT NULL,
    last_seq {int} NOT NULL,
    hash {bytes} NOT NULL
{table_end}
-- Which process seals. The token grows with each change of hands.
CREATE TABLE audit_lease (
    id {int} NOT NULL PRIMARY KEY CHECK (id = 1),
    holder {uuid},
    token {int} NOT NULL,
    ends_at {time}
{table_end}
INSERT INTO audit_lease (id, token) VALUES (1, 0);
{sqlite}
INSERT INTO audit_head (id, batch, last_seq, hash) VALUES (1, 0, 0, zeroblob(32));
CREATE TRIGGER audit_trail_kept BEFORE UPDATE ON audit_trail
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_trail_whole BEFORE DELETE ON audit_trail
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_seal_kept BEFORE UPDATE ON audit_seal
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_seal_whole BEFORE DELETE ON audit_seal
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
{end}
{postgres}
ALTER SEQUENCE audit_number OWNED BY audit_trail.seq;
INSERT INTO audit_head (id, batch, last_seq, hash) VALUES (1, 0, 0, decode(repeat('00', 32), 'hex'));
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$;
CREATE TRIGGER audit_trail_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_trail
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_seal_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seal
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
{end}

-- down
{postgres}
SET LOCAL entrepot.org = '*';
{end}
CREATE TABLE audit_log (
    org_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    recorded_at {time} NOT NULL,
    actor {text} NOT NULL,
    action {text} NOT NULL,
    target {text} NOT NULL,
    before_json {json},
    after_json {json},
    request_id {text},
    xact {xact},
    PRIMARY KEY (org_id, id)
{table_keyed}
{tenant audit_log}
INSERT INTO audit_log (org_id, id, recorded_at, actor, action, target, before_json, after_json, request_id)
SELECT org_id, id, recorded_at, actor, action, target, CAST(before_json AS {json}),
       CAST(after_json AS {json}), request_id
  FROM audit_trail;
DROP TABLE audit_lease;
DROP TABLE audit_head;
DROP TABLE audit_seal;
DROP TABLE audit_trail;
{postgres}
DROP FUNCTION audit_refuse();
{end}
