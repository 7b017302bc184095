-- Organisations, their users, tokens that were ended before their time, and who did what.
CREATE TABLE organisation (
    id {uuid} NOT NULL PRIMARY KEY,
    slug {text} NOT NULL UNIQUE,
    name {text} NOT NULL UNIQUE,
    created_at {time} NOT NULL
{table_keyed}
CREATE INDEX organisation_oldest ON organisation (created_at, id);

-- password_hash: NULL for a user who cannot log in by password yet.
-- tokens_from: tokens that were issued before it do not hold.
CREATE TABLE app_user (
    org_id {uuid} NOT NULL REFERENCES organisation (id),
    id {uuid} NOT NULL,
    email {text} NOT NULL UNIQUE,
    name {text},
    role {text} NOT NULL CHECK (role IN ('owner', 'manager', 'clerk', 'viewer')),
    disabled {bool} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    password_hash {text},
    tokens_from {time} NOT NULL,
    PRIMARY KEY (org_id, id)
{table_keyed}
{tenant app_user}
CREATE INDEX app_user_of_email ON app_user (org_id, email);
CREATE INDEX app_user_newest ON app_user (org_id, created_at, id);

CREATE TABLE revoked_token (
    org_id {uuid} NOT NULL REFERENCES organisation (id),
    jti {uuid} NOT NULL,
    expires_at {time} NOT NULL,
    PRIMARY KEY (org_id, jti)
{table_keyed}
{tenant revoked_token}

-- Append-only; actor and target are text, so that a row outlives what it tells of. No foreign key: it would
-- lock the organisation's one row with every change.
CREATE TABLE audit_log (
    org_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    recorded_at {time} NOT NULL,
    actor {text} NOT NULL,
    action {text} NOT NULL,
    target {text} NOT NULL,
    before_json {json},
    after_json {json},
    request_id {text},
    xact {xact},
    PRIMARY KEY (org_id, id)
{table_keyed}
{tenant audit_log}

-- down
DROP TABLE audit_log;
DROP TABLE revoked_token;
DROP TABLE app_user;
DROP TABLE organisation;
