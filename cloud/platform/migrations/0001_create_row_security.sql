-- The tenant of this transaction, or NULL. After a SET LOCAL has ended, the setting reads '' and not NULL.
CREATE FUNCTION platform.current_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT nullif(current_setting('app.tenant_id', true), '')::uuid $$;

-- Every table with a tenant_id calls this in the migration that creates it. FORCE: the owner is bound as well.
-- For the table of tenants itself, pass its key column.
CREATE FUNCTION platform.protect(subject regclass, tenant_column name DEFAULT 'tenant_id') RETURNS void LANGUAGE plpgsql AS
$$
DECLARE
  rule text := format(
    '%I = nullif(current_setting(''app.tenant_id'', true), '''')::uuid OR current_setting(''app.system'', true) = ''on''',
    tenant_column);
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', subject);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', subject);
  EXECUTE format('CREATE POLICY tenant_only ON %s USING (%s) WITH CHECK (%s)', subject, rule, rule);
END
$$;

-- For logs that nobody may rewrite (audit, ledger entries).
CREATE FUNCTION platform.append_only(subject regclass) RETURNS void LANGUAGE plpgsql AS
$$
BEGIN
  EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %s FROM %I', subject, current_setting('star.app_role'));
END
$$;

-- Rows stay when a lease is released, so that `fence` only ever grows.
CREATE TABLE platform.leases (
  name text CONSTRAINT leases_pkey PRIMARY KEY,
  holder text NOT NULL,
  fence bigint NOT NULL,
  expires_at timestamptz NOT NULL
);
