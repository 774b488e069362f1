-- identity's first migration has copied them; it runs before this one wherever there is anything to copy.
DO $$
DECLARE
  left_behind bigint;
BEGIN
  SELECT count(*) INTO left_behind FROM tenants.users;
  IF left_behind > 0 THEN
    IF to_regclass('identity.users') IS NULL THEN
      RAISE EXCEPTION 'identity must be migrated before tenants: % users would be lost', left_behind;
    END IF;
    EXECUTE 'SELECT count(*) FROM tenants.users u WHERE NOT EXISTS (SELECT FROM identity.users i WHERE i.id = u.id)' INTO left_behind;
    IF left_behind > 0 THEN
      RAISE EXCEPTION '% users are not in identity', left_behind;
    END IF;
  END IF;
END
$$;
DROP TABLE tenants.users;
DROP TABLE tenants.log_in_failures;
