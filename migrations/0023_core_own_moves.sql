-- The moves that people and programs book themselves, for taking back the last one; a shipping service's are
-- many and are never taken back here.
CREATE INDEX stock_move_own ON stock_move (org_id, actor, id) WHERE source <> 'shipstation';

-- down
DROP INDEX stock_move_own;
