-- The audit trail of one thing, newest first, in the order of its list: nothing is sorted.
DROP INDEX audit_trail_of_target;
CREATE INDEX audit_trail_of_target ON audit_trail (org_id, target, recorded_at, id);

-- down
DROP INDEX audit_trail_of_target;
CREATE INDEX audit_trail_of_target ON audit_trail (org_id, target, seq);
