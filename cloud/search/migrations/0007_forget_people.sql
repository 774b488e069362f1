-- What became of the deletion of a person: on Star, and on each box. Its name is not kept.
CREATE TABLE search.person_deletions (
  tenant_id uuid NOT NULL,
  person_id uuid CONSTRAINT person_deletions_pkey PRIMARY KEY,
  deleted_by uuid NOT NULL,
  deleted_by_name text NOT NULL,
  deleted_at timestamptz NOT NULL,
  photos integer NOT NULL,
  -- Star's own matches and pictures; NULL until they are gone.
  matches bigint,
  crops bigint,
  cleaned_at timestamptz,
  -- The embeddings by which boxes find what they have to forget; the object is removed once all have answered.
  document jsonb NOT NULL,
  fanned_out_at timestamptz,
  completed_at timestamptz
);
CREATE INDEX person_deletions_by_age ON search.person_deletions (tenant_id, deleted_at DESC, person_id DESC);
CREATE INDEX person_deletions_open ON search.person_deletions (deleted_at) WHERE completed_at IS NULL;
SELECT platform.protect('search.person_deletions');

CREATE TABLE search.deletion_edges (
  tenant_id uuid NOT NULL,
  person_id uuid NOT NULL CONSTRAINT deletion_edges_of_deletion REFERENCES search.person_deletions (person_id) ON DELETE CASCADE,
  edge_id uuid NOT NULL,
  edge_name text NOT NULL,
  -- gone: the box was removed from Star before it answered.
  state text NOT NULL DEFAULT 'pending' CONSTRAINT deletion_edges_state CHECK (state IN ('pending', 'done', 'gone')),
  attempts integer NOT NULL DEFAULT 0,
  -- When the box is asked again; a call that nobody fetches expires, and is made anew.
  ask_at timestamptz NOT NULL,
  asked_at timestamptz,
  error jsonb,
  answered_at timestamptz,
  receipt jsonb,
  CONSTRAINT deletion_edges_pkey PRIMARY KEY (person_id, edge_id)
);
CREATE INDEX deletion_edges_due ON search.deletion_edges (ask_at) WHERE state = 'pending';
SELECT platform.protect('search.deletion_edges');

-- Pictures that a box may upload once more before it hears of the deletion: removed again after its receipt.
CREATE TABLE search.deletion_crops (
  tenant_id uuid NOT NULL,
  person_id uuid NOT NULL CONSTRAINT deletion_crops_of_deletion REFERENCES search.person_deletions (person_id) ON DELETE CASCADE,
  edge_id uuid NOT NULL,
  object_key text NOT NULL,
  CONSTRAINT deletion_crops_pkey PRIMARY KEY (person_id, edge_id, object_key)
);
SELECT platform.protect('search.deletion_crops');

-- People whose matches are still in ClickHouse, or came there after they were deleted.
CREATE TABLE search.doomed_people (
  person_id uuid CONSTRAINT doomed_people_pkey PRIMARY KEY,
  tenant_id uuid NOT NULL,
  doomed_at timestamptz NOT NULL DEFAULT now()
);
SELECT platform.protect('search.doomed_people');
