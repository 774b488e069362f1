-- What was removed because it was past its time: one row for each kind a sweep removed of a tenant.
CREATE TABLE tenants.removals (
  tenant_id uuid NOT NULL,
  id uuid CONSTRAINT removals_pkey PRIMARY KEY,
  run_id uuid NOT NULL,
  kind text NOT NULL,
  removed_at timestamptz NOT NULL,
  -- What it was older than, and by which version of the tenant's settings; NULL: by the installation's.
  before_at timestamptz NOT NULL,
  settings_version bigint,
  items bigint NOT NULL CONSTRAINT removals_items CHECK (items > 0),
  bytes bigint NOT NULL,
  CONSTRAINT removals_of_run UNIQUE (tenant_id, run_id, kind)
);
SELECT platform.protect('tenants.removals');
CREATE INDEX removals_by_age ON tenants.removals (tenant_id, removed_at DESC, id DESC);

-- Up to which place of the chain the lines were removed by retention. The links stay: what was exported can still be
-- checked against them. Signed by Star, so that a cut that somebody else made is none.
CREATE TABLE tenants.audit_cuts (
  tenant_id uuid NOT NULL,
  seq bigint NOT NULL CONSTRAINT audit_cuts_seq CHECK (seq > 0),
  -- Of the link at `seq`.
  hash bytea NOT NULL,
  cut_at timestamptz NOT NULL,
  -- All lines up to `seq` were older.
  before_at timestamptz NOT NULL,
  settings_version bigint NOT NULL,
  signature bytea NOT NULL,
  CONSTRAINT audit_cuts_pkey PRIMARY KEY (tenant_id, seq)
);
SELECT platform.protect('tenants.audit_cuts');
SELECT platform.append_only('tenants.audit_cuts');

-- The one way by which lines leave the log: the application's role may not delete from it. Not even with a cut does a
-- line go before a year has passed by the database's own clock. Row-level security holds in here as well.
CREATE FUNCTION tenants.remove_audit_lines(of_tenant uuid, after_seq bigint, up_to_seq bigint)
RETURNS TABLE (items bigint, bytes bigint) LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
  WITH gone AS (
    DELETE FROM tenants.audit_log l USING tenants.audit_chain c
    WHERE c.tenant_id = of_tenant AND l.tenant_id = of_tenant AND c.audit_id = l.id AND c.seq > after_seq AND c.seq <= up_to_seq
      AND up_to_seq <= (SELECT max(k.seq) FROM tenants.audit_cuts k WHERE k.tenant_id = of_tenant)
      AND l.at < now() - interval '365 days'
    RETURNING pg_column_size(l.*) AS size)
  SELECT count(*), coalesce(sum(size), 0)::bigint FROM gone
$$;
