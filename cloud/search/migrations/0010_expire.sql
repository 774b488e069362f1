-- Matches that are past their time go day by day.
ALTER TABLE search.searches ADD COLUMN matches_expired bigint NOT NULL DEFAULT 0;

-- A day of a tenant's matches that is being removed from ClickHouse, and how many matches of which search it had: written
-- before and counted after, so that a sweep that is broken off between the two loses no count.
CREATE TABLE search.expiring_days (
  tenant_id uuid NOT NULL,
  day date NOT NULL,
  -- {searchId: matches}
  matches jsonb NOT NULL,
  CONSTRAINT expiring_days_pkey PRIMARY KEY (tenant_id, day)
);
SELECT platform.protect('search.expiring_days');

ALTER TABLE search.people ADD COLUMN photos_expired_at timestamptz;
CREATE INDEX photos_by_age ON search.photos (tenant_id, created_at, id);
