-- Communities became areas; a camera may be set to a building of its own.
ALTER TABLE devices.provisioning_keys RENAME COLUMN community_id TO area_id;
ALTER TABLE devices.edges RENAME COLUMN community_id TO area_id;
ALTER TABLE devices.cameras ADD COLUMN area_id uuid;
-- A merge and the counts of the tree find what hangs on an area. Whether the area exists is held by whoever writes the id.
CREATE INDEX provisioning_keys_area ON devices.provisioning_keys (tenant_id, area_id);
CREATE INDEX edges_area ON devices.edges (tenant_id, area_id);
CREATE INDEX cameras_area ON devices.cameras (tenant_id, area_id) WHERE area_id IS NOT NULL;

-- Channels in the last report that became no cameras because the tenant has as many as it may have.
ALTER TABLE devices.recorders ADD COLUMN cameras_refused integer NOT NULL DEFAULT 0;

-- Boxes that were turned away, for an operator to see. One row per name; a row goes when the box gets in.
CREATE TABLE devices.refused_edges (
  tenant_id uuid NOT NULL,
  name text NOT NULL,
  area_id uuid NOT NULL,
  code text NOT NULL,
  params jsonb NOT NULL,
  times integer NOT NULL DEFAULT 1,
  first_at timestamptz NOT NULL DEFAULT now(),
  last_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT refused_edges_pkey PRIMARY KEY (tenant_id, name)
);
CREATE INDEX refused_edges_last ON devices.refused_edges (tenant_id, last_at);
SELECT platform.protect('devices.refused_edges');
