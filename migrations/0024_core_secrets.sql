-- How old each webhook secret is, and when it last proved a delivery. A secret is known by a keyed
-- fingerprint alone.
CREATE TABLE webhook_secret (
    org_id {uuid} NOT NULL,
    setting {text} NOT NULL,
    fingerprint {bytes} NOT NULL,
    first_seen_at {time} NOT NULL,
    last_used_at {time},
    PRIMARY KEY (org_id, setting, fingerprint)
{table_keyed}
{tenant webhook_secret}

-- down
DROP TABLE webhook_secret;
