-- The two sides of every move, each with what it left at its place: the level at any instant is the newest
-- posting up to then, and the postings of a place explain its number line by line. The lines of one posting
-- event share their instant and are told apart by line.
CREATE TABLE stock_posting (
    org_id {uuid} NOT NULL,
    sku {text} NOT NULL,
    place {text} NOT NULL,
    recorded_at {time} NOT NULL,
    line {int} NOT NULL,
    move_id {uuid} NOT NULL,
    quantity {int} NOT NULL CHECK (quantity <> 0),
    balance {int} NOT NULL,
    PRIMARY KEY (org_id, sku, place, recorded_at, line)
{table_keyed}
{tenant stock_posting}

-- Up to sealed_at nobody may record any more; up to settled_at nobody who began before that can either, so
-- that what was answered for an instant stays so (core/history.h).
CREATE TABLE stock_seal (
    org_id {uuid} NOT NULL,
    sealed_at {time} NOT NULL,
    settled_at {time} NOT NULL,
    PRIMARY KEY (org_id)
{table_keyed}
{tenant stock_seal}

-- When its newest posting was recorded: at a level, time only goes forward.
ALTER TABLE stock_level ADD COLUMN posted_at {time};

INSERT INTO stock_posting (org_id, sku, place, recorded_at, line, move_id, quantity, balance)
SELECT org_id, sku, place, recorded_at,
       row_number() OVER (PARTITION BY org_id, sku, place, recorded_at ORDER BY id) - 1, id, quantity,
       sum(quantity) OVER (PARTITION BY org_id, sku, place ORDER BY recorded_at, id)
  FROM (SELECT org_id, sku, from_place AS place, recorded_at, id, -quantity AS quantity FROM stock_move
        UNION ALL
        SELECT org_id, sku, to_place, recorded_at, id, quantity FROM stock_move) AS side;
UPDATE stock_level SET posted_at = (SELECT max(p.recorded_at) FROM stock_posting p
    WHERE p.org_id = stock_level.org_id AND p.sku = stock_level.sku AND p.place = stock_level.place);

-- A move is taken back once.
CREATE UNIQUE INDEX stock_move_reversal ON stock_move (org_id, reverses) WHERE reverses IS NOT NULL;

-- down
DROP INDEX stock_move_reversal;
ALTER TABLE stock_level DROP COLUMN posted_at;
DROP TABLE stock_seal;
DROP TABLE stock_posting;
