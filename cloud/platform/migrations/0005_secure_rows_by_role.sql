-- Who may see which rows is decided by the role instead of a setting (docs/adr/0018): a rule without an OR is served by
-- indexes, and the work across tenants has none to pay for. `star.app_role` and `star.system_role` are set by the runner.

-- The owner, who migrates and whose functions run for the others, is bound by the tenant of the transaction, or by
-- `app.system`, which only migrations set.
CREATE FUNCTION platform.make_policies(subject regclass, rule text) RETURNS void LANGUAGE plpgsql AS
$$
DECLARE
  app name := current_setting('star.app_role');
  system name := current_setting('star.system_role');
  of_owner text := format('%s OR current_setting(''app.system'', true) = ''on''', rule);
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', subject);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', subject);
  EXECUTE format('CREATE POLICY tenant_only ON %s TO %I USING (%s) WITH CHECK (%s)', subject, app, rule, rule);
  EXECUTE format('CREATE POLICY every_tenant ON %s TO %I USING (true) WITH CHECK (true)', subject, system);
  EXECUTE format('CREATE POLICY owner_in_turn ON %s TO CURRENT_USER USING (%s) WITH CHECK (%s)', subject, of_owner, of_owner);
END
$$;

CREATE OR REPLACE FUNCTION platform.protect(subject regclass, tenant_column name DEFAULT 'tenant_id') RETURNS void LANGUAGE sql AS
$$ SELECT platform.make_policies(subject, format('%I = nullif(current_setting(''app.tenant_id'', true), '''')::uuid', tenant_column)) $$;

CREATE OR REPLACE FUNCTION platform.append_only(subject regclass) RETURNS void LANGUAGE plpgsql AS
$$
BEGIN
  EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %s FROM %I, %I', subject,
    current_setting('star.app_role'), current_setting('star.system_role'));
END
$$;

-- What is there already.
DO $$
DECLARE
  app name := current_setting('star.app_role');
  system name := current_setting('star.system_role');
  subject regclass;
  tenant_column name;
  rights text;
BEGIN
  FOR subject, tenant_column IN
    SELECT polrelid, substring(pg_get_expr(polqual, polrelid) FROM '^\(*"?([^" ]+)"? = ') FROM pg_policy WHERE polname = 'tenant_only'
  LOOP
    EXECUTE format('DROP POLICY tenant_only ON %s', subject);
    PERFORM platform.protect(subject, tenant_column);
  END LOOP;
  FOR subject IN SELECT polrelid FROM pg_policy WHERE polname = 'system_only' LOOP
    EXECUTE format('DROP POLICY system_only ON %s', subject);
    PERFORM platform.make_policies(subject, 'false');
  END LOOP;
  -- The same rights on each table, so that append-only logs stay so.
  FOR subject, rights IN
    SELECT format('%I.%I', table_schema, table_name)::regclass, string_agg(privilege_type, ', ')
    FROM information_schema.role_table_grants WHERE grantee = app GROUP BY table_schema, table_name
  LOOP
    EXECUTE format('GRANT %s ON %s TO %I', rights, subject, system);
  END LOOP;
  FOR subject IN
    SELECT format('%I.%I', object_schema, object_name)::regclass FROM information_schema.role_usage_grants
    WHERE grantee = app AND object_type = 'SEQUENCE'
  LOOP
    EXECUTE format('GRANT USAGE, SELECT ON SEQUENCE %s TO %I', subject, system);
  END LOOP;
END
$$;
