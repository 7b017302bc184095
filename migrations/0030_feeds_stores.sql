-- The stores of an organisation: whose files are fetched and taken in (etl_flag), and which of these stand in
-- the reports (report_flag).
CREATE TABLE store_master (
    org_id {uuid} NOT NULL,
    store_code {text} NOT NULL,
    store_name {text},
    etl_flag {bool} NOT NULL,
    report_flag {bool} NOT NULL,
    revision {int} NOT NULL DEFAULT 1,
    updated_at {time},
    PRIMARY KEY (org_id, store_code)
{table_keyed}
{tenant store_master}

-- down
DROP TABLE store_master;
