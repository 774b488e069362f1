-- A key per tenant for what is kept of people's faces, sealed by the installation's own key, which lies outside of the
-- database. An erased key leaves its row, so that none is made again.
CREATE TABLE platform.tenant_keys (
  tenant_id uuid CONSTRAINT tenant_keys_pkey PRIMARY KEY,
  sealed_key bytea,
  created_at timestamptz NOT NULL DEFAULT now(),
  erased_at timestamptz,
  CONSTRAINT tenant_keys_erased CHECK ((sealed_key IS NULL) = (erased_at IS NOT NULL))
);
SELECT platform.protect('platform.tenant_keys');
