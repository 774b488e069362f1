import type { DatabaseSync } from 'node:sqlite';
import { inTransaction } from '@dipper/platform';
import { addToCounter, readCounter } from './counters.store';

export interface PendingCrop {
  readonly seq: number;
  readonly sightingId: string;
  readonly attempts: number;
}

/** Inside the transaction that spools the report, so a crop is asked for exactly when its report is. */
export function enqueueCrops(db: DatabaseSync, sightingIds: readonly string[], nowMs: number): void {
  const insert = db.prepare('INSERT OR IGNORE INTO crop_uploads (sighting_id, next_at_ms) VALUES (?, ?)');
  let queued = 0;
  for (const id of sightingIds) queued += Number(insert.run(id, nowMs).changes);
  if (queued > 0) addToCounter(db, 'crops_queued', queued);
}

/** Crops that Star does not have yet. */
export class CropsStore {
  constructor(private readonly db: DatabaseSync) {}

  due(nowMs: number, limit: number): PendingCrop[] {
    return this.db
      .prepare('SELECT seq, sighting_id AS sightingId, attempts FROM crop_uploads WHERE next_at_ms <= ? ORDER BY next_at_ms, seq LIMIT ?')
      .all(nowMs, limit) as unknown as PendingCrop[];
  }

  /** When the next one is due, Unix ms; undefined when none waits. */
  nextDueMs(): number | undefined {
    const row = this.db.prepare('SELECT min(next_at_ms) AS at FROM crop_uploads').get() as { at: number | null };
    return row.at ?? undefined;
  }

  finish(seqs: readonly number[], outcome: 'crops_uploaded' | 'crops_dropped'): void {
    if (seqs.length === 0) return;
    const remove = this.db.prepare('DELETE FROM crop_uploads WHERE seq = ?');
    inTransaction(this.db, () => {
      for (const seq of seqs) remove.run(seq);
      addToCounter(this.db, outcome, seqs.length);
    });
  }

  /** `counted`: the attempt brings the crop nearer to being dropped; an agent or network that is away does not. */
  postpone(crops: readonly { seq: number; untilMs: number; counted: boolean }[]): void {
    if (crops.length === 0) return;
    const update = this.db.prepare('UPDATE crop_uploads SET next_at_ms = ?, attempts = attempts + ? WHERE seq = ?');
    inTransaction(this.db, () => {
      for (const crop of crops) update.run(crop.untilMs, crop.counted ? 1 : 0, crop.seq);
    });
  }

  stats(): Record<string, number> {
    const pending = this.db.prepare('SELECT count(*) AS count FROM crop_uploads').get() as { count: number };
    return {
      crops_queued: readCounter(this.db, 'crops_queued'),
      crops_uploaded: readCounter(this.db, 'crops_uploaded'),
      crops_dropped: readCounter(this.db, 'crops_dropped'),
      crops_pending: pending.count,
    };
  }
}
