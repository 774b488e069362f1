-- Edges, what is behind them, and the calls made to them. JSON from devices is kept as text: jsonb would refuse
-- \u0000 and reorder keys, and nothing here is ever queried by what is inside.

-- One row per running hub process. A hub that has not renewed in time is dead, and its edges are offline at once.
CREATE TABLE devices.hubs (
  id uuid CONSTRAINT hubs_pkey PRIMARY KEY,
  started_at timestamptz NOT NULL DEFAULT now(),
  lease_until timestamptz NOT NULL
);

CREATE TABLE devices.provisioning_keys (
  id uuid CONSTRAINT provisioning_keys_pkey PRIMARY KEY,
  tenant_id uuid NOT NULL,
  community_id uuid NOT NULL,
  key text NOT NULL CONSTRAINT provisioning_keys_key UNIQUE,
  -- SHA-256 of 32 random bytes: nothing to guess, so nothing slower is needed.
  secret_hash bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
SELECT platform.protect('devices.provisioning_keys');
CREATE INDEX provisioning_keys_list ON devices.provisioning_keys (tenant_id, created_at, id);

CREATE TABLE devices.edges (
  id uuid CONSTRAINT edges_pkey PRIMARY KEY,
  tenant_id uuid NOT NULL,
  community_id uuid NOT NULL,
  name text NOT NULL,
  -- The last RPC id given: ids of calls are integers per device.
  rpc_counter integer NOT NULL DEFAULT 0,
  -- Where its session is. Online means: set, and that hub's lease has not run out.
  hub_id uuid,
  session_id uuid,
  connected_at timestamptz,
  last_seen_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT edges_tenant_id UNIQUE (tenant_id, id),
  CONSTRAINT edges_name UNIQUE (tenant_id, name)
);
SELECT platform.protect('devices.edges');
CREATE INDEX edges_list ON devices.edges (tenant_id, created_at, id);
CREATE INDEX edges_hub ON devices.edges (hub_id) WHERE hub_id IS NOT NULL;

CREATE TABLE devices.credentials (
  edge_id uuid CONSTRAINT credentials_pkey PRIMARY KEY,
  tenant_id uuid NOT NULL,
  kind text NOT NULL CONSTRAINT credentials_kind CHECK (kind IN ('ACCESS_TOKEN', 'MQTT_BASIC')),
  -- SHA-256 of the token, or of the client id and user name.
  lookup_hash bytea NOT NULL CONSTRAINT credentials_lookup UNIQUE,
  client_id text,
  user_name text,
  -- scrypt, with its salt: a device may choose a weak password.
  password_hash bytea,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT credentials_edge FOREIGN KEY (tenant_id, edge_id) REFERENCES devices.edges (tenant_id, id) ON DELETE CASCADE
);
SELECT platform.protect('devices.credentials');

CREATE TABLE devices.recorders (
  id uuid CONSTRAINT recorders_pkey PRIMARY KEY,
  tenant_id uuid NOT NULL,
  edge_id uuid NOT NULL,
  name text NOT NULL,
  kind text NOT NULL,
  base_url text NOT NULL,
  username text NOT NULL,
  -- AES-256-GCM, bound to this row's id.
  password_sealed bytea NOT NULL,
  max_sessions integer NOT NULL,
  time_mode text NOT NULL,
  time_zone text NOT NULL,
  -- As the box last reported it; NULL until it has.
  reachable boolean,
  error_code text,
  clock_offset_ms bigint,
  model text,
  serial_number text,
  firmware text,
  checked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT recorders_tenant_id UNIQUE (tenant_id, id),
  CONSTRAINT recorders_name UNIQUE (edge_id, name),
  CONSTRAINT recorders_edge FOREIGN KEY (tenant_id, edge_id) REFERENCES devices.edges (tenant_id, id) ON DELETE CASCADE
);
SELECT platform.protect('devices.recorders');
CREATE INDEX recorders_list ON devices.recorders (tenant_id, edge_id, created_at, id);

-- A camera is a channel of a recorder for good: its id outlives the channel's absence.
CREATE TABLE devices.cameras (
  id uuid CONSTRAINT cameras_pkey PRIMARY KEY,
  tenant_id uuid NOT NULL,
  edge_id uuid NOT NULL,
  recorder_id uuid NOT NULL,
  channel integer NOT NULL,
  reported_name text NOT NULL,
  -- What an operator called it; wins over the reported name.
  given_name text,
  online boolean NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT cameras_channel UNIQUE (recorder_id, channel),
  CONSTRAINT cameras_edge FOREIGN KEY (tenant_id, edge_id) REFERENCES devices.edges (tenant_id, id) ON DELETE CASCADE,
  CONSTRAINT cameras_recorder FOREIGN KEY (tenant_id, recorder_id) REFERENCES devices.recorders (tenant_id, id) ON DELETE CASCADE
);
SELECT platform.protect('devices.cameras');
CREATE INDEX cameras_list ON devices.cameras (tenant_id, created_at, id);
CREATE INDEX cameras_edge_list ON devices.cameras (edge_id);

-- Shared attributes `recorder.<id>` are not here: they are made from devices.recorders, so that the password is in one place and sealed.
CREATE TABLE devices.attributes (
  tenant_id uuid NOT NULL,
  edge_id uuid NOT NULL,
  scope text NOT NULL CONSTRAINT attributes_scope CHECK (scope IN ('CLIENT', 'SHARED', 'SERVER')),
  key text NOT NULL,
  value_json text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT attributes_pkey PRIMARY KEY (edge_id, scope, key),
  CONSTRAINT attributes_edge FOREIGN KEY (tenant_id, edge_id) REFERENCES devices.edges (tenant_id, id) ON DELETE CASCADE
);
SELECT platform.protect('devices.attributes');

CREATE TABLE devices.rpcs (
  id uuid CONSTRAINT rpcs_pkey PRIMARY KEY,
  tenant_id uuid NOT NULL,
  edge_id uuid NOT NULL,
  -- What the device sees in the topic.
  request_id integer NOT NULL,
  method text NOT NULL,
  params_json text NOT NULL,
  correlation_id text NOT NULL DEFAULT '',
  state text NOT NULL CONSTRAINT rpcs_state CHECK (state IN ('QUEUED', 'SENT', 'DELIVERED', 'SUCCESSFUL', 'TIMEOUT', 'EXPIRED', 'FAILED')),
  -- Sendings without a PUBACK so far, and how many may be tried again.
  timeouts integer NOT NULL DEFAULT 0,
  retries integer NOT NULL,
  -- False: a question whose asker waits; nobody is told of its end over the bus.
  announced boolean NOT NULL DEFAULT true,
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  sent_at timestamptz,
  delivered_at timestamptz,
  replied_at timestamptz,
  round_trip_ms double precision,
  reply_json text,
  finished_at timestamptz,
  CONSTRAINT rpcs_request UNIQUE (edge_id, request_id),
  CONSTRAINT rpcs_edge FOREIGN KEY (tenant_id, edge_id) REFERENCES devices.edges (tenant_id, id) ON DELETE CASCADE
);
SELECT platform.protect('devices.rpcs');
CREATE INDEX rpcs_list ON devices.rpcs (tenant_id, edge_id, created_at, id);
CREATE INDEX rpcs_open ON devices.rpcs (edge_id, request_id) WHERE finished_at IS NULL;
CREATE INDEX rpcs_expiry ON devices.rpcs (expires_at) WHERE finished_at IS NULL;

-- Reports of boxes that no consumer could read. The box got its PUBACK, so this is the only copy.
CREATE TABLE devices.rejected_reports (
  id uuid CONSTRAINT rejected_reports_pkey PRIMARY KEY,
  tenant_id uuid NOT NULL,
  edge_id uuid NOT NULL,
  key text NOT NULL,
  body bytea NOT NULL,
  body_sha256 bytea NOT NULL,
  reason text NOT NULL,
  times integer NOT NULL DEFAULT 1,
  first_at timestamptz NOT NULL DEFAULT now(),
  last_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT rejected_reports_body UNIQUE (edge_id, body_sha256)
);
SELECT platform.protect('devices.rejected_reports');
CREATE INDEX rejected_reports_list ON devices.rejected_reports (tenant_id, first_at, id);
