-- Answers kept for 24 hours under the Idempotency-Key of the request that they answered. org_id references
-- nothing: it is nil for the administrator's requests, and a row that outlives its organisation by a day does
-- no harm.
CREATE TABLE idempotency (
    org_id {uuid} NOT NULL,
    route_path {text} NOT NULL,
    idempotency_key {text} NOT NULL,
    digest {bytes} NOT NULL,
    status {int} NOT NULL,
    answer {text} NOT NULL,
    expires_at {time} NOT NULL,
    PRIMARY KEY (org_id, route_path, idempotency_key)
{table_keyed}
{tenant idempotency}
CREATE INDEX idempotency_expires ON idempotency (org_id, expires_at);

-- down
DROP TABLE idempotency;
