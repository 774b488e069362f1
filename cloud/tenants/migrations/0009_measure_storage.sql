-- What a tenant has in object storage, as it was counted last.
CREATE TABLE tenants.storage_usage (
  tenant_id uuid CONSTRAINT storage_usage_pkey PRIMARY KEY,
  bytes bigint NOT NULL,
  objects bigint NOT NULL,
  measured_at timestamptz NOT NULL
);
SELECT platform.protect('tenants.storage_usage');
