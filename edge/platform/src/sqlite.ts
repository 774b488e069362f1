import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { makeFolder, syncFile, syncFolder } from './durable';

/**
 * Opens a database that survives a power cut: WAL with `synchronous=FULL`, so a committed transaction is on
 * disk when `COMMIT` returns, and whatever is found in it now is on disk, too. What is deleted is overwritten with
 * zeros: questions hold faces. `migrations` are applied in order, once each, counted in `user_version`.
 */
export function openSqlite(path: string, migrations: readonly string[]): DatabaseSync {
  makeFolder(dirname(path));
  const db = new DatabaseSync(path);
  db.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000; PRAGMA secure_delete = ON;',
  );
  const done = (db.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;
  syncLog(`${path}-wal`);
  if (done > migrations.length) throw new Error(`${path} was written by a newer version (${done} > ${migrations.length})`);
  migrations.slice(done).forEach((sql, index) => {
    inTransaction(db, () => {
      db.exec(sql);
      db.exec(`PRAGMA user_version = ${done + index + 1}`);
    });
  });
  return db;
}

/**
 * A process killed between writing a commit and syncing it leaves a log that SQLite takes for good, and shows, although
 * a power cut may still undo it. Not by a checkpoint: that would need room on the disk.
 */
function syncLog(path: string): void {
  if (!existsSync(path)) return;
  syncFile(path);
  syncFolder(dirname(path));
}

/** Commits what `work` did, or rolls all of it back when it throws. Synchronous: nothing else runs in between. */
export function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/**
 * Takes out of the log on disk what was deleted and committed: its pages stay readable there until others are written
 * over them. Throws while another connection reads. Not within a transaction.
 */
export function emptyLog(db: DatabaseSync): void {
  const { busy } = db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as { busy: number };
  if (busy !== 0) throw new Error('the log of the database could not be emptied: somebody reads it');
}
