/** Of merak.db; applied in order, once each. Never edit one that was released. */
export const migrations = [
  `
CREATE TABLE tasks (
  id TEXT PRIMARY KEY,
  accepted_order INTEGER NOT NULL CONSTRAINT tasks_accepted_order UNIQUE,
  state TEXT NOT NULL,
  priority INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  accepted_at_ms INTEGER NOT NULL,
  finished_at_ms INTEGER,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  content_hash TEXT NOT NULL,
  params TEXT NOT NULL,
  seq INTEGER NOT NULL DEFAULT 0,
  done_ms INTEGER NOT NULL DEFAULT 0,
  segments_done INTEGER NOT NULL DEFAULT 0,
  segments_failed INTEGER NOT NULL DEFAULT 0,
  downloaded_bytes INTEGER NOT NULL DEFAULT 0,
  keyframes_decoded INTEGER NOT NULL DEFAULT 0,
  matches INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX tasks_unfinished ON tasks (state, accepted_order);
CREATE TABLE cancelled_tasks (task_id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE queries (task_id TEXT PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE, document BLOB NOT NULL) STRICT;
CREATE TABLE task_cameras (
  task_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  done_until_ms INTEGER NOT NULL,
  done_ahead TEXT NOT NULL,
  look_window TEXT,
  PRIMARY KEY (task_id, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE task_matches (
  task_id TEXT NOT NULL,
  sighting_id TEXT NOT NULL,
  person_id TEXT NOT NULL,
  PRIMARY KEY (task_id, sighting_id, person_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE outgoing_reports (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL CONSTRAINT outgoing_reports_id UNIQUE,
  task_id TEXT NOT NULL,
  body TEXT NOT NULL,
  crop_sighting_ids TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX outgoing_reports_task ON outgoing_reports (task_id);
CREATE TABLE segment_releases (segment_key TEXT PRIMARY KEY, segment BLOB NOT NULL) STRICT;
CREATE TABLE camera_speeds (
  recorder_id TEXT NOT NULL,
  channel INTEGER NOT NULL,
  pack_id TEXT NOT NULL,
  download_ms_per_s REAL NOT NULL,
  index_ms_per_s REAL NOT NULL,
  bytes_per_s REAL NOT NULL,
  footage_share REAL NOT NULL,
  samples INTEGER NOT NULL,
  measured_at_ms INTEGER NOT NULL,
  PRIMARY KEY (recorder_id, channel, pack_id)
) STRICT, WITHOUT ROWID;
`,
  `CREATE TABLE short_footage (
  segment_key TEXT NOT NULL,
  pack_id TEXT NOT NULL,
  from_ms INTEGER NOT NULL,
  to_ms INTEGER NOT NULL,
  sampling_ms INTEGER NOT NULL,
  seen_at_ms INTEGER NOT NULL,
  PRIMARY KEY (segment_key, pack_id)
) STRICT, WITHOUT ROWID;
`,
  `-- What was done to forget a person, so that a repeated call adds up to one receipt.
CREATE TABLE forgotten_people (
  person_id TEXT PRIMARY KEY,
  tasks INTEGER NOT NULL,
  matches INTEGER NOT NULL,
  sightings INTEGER NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX task_matches_person ON task_matches (person_id);
`,
  `CREATE TABLE camera_channels (
  camera_id TEXT PRIMARY KEY,
  recorder_id TEXT NOT NULL,
  channel INTEGER NOT NULL,
  named_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`,
];
