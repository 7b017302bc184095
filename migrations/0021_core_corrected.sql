-- What a delivery was corrected to when it took effect; the bytes as they came stay beside it.
ALTER TABLE inbox ADD COLUMN corrected {bytes};

-- down
ALTER TABLE inbox DROP COLUMN corrected;
