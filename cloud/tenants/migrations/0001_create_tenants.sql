CREATE TABLE tenants.tenants (
  tenant_id uuid CONSTRAINT tenants_pkey PRIMARY KEY,
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
SELECT platform.protect('tenants.tenants');

CREATE TABLE tenants.users (
  tenant_id uuid NOT NULL CONSTRAINT users_of_tenant REFERENCES tenants.tenants (tenant_id),
  id uuid CONSTRAINT users_pkey PRIMARY KEY,
  username text NOT NULL,
  display_name text NOT NULL,
  password_hash text NOT NULL,
  roles text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
-- A log-in names no tenant, so a user name is one person's everywhere.
CREATE UNIQUE INDEX users_username ON tenants.users (lower(username));
SELECT platform.protect('tenants.users');

-- By a hash of the name that was typed, known or not: otherwise being locked out would tell that a user exists.
CREATE TABLE tenants.log_in_failures (
  username_sha256 text CONSTRAINT log_in_failures_pkey PRIMARY KEY,
  failures integer NOT NULL,
  locked_until_at timestamptz NOT NULL,
  last_failed_at timestamptz NOT NULL
);
CREATE INDEX log_in_failures_by_age ON tenants.log_in_failures (last_failed_at);

CREATE TABLE tenants.communities (
  tenant_id uuid NOT NULL CONSTRAINT communities_of_tenant REFERENCES tenants.tenants (tenant_id),
  id uuid CONSTRAINT communities_pkey PRIMARY KEY,
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT communities_name UNIQUE (tenant_id, name)
);
CREATE INDEX communities_by_age ON tenants.communities (tenant_id, created_at DESC, id DESC);
SELECT platform.protect('tenants.communities');

CREATE TABLE tenants.audit_log (
  tenant_id uuid NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT audit_log_pkey PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  user_id uuid,
  username text NOT NULL,
  action text NOT NULL,
  subject text NOT NULL,
  details jsonb NOT NULL
);
CREATE INDEX audit_log_by_tenant ON tenants.audit_log (tenant_id, id DESC);
SELECT platform.protect('tenants.audit_log');
SELECT platform.append_only('tenants.audit_log');
