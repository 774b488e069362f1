-- How many partitions a topic has is written once, by whoever starts first: a key must never change its partition.
CREATE TABLE platform.bus_partitions (
  topic text NOT NULL,
  partition integer NOT NULL CONSTRAINT bus_partitions_partition_check CHECK (partition >= 0),
  -- The position of the newest committed record. The row is locked from before a position is given until the
  -- commit, so positions are given in commit order and a reader never meets a gap that is filled later.
  last_position bigint NOT NULL DEFAULT 0,
  CONSTRAINT bus_partitions_pkey PRIMARY KEY (topic, partition)
-- The row is updated by every append: with room in the page the update stays on it (HOT) and touches no index.
) WITH (fillfactor = 20);

CREATE TABLE platform.bus_records (
  topic text NOT NULL,
  partition integer NOT NULL,
  position bigint NOT NULL,
  key text NOT NULL,
  headers jsonb NOT NULL,
  value bytea NOT NULL,
  appended_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT bus_records_pkey PRIMARY KEY (topic, partition, position)
);

-- A consumer group's place in one partition, and which of its members works there now.
CREATE TABLE platform.bus_cursors (
  group_name text NOT NULL,
  topic text NOT NULL,
  partition integer NOT NULL,
  position bigint NOT NULL DEFAULT 0,
  owner text,
  owned_until timestamptz,
  -- Grows with every owner: one that was paused past its lease cannot move the position any more.
  epoch bigint NOT NULL DEFAULT 0,
  moved_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT bus_cursors_pkey PRIMARY KEY (group_name, topic, partition)
) WITH (fillfactor = 20);

CREATE TABLE platform.bus_members (
  group_name text NOT NULL,
  member text NOT NULL,
  topics text[] NOT NULL,
  seen_until timestamptz NOT NULL,
  CONSTRAINT bus_members_pkey PRIMARY KEY (group_name, member)
);

CREATE TABLE platform.bus_dead_letters (
  id uuid NOT NULL CONSTRAINT bus_dead_letters_pkey PRIMARY KEY,
  group_name text NOT NULL,
  topic text NOT NULL,
  partition integer NOT NULL,
  position bigint NOT NULL,
  key text NOT NULL,
  headers jsonb NOT NULL,
  value bytea NOT NULL,
  reason text NOT NULL,
  failed_at timestamptz NOT NULL DEFAULT now(),
  replay_requested_at timestamptz,
  replaying_until timestamptz,
  -- A crash between writing a dead letter and moving the position repeats the record, not the dead letter.
  CONSTRAINT bus_dead_letters_place_key UNIQUE (group_name, topic, partition, position)
);
CREATE INDEX bus_dead_letters_replay_idx ON platform.bus_dead_letters (group_name) WHERE replay_requested_at IS NOT NULL;

CREATE TABLE platform.outbox (
  seq bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT outbox_pkey PRIMARY KEY,
  tenant_id uuid NOT NULL,
  topic text NOT NULL,
  key text NOT NULL,
  headers jsonb NOT NULL,
  value bytea NOT NULL,
  written_at timestamptz NOT NULL DEFAULT now()
);
SELECT platform.protect('platform.outbox');

-- Ids only, nobody's data: no tenant and no policy.
CREATE TABLE platform.inbox (
  group_name text NOT NULL,
  record_id text NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT inbox_pkey PRIMARY KEY (group_name, record_id)
);
CREATE INDEX inbox_seen_at_idx ON platform.inbox (seen_at);

-- The log holds every tenant's records and only the platform reads it: a service's transaction for one tenant sees nothing here.
DO $$
DECLARE
  subject regclass;
BEGIN
  FOREACH subject IN ARRAY ARRAY['platform.bus_records', 'platform.bus_dead_letters']::regclass[] LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', subject);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', subject);
    EXECUTE format('CREATE POLICY system_only ON %s USING (current_setting(''app.system'', true) = ''on'')', subject);
  END LOOP;
END
$$;
