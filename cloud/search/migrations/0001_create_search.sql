-- People, searches, tasks and the coverage ledger. Spans are Unix milliseconds (bigint), because the ledger must
-- add up exactly; moments that are only shown are timestamptz.

CREATE TABLE search.people (
  tenant_id uuid NOT NULL,
  id uuid CONSTRAINT people_pkey PRIMARY KEY,
  name text NOT NULL,
  note text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX people_by_age ON search.people (tenant_id, created_at DESC, id DESC);
SELECT platform.protect('search.people');

CREATE TABLE search.photos (
  tenant_id uuid NOT NULL,
  id uuid CONSTRAINT photos_pkey PRIMARY KEY,
  person_id uuid NOT NULL CONSTRAINT photos_of_person REFERENCES search.people (id) ON DELETE CASCADE,
  object_key text NOT NULL,
  sha256 text NOT NULL,
  width integer NOT NULL,
  height integer NOT NULL,
  face_px integer NOT NULL,
  quality real NOT NULL,
  pack_id text NOT NULL,
  -- Little-endian float32, L2-normalised. Compared on the boxes only, never here.
  embedding bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX photos_by_person ON search.photos (person_id, created_at, id);
SELECT platform.protect('search.photos');

-- Objects whose row is gone: written with the deletion, removed once storage has confirmed. A face must not stay
-- behind because a process died between the two.
CREATE TABLE search.doomed_objects (
  tenant_id uuid NOT NULL,
  object_key text NOT NULL,
  doomed_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT doomed_objects_pkey PRIMARY KEY (tenant_id, object_key)
);
SELECT platform.protect('search.doomed_objects');

CREATE TABLE search.searches (
  tenant_id uuid NOT NULL,
  id uuid CONSTRAINT searches_pkey PRIMARY KEY,
  name text NOT NULL,
  purpose text NOT NULL,
  state text NOT NULL CONSTRAINT searches_state CHECK (state IN ('draft', 'running', 'finished', 'cancelled', 'failed')),
  person_ids uuid[] NOT NULL,
  camera_ids uuid[] NOT NULL,
  from_ms bigint NOT NULL,
  to_ms bigint NOT NULL,
  threshold double precision NOT NULL,
  priority smallint NOT NULL,
  pack_id text NOT NULL,
  estimate jsonb,
  created_by uuid NOT NULL,
  idempotency_key text,
  request_sha256 text NOT NULL,
  -- Grows with everything a follower may want to hear of; the id of server-sent events.
  revision bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  cancelled_at timestamptz,
  finished_at timestamptz,
  CONSTRAINT searches_range CHECK (from_ms < to_ms),
  CONSTRAINT searches_idempotency UNIQUE (tenant_id, idempotency_key)
);
CREATE INDEX searches_by_age ON search.searches (tenant_id, created_at DESC, id DESC);
SELECT platform.protect('search.searches');

CREATE TABLE search.tasks (
  tenant_id uuid NOT NULL,
  id uuid CONSTRAINT tasks_pkey PRIMARY KEY,
  search_id uuid NOT NULL CONSTRAINT tasks_of_search REFERENCES search.searches (id) ON DELETE CASCADE,
  ordinal integer NOT NULL,
  edge_id uuid NOT NULL,
  edge_name text NOT NULL,
  camera_ids uuid[] NOT NULL,
  from_ms bigint NOT NULL,
  to_ms bigint NOT NULL,
  expires_at timestamptz NOT NULL,
  -- Derived from the facts below; stored for the sweep and the lists.
  state text NOT NULL DEFAULT 'requested',
  accepted boolean NOT NULL DEFAULT false,
  accept_ms double precision,
  rpc_error jsonb,
  swept_at timestamptz,
  settled_seq integer NOT NULL DEFAULT 0,
  highest_seq integer NOT NULL DEFAULT 0,
  highest_state text,
  report_error jsonb,
  searched_ms bigint NOT NULL DEFAULT 0,
  indexed_ms bigint NOT NULL DEFAULT 0,
  no_footage_ms bigint NOT NULL DEFAULT 0,
  failed_ms bigint NOT NULL DEFAULT 0,
  -- Distinct matches stored, counted where they are stored.
  matches bigint NOT NULL DEFAULT 0,
  keyframes_decoded bigint NOT NULL DEFAULT 0,
  downloaded_bytes bigint NOT NULL DEFAULT 0,
  segments_failed bigint NOT NULL DEFAULT 0,
  CONSTRAINT tasks_ordinal UNIQUE (search_id, ordinal)
);
CREATE INDEX tasks_unfinished ON search.tasks (expires_at) WHERE state IN ('requested', 'accepted', 'running');
SELECT platform.protect('search.tasks');

-- Reports that came before one with a lower number. Up to tasks.settled_seq all are here and need no row, so an
-- ordered task keeps none.
CREATE TABLE search.early_reports (
  tenant_id uuid NOT NULL,
  task_id uuid NOT NULL CONSTRAINT early_reports_of_task REFERENCES search.tasks (id) ON DELETE CASCADE,
  seq integer NOT NULL,
  CONSTRAINT early_reports_pkey PRIMARY KEY (task_id, seq)
);
SELECT platform.protect('search.early_reports');

CREATE TABLE search.coverage (
  tenant_id uuid NOT NULL,
  search_id uuid NOT NULL,
  task_id uuid NOT NULL CONSTRAINT coverage_of_task REFERENCES search.tasks (id) ON DELETE CASCADE,
  camera_id uuid NOT NULL,
  from_ms bigint NOT NULL,
  to_ms bigint NOT NULL,
  kind text NOT NULL CONSTRAINT coverage_kind CHECK (kind IN ('searched', 'indexed', 'no_footage', 'failed')),
  reason text,
  sampling_ms integer,
  -- The report that said so; 0: filled in by Star.
  seq integer NOT NULL,
  CONSTRAINT coverage_pkey PRIMARY KEY (search_id, camera_id, from_ms),
  CONSTRAINT coverage_span CHECK (from_ms < to_ms)
);
-- A box walks forwards, so the rows a report touches are the last ones: found from the end.
CREATE INDEX coverage_by_end ON search.coverage (task_id, camera_id, to_ms);
SELECT platform.protect('search.coverage');

-- Which matches came with which revision, so that a follower who was away gets exactly what it missed.
CREATE TABLE search.match_log (
  tenant_id uuid NOT NULL,
  search_id uuid NOT NULL CONSTRAINT match_log_of_search REFERENCES search.searches (id) ON DELETE CASCADE,
  revision bigint NOT NULL,
  match_ids text[] NOT NULL,
  CONSTRAINT match_log_pkey PRIMARY KEY (search_id, revision)
);
SELECT platform.protect('search.match_log');

CREATE TABLE search.verdicts (
  tenant_id uuid NOT NULL,
  search_id uuid NOT NULL CONSTRAINT verdicts_of_search REFERENCES search.searches (id) ON DELETE CASCADE,
  match_id text NOT NULL,
  verdict text NOT NULL CONSTRAINT verdicts_verdict CHECK (verdict IN ('unreviewed', 'confirmed', 'rejected')),
  set_by uuid NOT NULL,
  set_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT verdicts_pkey PRIMARY KEY (search_id, match_id)
);
SELECT platform.protect('search.verdicts');
