import type { DatabaseSync } from 'node:sqlite';
import { inTransaction } from '@dipper/platform';
import { addToCounter, readCounter } from './counters.store';

export interface ConfigState {
  /** Increases with every change, over restarts too. */
  readonly revision: number;
  /** Key to JSON text. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** The shared attributes as Star last told us, so that a box that starts offline knows its recorders. */
export class AttributesStore {
  private state: ConfigState;

  constructor(private readonly db: DatabaseSync) {
    this.state = this.read();
  }

  current(): ConfigState {
    return this.state;
  }

  /** Sets and removes in one transaction; false, and no new revision, when nothing is different. */
  change(set: Readonly<Record<string, string>>, remove: readonly string[]): boolean {
    const has = this.state.attributes;
    const sets = Object.entries(set).filter(([key, value]) => has[key] !== value);
    const removes = remove.filter((key) => Object.hasOwn(has, key) && !Object.hasOwn(set, key));
    if (sets.length === 0 && removes.length === 0) return false;
    const put = this.db.prepare(
      'INSERT INTO shared_attributes (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    );
    const del = this.db.prepare('DELETE FROM shared_attributes WHERE key = ?');
    inTransaction(this.db, () => {
      for (const [key, value] of sets) put.run(key, value);
      for (const key of removes) del.run(key);
      addToCounter(this.db, 'config_revision', 1);
    });
    this.state = this.read();
    return true;
  }

  private read(): ConfigState {
    const rows = this.db.prepare('SELECT key, value FROM shared_attributes ORDER BY key').all() as { key: string; value: string }[];
    return { revision: readCounter(this.db, 'config_revision'), attributes: Object.fromEntries(rows.map((row) => [row.key, row.value])) };
  }
}
