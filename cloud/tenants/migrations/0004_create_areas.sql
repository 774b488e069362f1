-- Communities become areas: a tree of regions, communities and buildings (docs/adr/0012).
ALTER TABLE tenants.communities RENAME TO areas;
ALTER TABLE tenants.areas RENAME CONSTRAINT communities_of_tenant TO areas_of_tenant;
ALTER TABLE tenants.areas RENAME CONSTRAINT communities_pkey TO areas_pkey;
ALTER TABLE tenants.areas DROP CONSTRAINT communities_name;
DROP INDEX tenants.communities_by_age;

ALTER TABLE tenants.areas
  ADD COLUMN parent_id uuid,
  ADD COLUMN kind text NOT NULL DEFAULT 'community' CONSTRAINT areas_kind CHECK (kind IN ('region', 'community', 'building')),
  -- Ids from the top of the tree down to this area, itself included, each with a slash behind it. Everything below is the
  -- range from the path to the same with its last slash made a 0, the next character. Text, because comparing text is
  -- leakproof: under row-level security no index serves a condition that is not, such as an array's @>.
  ADD COLUMN path text COLLATE "C";
UPDATE tenants.areas SET path = id || '/';
ALTER TABLE tenants.areas
  ALTER COLUMN kind DROP DEFAULT,
  ALTER COLUMN path SET NOT NULL,
  ADD CONSTRAINT areas_path CHECK (
    right(path, 37) = id || '/' AND length(path) <= 8 * 37
    AND parent_id IS NOT DISTINCT FROM CASE WHEN length(path) > 37 THEN left(right(path, 74), 36)::uuid END),
  ADD CONSTRAINT areas_tenant_id UNIQUE (tenant_id, id),
  ADD CONSTRAINT areas_parent FOREIGN KEY (tenant_id, parent_id) REFERENCES tenants.areas (tenant_id, id),
  ADD CONSTRAINT areas_name UNIQUE NULLS NOT DISTINCT (tenant_id, parent_id, name);
CREATE INDEX areas_by_age ON tenants.areas (tenant_id, created_at, id);
CREATE INDEX areas_below ON tenants.areas (tenant_id, path);

-- What became of an area that was merged into another: whoever still names it means the other.
CREATE TABLE tenants.merged_areas (
  tenant_id uuid NOT NULL,
  area_id uuid CONSTRAINT merged_areas_pkey PRIMARY KEY,
  into_id uuid NOT NULL,
  merged_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT merged_areas_into FOREIGN KEY (tenant_id, into_id) REFERENCES tenants.areas (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX merged_areas_into ON tenants.merged_areas (into_id);
SELECT platform.protect('tenants.merged_areas');

-- Users are the identity provider's, so there is no foreign key; an id is never given twice.
CREATE TABLE tenants.grants (
  tenant_id uuid NOT NULL,
  id uuid CONSTRAINT grants_pkey PRIMARY KEY,
  user_id uuid NOT NULL,
  -- As it was when the role was granted.
  username text NOT NULL,
  area_id uuid NOT NULL,
  role text NOT NULL CONSTRAINT grants_role CHECK (role IN ('tenant-admin', 'operator', 'viewer', 'auditor')),
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT grants_once UNIQUE (tenant_id, user_id, area_id, role),
  CONSTRAINT grants_area FOREIGN KEY (tenant_id, area_id) REFERENCES tenants.areas (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX grants_list ON tenants.grants (tenant_id, created_at, id);
CREATE INDEX grants_of_area ON tenants.grants (area_id);
SELECT platform.protect('tenants.grants');
