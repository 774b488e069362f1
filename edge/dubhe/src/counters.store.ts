import type { DatabaseSync } from 'node:sqlite';

export type CounterName =
  | 'reports_spooled'
  | 'reports_repeated'
  | 'reports_sent'
  | 'reports_dead'
  | 'crops_queued'
  | 'crops_uploaded'
  | 'crops_dropped'
  | 'config_revision';

/** Counts since the data folder was created. Call inside the transaction of what is counted. */
export function addToCounter(db: DatabaseSync, name: CounterName, count: number): void {
  db.prepare('INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value').run(
    name,
    count,
  );
}

export function readCounter(db: DatabaseSync, name: CounterName): number {
  const row = db.prepare('SELECT value FROM counters WHERE name = ?').get(name) as { value: number } | undefined;
  return row?.value ?? 0;
}
