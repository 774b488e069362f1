-- The assignment of a tenant is told on the bus, with a number that grows, also when it ends: so its row stays.
ALTER TABLE devices.software_assignments
  ALTER COLUMN package_id DROP NOT NULL,
  ADD COLUMN revision bigint NOT NULL DEFAULT 1,
  -- False: the bus has not been told, as of those made before this.
  ADD COLUMN announced boolean NOT NULL DEFAULT false;
CREATE INDEX software_assignments_unannounced ON devices.software_assignments (tenant_id) WHERE NOT announced;

-- What pack.json in the archive says: {packId, licence, nonCommercial}. NULL when there is none.
ALTER TABLE devices.software_packages ADD COLUMN pack jsonb;
