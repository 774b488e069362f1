-- Rejected reports go by when they last came.
CREATE INDEX rejected_reports_by_age ON devices.rejected_reports (tenant_id, last_at);
