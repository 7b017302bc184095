-- The webhook of each sheet, as Smartsheet told of it last, and what came of switching it on. Its shared
-- secret is sealed (identity/vault.h); the one before is good for a while after it was exchanged.
CREATE TABLE smartsheet_webhook (
    org_id {uuid} NOT NULL,
    sheet_id {int} NOT NULL,
    webhook_id {int},
    callback_url {text},
    status {text},
    problem {text},
    checked_at {time},
    enabled_at {time},
    off_since {time},
    attempts {int} NOT NULL,
    next_attempt_at {time},
    secret {bytes},
    secret_before {bytes},
    secret_at {time},
    PRIMARY KEY (org_id, sheet_id)
{table_keyed}
{tenant smartsheet_webhook}

-- down
DROP TABLE smartsheet_webhook;
