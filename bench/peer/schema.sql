-- The peer's tables: the same job as the server's, in the way a careful FastAPI project would lay them out.
CREATE TABLE organisation (id bigint PRIMARY KEY, slug text NOT NULL UNIQUE);

CREATE TABLE item (
    org_id bigint NOT NULL REFERENCES organisation (id),
    sku text NOT NULL,
    name text NOT NULL,
    brand text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, sku)
);

CREATE TABLE place (
    org_id bigint NOT NULL REFERENCES organisation (id),
    code text NOT NULL,
    bounded boolean NOT NULL,
    PRIMARY KEY (org_id, code)
);

CREATE TABLE stock_level (
    org_id bigint NOT NULL,
    sku text NOT NULL,
    place text NOT NULL,
    bounded boolean NOT NULL,
    on_hand bigint NOT NULL,
    PRIMARY KEY (org_id, sku, place),
    FOREIGN KEY (org_id, sku) REFERENCES item (org_id, sku),
    FOREIGN KEY (org_id, place) REFERENCES place (org_id, code),
    CHECK (NOT bounded OR on_hand >= 0)
) WITH (fillfactor = 50);

CREATE TABLE stock_move (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id bigint NOT NULL,
    sku text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    from_place text NOT NULL,
    to_place text NOT NULL,
    reason text NOT NULL,
    source text NOT NULL,
    source_ref text NOT NULL,
    actor text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, source, source_ref, sku, from_place, to_place),
    FOREIGN KEY (org_id, sku) REFERENCES item (org_id, sku)
);

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE inbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id bigint NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, source, event_id)
);

CREATE TABLE job (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue text NOT NULL,
    name text NOT NULL,
    inbox_id bigint NOT NULL REFERENCES inbox (id),
    state text NOT NULL DEFAULT 'ready',
    run_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX job_ready ON job (queue, run_at, id) WHERE state = 'ready';

INSERT INTO organisation VALUES (1, 'default');
INSERT INTO item (org_id, sku, name) VALUES (1, 'TEST-SKU-001', 'Test item');
INSERT INTO place VALUES (1, 'warehouse', true), (1, 'supplier', false), (1, 'customer', false);
INSERT INTO stock_level SELECT 1, 'TEST-SKU-001', code, bounded, 0 FROM place;
