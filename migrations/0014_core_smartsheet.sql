-- Up to when each sheet has been read.
CREATE TABLE smartsheet_sheet (
    org_id {uuid} NOT NULL,
    sheet_id {int} NOT NULL,
    synced_to {time} NOT NULL,
    PRIMARY KEY (org_id, sheet_id)
{table_keyed}
{tenant smartsheet_sheet}

-- down
DROP TABLE smartsheet_sheet;
