-- Deleting a person asks whether a search for them runs; most searches have ended.
CREATE INDEX searches_running ON search.searches (tenant_id) WHERE state = 'running';
