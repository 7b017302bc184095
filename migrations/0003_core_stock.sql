-- The catalogue, the stock ledger, and what comes in from outside.
CREATE TABLE place (
    org_id {uuid} NOT NULL REFERENCES organisation (id),
    code {text} NOT NULL,
    kind {text} NOT NULL
        CHECK (kind IN ('warehouse', 'box', 'channel', 'supplier', 'customer', 'adjustment')),
    name {text},
    bounded {bool} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (org_id, code)
{table_keyed}
{tenant place}

CREATE TABLE item (
    org_id {uuid} NOT NULL REFERENCES organisation (id),
    sku {text} NOT NULL,
    kind {text} NOT NULL CHECK (kind IN ('product', 'part', 'garment')),
    name {text},
    description {text},
    brand {text},
    category {text},
    cost_minor {int},
    cost_currency {text},
    price_minor {int},
    price_currency {text},
    measurements {json},
    attributes {json},
    barcodes {json},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    revision {int} NOT NULL,
    PRIMARY KEY (org_id, sku)
{table_keyed}
{tenant item}
CREATE INDEX item_newest ON item (org_id, created_at, sku);

-- Append-only. A correction is a move of its own that names the one it reverses.
CREATE TABLE stock_move (
    org_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    sku {text} NOT NULL,
    quantity {int} NOT NULL CHECK (quantity > 0),
    from_place {text} NOT NULL,
    to_place {text} NOT NULL CHECK (to_place <> from_place),
    reason {text},
    source {text} NOT NULL,
    source_ref {text},
    recorded_at {time} NOT NULL,
    actor {text} NOT NULL,
    reverses {uuid},
    xact {xact},
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, source, source_ref, sku, from_place, to_place)
{table_keyed}
{tenant stock_move}
CREATE INDEX stock_move_of_item ON stock_move (org_id, sku, id);

-- Derived from the moves, in their transactions. A bounded place holds what is really there; only a fact from
-- outside may drive it below what is reserved, and then it says so.
CREATE TABLE stock_level (
    org_id {uuid} NOT NULL,
    sku {text} NOT NULL,
    place {text} NOT NULL,
    bounded {bool} NOT NULL,
    on_hand {int} NOT NULL,
    reserved {int} NOT NULL CHECK (reserved >= 0),
    oversold {bool} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (org_id, sku, place),
    FOREIGN KEY (org_id, sku) REFERENCES item (org_id, sku),
    FOREIGN KEY (org_id, place) REFERENCES place (org_id, code),
    CHECK (NOT bounded OR oversold OR on_hand >= reserved)
{table_keyed}
{tenant stock_level}
CREATE INDEX stock_level_of_place ON stock_level (org_id, place, sku);

-- The views that other systems know the ledger by.
{postgres}
CREATE VIEW master_product WITH (security_invoker = true) AS
{end}
{sqlite}
CREATE VIEW master_product AS
{end}
    SELECT i.org_id, i.sku, i.kind, i.name, i.brand, i.category, i.cost_minor, i.cost_currency, i.price_minor,
           i.price_currency, i.created_at, i.updated_at,
           COALESCE((SELECT sum(l.on_hand) FROM stock_level l
                      WHERE l.org_id = i.org_id AND l.sku = i.sku AND l.bounded), 0) AS on_hand
      FROM item i;
{postgres}
CREATE VIEW inventory_record WITH (security_invoker = true) AS
{end}
{sqlite}
CREATE VIEW inventory_record AS
{end}
    SELECT org_id, id, sku, quantity, from_place, to_place, reason, source, source_ref AS source_id,
           recorded_at
      FROM stock_move;

-- Every delivery as it came, before anything is done with it.
CREATE TABLE inbox (
    org_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    source {text} NOT NULL,
    event_id {text} NOT NULL,
    received_at {time} NOT NULL,
    fingerprint {bytes} NOT NULL,
    body {bytes} NOT NULL,
    state {text} NOT NULL CHECK (state IN ('pending', 'applied', 'exception', 'ignored')),
    problem {text},
    settled_at {time},
    request_id {text},
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, source, event_id)
{table_keyed}
{tenant inbox}

-- Deliveries that wait until an item appears in the catalogue. Who waits and who makes the item both lock
-- the SKU's row here first, so that neither misses the other.
CREATE TABLE inbox_sku (
    org_id {uuid} NOT NULL,
    sku {text} NOT NULL,
    locked_at {time} NOT NULL,
    PRIMARY KEY (org_id, sku)
{table_keyed}
{tenant inbox_sku}
CREATE TABLE inbox_waiting (
    org_id {uuid} NOT NULL,
    sku {text} NOT NULL,
    inbox_id {uuid} NOT NULL,
    PRIMARY KEY (org_id, sku, inbox_id),
    FOREIGN KEY (org_id, inbox_id) REFERENCES inbox (org_id, id)
{table_keyed}
{tenant inbox_waiting}

-- Rows of scans that a person must look at.
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
{tenant intake_exception}
CREATE INDEX intake_exception_open ON intake_exception (org_id, state, id);

CREATE TABLE sales_order (
    org_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    channel {text} NOT NULL,
    order_ref {text} NOT NULL,
    state {text} NOT NULL CHECK (state IN ('PENDING', 'PAID', 'SHIPPED', 'CANCELLED')),
    ordered_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, channel, order_ref)
{table_keyed}
{tenant sales_order}

CREATE TABLE shipment (
    org_id {uuid} NOT NULL,
    shipment_ref {text} NOT NULL,
    order_id {uuid} NOT NULL,
    state {text} NOT NULL
        CHECK (state IN ('known', 'awaiting_shipment', 'shipped', 'cancelled', 'voided', 'returned')),
    updated_at {time} NOT NULL,
    -- the deliveries of its statuses, once they have been looked at, and what they have led to
    awaiting_id {uuid},
    shipped_id {uuid},
    cancelled_id {uuid},
    voided_id {uuid},
    returned_id {uuid},
    shipped_done {bool} NOT NULL,
    voided_done {bool} NOT NULL,
    returned_done {bool} NOT NULL,
    PRIMARY KEY (org_id, shipment_ref),
    FOREIGN KEY (org_id, order_id) REFERENCES sales_order (org_id, id)
{table_keyed}
{tenant shipment}
CREATE INDEX shipment_of_order ON shipment (org_id, order_id);

CREATE TABLE sales_order_line (
    org_id {uuid} NOT NULL,
    order_id {uuid} NOT NULL,
    shipment_ref {text} NOT NULL,
    sku {text} NOT NULL,
    quantity {int} NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (org_id, order_id, shipment_ref, sku),
    FOREIGN KEY (org_id, order_id) REFERENCES sales_order (org_id, id)
{table_keyed}
{tenant sales_order_line}

-- down
DROP TABLE sales_order_line;
DROP TABLE shipment;
DROP TABLE sales_order;
DROP TABLE intake_exception;
DROP TABLE inbox_waiting;
DROP TABLE inbox_sku;
DROP TABLE inbox;
DROP VIEW inventory_record;
DROP VIEW master_product;
DROP TABLE stock_level;
DROP TABLE stock_move;
DROP TABLE item;
DROP TABLE place;
