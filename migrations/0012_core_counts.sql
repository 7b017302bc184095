-- Cycle counts: a sheet for one place, what was counted on it, and when the place was counted last. A place
-- has one count under way at most.
CREATE TABLE stock_count (
    org_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    place {text} NOT NULL,
    state {text} NOT NULL CHECK (state IN ('open', 'counted', 'approved', 'cancelled')),
    blind {bool} NOT NULL,
    note {text},
    created_at {time} NOT NULL,
    created_by {text} NOT NULL,
    settled_at {time},
    settled_by {text},
    revision {int} NOT NULL,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, place) REFERENCES place (org_id, code)
{table_keyed}
{tenant stock_count}
CREATE UNIQUE INDEX stock_count_under_way ON stock_count (org_id, place) WHERE state IN ('open', 'counted');
CREATE INDEX stock_count_of_place ON stock_count (org_id, place, id);

-- expected is the level at the moment of counting: what moves afterwards is no difference.
CREATE TABLE stock_count_line (
    org_id {uuid} NOT NULL,
    count_id {uuid} NOT NULL,
    sku {text} NOT NULL,
    counted {int} NOT NULL CHECK (counted >= 0),
    expected {int} NOT NULL,
    times {int} NOT NULL,
    counted_at {time} NOT NULL,
    counted_by {text} NOT NULL,
    PRIMARY KEY (org_id, count_id, sku),
    FOREIGN KEY (org_id, count_id) REFERENCES stock_count (org_id, id)
{table_keyed}
{tenant stock_count_line}

ALTER TABLE place ADD COLUMN last_counted_at {time};

-- down
ALTER TABLE place DROP COLUMN last_counted_at;
DROP TABLE stock_count_line;
DROP TABLE stock_count;
