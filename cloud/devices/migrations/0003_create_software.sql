-- Packages that edges download over MQTT in chunks, which of them the edges of a tenant are to have, and how far each is.

CREATE TABLE devices.software_packages (
  id uuid CONSTRAINT software_packages_pkey PRIMARY KEY,
  tenant_id uuid NOT NULL,
  title text NOT NULL,
  version text NOT NULL,
  size_bytes bigint NOT NULL,
  sha256 text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT software_packages_tenant_id UNIQUE (tenant_id, id),
  CONSTRAINT software_packages_version UNIQUE (tenant_id, title, version)
);
SELECT platform.protect('devices.software_packages');
CREATE INDEX software_packages_list ON devices.software_packages (tenant_id, created_at, id);

-- At most one row per tenant: what all of its edges are to have.
CREATE TABLE devices.software_assignments (
  tenant_id uuid CONSTRAINT software_assignments_pkey PRIMARY KEY,
  package_id uuid NOT NULL,
  assigned_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT software_assignments_package FOREIGN KEY (tenant_id, package_id) REFERENCES devices.software_packages (tenant_id, id)
);
SELECT platform.protect('devices.software_assignments');

CREATE TABLE devices.edge_software (
  edge_id uuid CONSTRAINT edge_software_pkey PRIMARY KEY,
  tenant_id uuid NOT NULL,
  -- Of what is assigned; NULL when nothing is.
  state text CONSTRAINT edge_software_state CHECK (state IN
    ('QUEUED', 'INITIATED', 'DOWNLOADING', 'DOWNLOADED', 'VERIFIED', 'UPDATING', 'UPDATED', 'FAILED')),
  error text,
  current_title text,
  current_version text,
  queued_at timestamptz,
  -- By the edge's own clock, of its newest word: older ones that come late change nothing.
  reported_at timestamptz,
  changed_at timestamptz NOT NULL DEFAULT now(),
  -- False: the bus has not been told of an assignment or its end.
  announced boolean NOT NULL DEFAULT true,
  CONSTRAINT edge_software_edge FOREIGN KEY (tenant_id, edge_id) REFERENCES devices.edges (tenant_id, id) ON DELETE CASCADE
);
SELECT platform.protect('devices.edge_software');
CREATE INDEX edge_software_unannounced ON devices.edge_software (edge_id) WHERE NOT announced;

-- Written before an object is, and removed with the row that owns it: a process that dies in between leaves nothing behind for good.
CREATE TABLE devices.doomed_objects (
  object_key text CONSTRAINT doomed_objects_pkey PRIMARY KEY,
  tenant_id uuid NOT NULL,
  delete_after timestamptz NOT NULL
);
SELECT platform.protect('devices.doomed_objects');
CREATE INDEX doomed_objects_due ON devices.doomed_objects (delete_after);
