CREATE TABLE identity.users (
  tenant_id uuid NOT NULL,
  id uuid CONSTRAINT users_pkey PRIMARY KEY,
  username text NOT NULL,
  display_name text NOT NULL,
  email text,
  roles text[] NOT NULL,
  -- Absent: nobody can log in with this name yet.
  password_hash text,
  temporary_password boolean NOT NULL DEFAULT false,
  enabled boolean NOT NULL DEFAULT true,
  second_factor_required boolean NOT NULL DEFAULT false,
  -- A log-in that was begun before a new password or a reset second factor begins again.
  credentials_changed_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now()
);
-- A log-in names no tenant, so a user name is one person's everywhere.
CREATE UNIQUE INDEX users_username ON identity.users (lower(username));
CREATE INDEX users_by_name ON identity.users (tenant_id, lower(username) COLLATE "C");
SELECT platform.protect('identity.users');

CREATE TABLE identity.authenticators (
  tenant_id uuid NOT NULL,
  user_id uuid CONSTRAINT authenticators_pkey PRIMARY KEY
    CONSTRAINT authenticators_of_user REFERENCES identity.users (id) ON DELETE CASCADE,
  -- Sealed for the user's id.
  secret bytea NOT NULL,
  -- The step of 30 s whose code was used last: no code works twice, nor an older one.
  last_step bigint NOT NULL,
  enrolled_at timestamptz NOT NULL DEFAULT now()
);
SELECT platform.protect('identity.authenticators');

CREATE TABLE identity.recovery_codes (
  tenant_id uuid NOT NULL,
  user_id uuid NOT NULL CONSTRAINT recovery_codes_of_user REFERENCES identity.users (id) ON DELETE CASCADE,
  code_sha256 bytea NOT NULL,
  CONSTRAINT recovery_codes_pkey PRIMARY KEY (user_id, code_sha256)
);
SELECT platform.protect('identity.recovery_codes');

-- By a hash of the name that was typed, known or not: otherwise being locked out would tell that a user exists.
CREATE TABLE identity.log_in_failures (
  username_sha256 text CONSTRAINT log_in_failures_pkey PRIMARY KEY,
  failures integer NOT NULL,
  locked_until_at timestamptz NOT NULL,
  last_failed_at timestamptz NOT NULL
);
CREATE INDEX log_in_failures_by_age ON identity.log_in_failures (last_failed_at);

-- Sessions, codes, refresh tokens and log-ins under way, as the provider keeps them. The id of most is a secret that
-- opens something, so only its hash is stored. Before a log-in a record is nobody's: it has no tenant and only the
-- system sees it.
CREATE TABLE identity.oidc_records (
  kind text NOT NULL,
  id_sha256 bytea NOT NULL,
  tenant_id uuid,
  user_id uuid CONSTRAINT oidc_records_of_user REFERENCES identity.users (id) ON DELETE CASCADE,
  grant_id text,
  session_uid text,
  -- JSON, but as text: what strangers send may hold escapes that jsonb refuses.
  payload text NOT NULL,
  consumed_at timestamptz,
  expires_at timestamptz NOT NULL,
  CONSTRAINT oidc_records_pkey PRIMARY KEY (kind, id_sha256)
);
CREATE INDEX oidc_records_by_grant ON identity.oidc_records (grant_id) WHERE grant_id IS NOT NULL;
CREATE INDEX oidc_records_by_session ON identity.oidc_records (session_uid) WHERE session_uid IS NOT NULL;
CREATE INDEX oidc_records_by_user ON identity.oidc_records (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX oidc_records_by_age ON identity.oidc_records (expires_at);
SELECT platform.protect('identity.oidc_records');

-- Before there was an identity provider, tenants kept the users. They come along with their passwords; tenants drops
-- its table in a later migration of its own.
DO $$
BEGIN
  IF to_regclass('tenants.users') IS NOT NULL THEN
    INSERT INTO identity.users (tenant_id, id, username, display_name, password_hash, roles, created_at)
      SELECT tenant_id, id, username, display_name, password_hash, array_replace(roles, 'admin', 'tenant-admin'), created_at
      FROM tenants.users;
  END IF;
END
$$;
