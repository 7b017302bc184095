-- What an order is promised before it ships. An order of the shipping service comes in one part or several
-- (it may have been split there); each part is known by the newest of its states. The reservations of an
-- order, its own and those of its shipments, are worked out from these and from its shipments.
ALTER TABLE sales_order ADD COLUMN promised {bool} NOT NULL DEFAULT FALSE;
ALTER TABLE reservation ADD COLUMN order_id {uuid};
ALTER TABLE reservation ADD COLUMN settled_by {text};
CREATE INDEX reservation_of_order ON reservation (org_id, order_id) WHERE order_id IS NOT NULL;

CREATE TABLE order_part (
    org_id {uuid} NOT NULL,
    part_ref {text} NOT NULL,
    order_id {uuid} NOT NULL,
    status {text} NOT NULL CHECK (status IN ('unpaid', 'open', 'shipped', 'cancelled')),
    modified_at {time} NOT NULL,
    delivery_id {uuid} NOT NULL,
    PRIMARY KEY (org_id, part_ref),
    FOREIGN KEY (org_id, order_id) REFERENCES sales_order (org_id, id)
{table_keyed}
{tenant order_part}
CREATE INDEX order_part_of_order ON order_part (org_id, order_id);
CREATE TABLE order_part_line (
    org_id {uuid} NOT NULL,
    part_ref {text} NOT NULL,
    sku {text} NOT NULL,
    quantity {int} NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (org_id, part_ref, sku),
    FOREIGN KEY (org_id, part_ref) REFERENCES order_part (org_id, part_ref)
{table_keyed}
{tenant order_part_line}

-- Orders that have been promised less than they want, first come first served.
CREATE TABLE order_short (
    org_id {uuid} NOT NULL,
    sku {text} NOT NULL,
    order_id {uuid} NOT NULL,
    since {time} NOT NULL,
    lacks {int} NOT NULL CHECK (lacks > 0),
    PRIMARY KEY (org_id, sku, order_id),
    FOREIGN KEY (org_id, order_id) REFERENCES sales_order (org_id, id)
{table_keyed}
{tenant order_short}

{postgres}
ALTER TABLE sales_order NO FORCE ROW LEVEL SECURITY;
ALTER TABLE shipment NO FORCE ROW LEVEL SECURITY;
ALTER TABLE reservation NO FORCE ROW LEVEL SECURITY;
{end}
UPDATE sales_order SET promised = TRUE WHERE EXISTS (SELECT 1 FROM shipment s
 WHERE s.org_id = sales_order.org_id AND s.order_id = sales_order.id AND s.awaiting_id IS NOT NULL);
UPDATE reservation SET order_id = (SELECT s.order_id FROM shipment s WHERE s.org_id = reservation.org_id
   AND reservation.source_ref = s.shipment_ref || ':awaiting_shipment')
 WHERE source = 'shipstation';
UPDATE reservation SET settled_by = 'unknown' WHERE state IN ('posted', 'voided');
{postgres}
ALTER TABLE sales_order FORCE ROW LEVEL SECURITY;
ALTER TABLE shipment FORCE ROW LEVEL SECURITY;
ALTER TABLE reservation FORCE ROW LEVEL SECURITY;
{end}

-- down
{postgres}
ALTER TABLE stock_level NO FORCE ROW LEVEL SECURITY;
ALTER TABLE reservation NO FORCE ROW LEVEL SECURITY;
{end}
-- What orders hold themselves nobody would let go any more.
UPDATE stock_level SET reserved = reserved - COALESCE((SELECT sum(r.quantity) FROM reservation r
   WHERE r.org_id = stock_level.org_id AND r.sku = stock_level.sku AND r.place = stock_level.place
     AND r.source = 'shipstation.order' AND r.state = 'pending'), 0);
UPDATE stock_level SET oversold = (bounded AND on_hand < reserved);
UPDATE reservation SET state = 'voided', settled_at = created_at
 WHERE source = 'shipstation.order' AND state = 'pending';
{postgres}
ALTER TABLE stock_level FORCE ROW LEVEL SECURITY;
ALTER TABLE reservation FORCE ROW LEVEL SECURITY;
{end}
DROP TABLE order_short;
DROP TABLE order_part_line;
DROP TABLE order_part;
DROP INDEX reservation_of_order;
ALTER TABLE reservation DROP COLUMN settled_by;
ALTER TABLE reservation DROP COLUMN order_id;
ALTER TABLE sales_order DROP COLUMN promised;
