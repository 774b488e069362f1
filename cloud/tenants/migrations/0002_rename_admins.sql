-- The role `admin` became `tenant-admin`: the provider has administrators, too.
UPDATE tenants.users SET roles = array_replace(roles, 'admin', 'tenant-admin');
