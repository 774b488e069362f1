-- Under row-level security no index serves a condition that is not leakproof, and lower() is not: every log-in and every
-- new user read the whole table. Comparing a column is.
ALTER TABLE identity.users ADD COLUMN login_name text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(username)) STORED;
DROP INDEX identity.users_username;
DROP INDEX identity.users_by_name;
-- A log-in names no tenant, so a user name is one person's everywhere.
CREATE UNIQUE INDEX users_username ON identity.users (login_name);
CREATE INDEX users_by_name ON identity.users (tenant_id, login_name);
