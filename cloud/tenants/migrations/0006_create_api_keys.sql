CREATE TABLE tenants.api_keys (
  tenant_id uuid NOT NULL CONSTRAINT api_keys_of_tenant REFERENCES tenants.tenants (tenant_id),
  id uuid CONSTRAINT api_keys_pkey PRIMARY KEY,
  name text NOT NULL,
  -- Plain SHA-256: 256 random bits cannot be guessed, and a slow hash would only make every request slow.
  key_sha256 bytea NOT NULL,
  prefix text NOT NULL,
  permissions text[] NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz
);
CREATE UNIQUE INDEX api_keys_key ON tenants.api_keys (key_sha256);
CREATE INDEX api_keys_by_age ON tenants.api_keys (tenant_id, created_at DESC, id DESC);
SELECT platform.protect('tenants.api_keys');
