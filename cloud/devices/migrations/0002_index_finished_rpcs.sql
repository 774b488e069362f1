-- Retention finds the calls that ended longest ago; most rows have ended, so without it every look reads the table.
CREATE INDEX rpcs_finished ON devices.rpcs (finished_at) WHERE finished_at IS NOT NULL;
