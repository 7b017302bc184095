-- What the numbers do not say: that nobody knows how many are there, and that an item is to be refilled.
-- Levels are derived from the moves, so this stands beside them.
CREATE TABLE stock_unknown (
    org_id {uuid} NOT NULL,
    sku {text} NOT NULL,
    place {text} NOT NULL,
    PRIMARY KEY (org_id, sku, place),
    FOREIGN KEY (org_id, sku, place) REFERENCES stock_level (org_id, sku, place)
{table_keyed}
{tenant stock_unknown}

ALTER TABLE item ADD COLUMN needs_refill {bool} NOT NULL DEFAULT FALSE;

-- down
ALTER TABLE item DROP COLUMN needs_refill;
DROP TABLE stock_unknown;
