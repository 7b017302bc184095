-- What is left of an outside service's allowance of requests, shared by all processes of this database.
CREATE TABLE service_quota (
    org_id {uuid} NOT NULL,
    service {text} NOT NULL,
    remaining {int} NOT NULL,
    resets_at {time} NOT NULL,
    PRIMARY KEY (org_id, service)
{table_keyed}
{tenant service_quota}

-- How far the reconciliation with ShipStation has come, by what is read.
CREATE TABLE shipstation_cursor (
    org_id {uuid} NOT NULL,
    stream {text} NOT NULL,
    covered_until {time} NOT NULL,
    PRIMARY KEY (org_id, stream)
{table_keyed}
{tenant shipstation_cursor}

-- The vendor's public keys, which sign webhooks of all its customers: so they belong to no organisation.
CREATE TABLE shipstation_key (
    kid {text} NOT NULL PRIMARY KEY,
    modulus {bytes} NOT NULL,
    exponent {bytes} NOT NULL,
    fetched_at {time} NOT NULL
{table_keyed}

-- down
DROP TABLE shipstation_key;
DROP TABLE shipstation_cursor;
DROP TABLE service_quota;
