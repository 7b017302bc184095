-- What is promised: a quantity of an item at a place, pending until it is posted, voided or expired. The sum
-- of the pending ones is the level's reserved, kept in the same transaction.
CREATE TABLE reservation (
    org_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    sku {text} NOT NULL,
    place {text} NOT NULL,
    quantity {int} NOT NULL CHECK (quantity > 0),
    posted {int} NOT NULL CHECK (posted BETWEEN 0 AND quantity),
    state {text} NOT NULL CHECK (state IN ('pending', 'posted', 'voided', 'expired')),
    expires_at {time},
    source {text} NOT NULL,
    source_ref {text},
    created_at {time} NOT NULL,
    settled_at {time},
    actor {text} NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, source, source_ref, sku, place)
{table_keyed}
{tenant reservation}
CREATE INDEX reservation_of_item ON reservation (org_id, sku, id);
CREATE INDEX reservation_live ON reservation (org_id, sku, place) WHERE state = 'pending';

CREATE INDEX stock_level_oversold ON stock_level (org_id, oversold, sku, place);

-- down
DROP INDEX stock_level_oversold;
{postgres}
ALTER TABLE stock_level NO FORCE ROW LEVEL SECURITY;
{end}
UPDATE stock_level SET reserved = 0, oversold = (bounded AND on_hand < 0);
{postgres}
ALTER TABLE stock_level FORCE ROW LEVEL SECURITY;
{end}
DROP TABLE reservation;
