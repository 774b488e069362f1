-- Packs that were assigned to a tenant and found good. An id stays with the content its embeddings were made by: another
-- content under the same id is refused, because the two could not be told apart afterwards.
CREATE TABLE search.tenant_packs (
  tenant_id uuid NOT NULL,
  pack_id text NOT NULL,
  content_sha256 text NOT NULL,
  default_threshold double precision NOT NULL,
  -- The archive it is in.
  package_id uuid NOT NULL,
  archive_sha256 text NOT NULL,
  in_use_since timestamptz NOT NULL,
  CONSTRAINT tenant_packs_pkey PRIMARY KEY (tenant_id, pack_id)
);
SELECT platform.protect('search.tenant_packs');

-- What devices said last of a tenant's assignment, and what came of it here.
CREATE TABLE search.pack_assignments (
  tenant_id uuid CONSTRAINT pack_assignments_pkey PRIMARY KEY,
  -- By devices' count: what comes with a lower one is older news.
  revision bigint NOT NULL,
  -- NULL when nothing is assigned.
  package_id uuid,
  title text,
  version text,
  archive_sha256 text,
  -- Nothing is left to do: the pack is in use, was refused for good, or none is assigned.
  settled boolean NOT NULL,
  -- {code, params}: why it is not in use, for good, or for now while it is not settled.
  refusal jsonb,
  retry_at timestamptz,
  attempts integer NOT NULL DEFAULT 0,
  -- In use for the tenant: the last good one. NULL: the installation's own.
  pack_id text,
  CONSTRAINT pack_assignments_pack FOREIGN KEY (tenant_id, pack_id) REFERENCES search.tenant_packs (tenant_id, pack_id)
);
SELECT platform.protect('search.pack_assignments');
CREATE INDEX pack_assignments_open ON search.pack_assignments (tenant_id) WHERE NOT settled;

-- Of the installation's own packs; NULL where it is not known any more.
ALTER TABLE search.packs ADD COLUMN content_sha256 text;
