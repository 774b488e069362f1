-- From where, what changed and why; and the chain that shows whether a line was removed, altered or moved.
ALTER TABLE tenants.audit_log
  ADD COLUMN ip text,
  ADD COLUMN user_agent text,
  ADD COLUMN trace_id text,
  ADD COLUMN before jsonb,
  ADD COLUMN after jsonb,
  ADD COLUMN reason text;
CREATE INDEX audit_log_by_action ON tenants.audit_log (tenant_id, action, id DESC);
CREATE INDEX audit_log_by_subject ON tenants.audit_log (tenant_id, subject, id DESC);
CREATE INDEX audit_log_by_username ON tenants.audit_log (tenant_id, lower(username), id DESC);
CREATE INDEX audit_log_by_person ON tenants.audit_log USING gin ((details->'personIds')) WHERE details ? 'personIds';
CREATE INDEX audit_log_by_time ON tenants.audit_log (tenant_id, at DESC, id DESC);

-- Lines that are committed and not linked yet. Found by being here and not by their number: numbers are given before
-- the commit, so a position would pass over a line whose transaction commits late.
CREATE TABLE tenants.audit_unlinked (
  tenant_id uuid NOT NULL,
  audit_id bigint CONSTRAINT audit_unlinked_pkey PRIMARY KEY
);
SELECT platform.protect('tenants.audit_unlinked');
INSERT INTO tenants.audit_unlinked (tenant_id, audit_id) SELECT tenant_id, id FROM tenants.audit_log;

CREATE TABLE tenants.audit_chain (
  tenant_id uuid NOT NULL,
  seq bigint NOT NULL CONSTRAINT audit_chain_seq CHECK (seq > 0),
  audit_id bigint NOT NULL CONSTRAINT audit_chain_line UNIQUE,
  -- Of the line's canonical text.
  line_sha256 bytea NOT NULL,
  -- Of the hash before, tenant, seq and line_sha256.
  hash bytea NOT NULL,
  -- ES256 over tenant, seq and hash, on the last link of each batch: who owns the database cannot link anew without Star's key.
  signature bytea,
  CONSTRAINT audit_chain_pkey PRIMARY KEY (tenant_id, seq)
);
SELECT platform.protect('tenants.audit_chain');
SELECT platform.append_only('tenants.audit_chain');

-- What the daily export found: until where the chain was whole, and how much was not.
CREATE TABLE tenants.audit_checks (
  tenant_id uuid CONSTRAINT audit_checks_pkey PRIMARY KEY,
  checked_at timestamptz NOT NULL,
  seq bigint NOT NULL,
  problems bigint NOT NULL,
  exported_at timestamptz,
  exported_seq bigint
);
SELECT platform.protect('tenants.audit_checks');
