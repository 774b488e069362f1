import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/**
 * Opens a database that survives a power cut: WAL with `synchronous=FULL`, so a committed transaction is on
 * disk when `COMMIT` returns. `migrations` are applied in order, once each, counted in `user_version`.
 */
export function openSqlite(path: string, migrations: readonly string[]): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true });
  const db = new DatabaseSync(path);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000;');
  const done = (db.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;
  if (done > migrations.length) throw new Error(`${path} was written by a newer version (${done} > ${migrations.length})`);
  migrations.slice(done).forEach((sql, index) => {
    inTransaction(db, () => {
      db.exec(sql);
      db.exec(`PRAGMA user_version = ${done + index + 1}`);
    });
  });
  return db;
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
