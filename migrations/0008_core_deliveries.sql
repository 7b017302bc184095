-- What came with a delivery and what it led to.
ALTER TABLE inbox ADD COLUMN headers {json};
ALTER TABLE inbox ADD COLUMN verdict {json};
ALTER TABLE inbox ADD COLUMN job_id {uuid};
ALTER TABLE inbox ADD COLUMN cause_id {uuid};
ALTER TABLE inbox ADD COLUMN conflicts_with {uuid};
ALTER TABLE inbox ADD COLUMN forgotten_at {time};
CREATE INDEX inbox_of_state ON inbox (org_id, state, id);
CREATE INDEX inbox_of_cause ON inbox (org_id, cause_id, id) WHERE cause_id IS NOT NULL;

-- down
DROP INDEX inbox_of_cause;
DROP INDEX inbox_of_state;
ALTER TABLE inbox DROP COLUMN forgotten_at;
ALTER TABLE inbox DROP COLUMN conflicts_with;
ALTER TABLE inbox DROP COLUMN cause_id;
ALTER TABLE inbox DROP COLUMN job_id;
ALTER TABLE inbox DROP COLUMN verdict;
ALTER TABLE inbox DROP COLUMN headers;
