import { softwareMigration } from './software/software.store';

/** Of dubhe.db; applied in order, once each. Never edit one that was released. */
export const migrations = [
  `
CREATE TABLE outgoing_reports (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL CONSTRAINT outgoing_reports_id UNIQUE,
  key TEXT NOT NULL,
  body TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  deliveries INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE sent_reports (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL CONSTRAINT sent_reports_id UNIQUE
) STRICT;
CREATE TABLE dead_reports (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL CONSTRAINT dead_reports_id UNIQUE,
  key TEXT NOT NULL,
  body TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  reason TEXT NOT NULL,
  died_at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE crop_uploads (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  sighting_id TEXT NOT NULL CONSTRAINT crop_uploads_sighting_id UNIQUE,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX crop_uploads_due ON crop_uploads (next_at_ms, seq);
CREATE TABLE shared_attributes (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`,
  softwareMigration,
];
