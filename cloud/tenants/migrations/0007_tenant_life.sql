ALTER TABLE tenants.tenants
  ADD COLUMN kind text NOT NULL DEFAULT 'customer' CONSTRAINT tenants_kind CHECK (kind IN ('customer', 'platform')),
  ADD COLUMN state text NOT NULL DEFAULT 'enabled'
    CONSTRAINT tenants_state CHECK (state IN ('opening', 'enabled', 'disabled', 'deleting', 'removing', 'removed')),
  ADD COLUMN reason text,
  ADD COLUMN state_since timestamptz NOT NULL DEFAULT now(),
  -- When a tenant that is deleting is removed for good.
  ADD COLUMN delete_after timestamptz,
  -- What was removed, and what was kept.
  ADD COLUMN removal jsonb;
CREATE INDEX tenants_by_age ON tenants.tenants (created_at DESC, tenant_id DESC);
CREATE INDEX tenants_due ON tenants.tenants (delete_after) WHERE state = 'deleting';

-- What other services do for a saga that waits for them.
CREATE TABLE tenants.parts (
  tenant_id uuid NOT NULL,
  job_id uuid NOT NULL,
  action text NOT NULL,
  service text NOT NULL,
  requested_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  report jsonb,
  CONSTRAINT parts_pkey PRIMARY KEY (job_id, action, service)
);
SELECT platform.protect('tenants.parts');

CREATE TABLE tenants.settings (
  tenant_id uuid CONSTRAINT settings_pkey PRIMARY KEY,
  version bigint NOT NULL CONSTRAINT settings_version CHECK (version > 0),
  settings jsonb NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  changed_by text NOT NULL
);
SELECT platform.protect('tenants.settings');

-- Every version there was, the one in force among them.
CREATE TABLE tenants.settings_history (
  tenant_id uuid NOT NULL,
  version bigint NOT NULL,
  settings jsonb NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  changed_by text NOT NULL,
  CONSTRAINT settings_history_pkey PRIMARY KEY (tenant_id, version)
);
SELECT platform.protect('tenants.settings_history');
