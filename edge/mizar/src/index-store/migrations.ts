/**
 * What the face index knows. A `file` is one camera's vectors (and crops) of one UTC day and pack, so a span of time
 * is a contiguous read. `vector_rows` and `crop_bytes` say how much of the two files is committed: what lies beyond
 * is the torn end of a write that never counted.
 */
export const migrations = [
  `
  CREATE TABLE files (
    file_id INTEGER PRIMARY KEY,
    camera_id TEXT NOT NULL,
    pack_id TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    day INTEGER NOT NULL,
    vector_rows INTEGER NOT NULL,
    crop_bytes INTEGER NOT NULL,
    CONSTRAINT files_one_per_day UNIQUE (camera_id, pack_id, day)
  ) STRICT;
  CREATE TABLE spans (
    span_id INTEGER PRIMARY KEY,
    camera_id TEXT NOT NULL,
    pack_id TEXT NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL,
    sampling_ms INTEGER NOT NULL,
    CONSTRAINT spans_forward CHECK (from_ms < to_ms)
  ) STRICT;
  CREATE INDEX spans_by_time ON spans (camera_id, pack_id, from_ms);
  CREATE TABLE chunks (
    chunk_id INTEGER PRIMARY KEY,
    file_id INTEGER NOT NULL REFERENCES files,
    first_row INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX chunks_by_time ON chunks (file_id, from_ms);
  CREATE TABLE sightings (
    file_id INTEGER NOT NULL REFERENCES files,
    row_number INTEGER NOT NULL,
    sighting_id BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    x REAL NOT NULL,
    y REAL NOT NULL,
    width REAL NOT NULL,
    height REAL NOT NULL,
    frame_width INTEGER NOT NULL,
    frame_height INTEGER NOT NULL,
    quality REAL NOT NULL,
    crop_offset INTEGER NOT NULL,
    crop_length INTEGER NOT NULL,
    PRIMARY KEY (file_id, row_number)
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX sightings_by_id ON sightings (sighting_id);
  CREATE INDEX sightings_by_time ON sightings (file_id, at_ms);
  CREATE TABLE counters (name TEXT PRIMARY KEY, value REAL NOT NULL) STRICT, WITHOUT ROWID;
  `,
  `
  -- Of the wall clock, not of the footage: how long faces have been kept. What is older was indexed at an unknown time.
  ALTER TABLE files ADD COLUMN first_indexed_ms INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE files ADD COLUMN last_indexed_ms INTEGER NOT NULL DEFAULT 0;
  -- When the day stopped counting as looked at; its sightings follow.
  ALTER TABLE files ADD COLUMN withdrawn_at_ms INTEGER;
  UPDATE files SET first_indexed_ms = day * 86400000, last_indexed_ms = day * 86400000;
  CREATE INDEX files_by_age ON files (first_indexed_ms);
  `,
  `
  -- A day that is indexed again is withdrawn no more. Told by comparing two times before, which a clock that was set back
  -- made wrong: its sightings went and its coverage stayed.
  UPDATE files SET withdrawn_at_ms = NULL WHERE last_indexed_ms > withdrawn_at_ms;
  ALTER TABLE files DROP COLUMN last_indexed_ms;
  `,
];
