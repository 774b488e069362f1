import type { DatabaseSync } from 'node:sqlite';
import { inTransaction } from '@dipper/platform';
import { addToCounter, readCounter } from './counters.store';
import { enqueueCrops } from './crops.store';
import { dubheErrors } from './dubhe.errors';

export interface NewReport {
  readonly id: string;
  readonly key: string;
  readonly body: string;
  readonly atMs: number;
  readonly cropSightingIds: readonly string[];
}

export interface SpooledReport {
  readonly seq: number;
  readonly id: string;
  readonly key: string;
  readonly body: string;
  readonly atMs: number;
  readonly deliveries: number;
}

/** What a row and its indexes take besides the body, roughly. */
const rowBytes = 256;
/** A submitter repeats itself only within one crash or timeout; Star itself drops what is older. */
const rememberedIds = 20_000;
/** SQLITE_FULL, SQLITE_IOERR: nothing was written, and the submitter still has its reports. */
const diskErrors = new Set([13, 10]);

/** Reports that wait to be sent, in order. Every method is one transaction that is on disk when it returns. */
export class OutgoingStore {
  private usedBytes: number;

  constructor(
    private readonly db: DatabaseSync,
    private readonly quotaBytes: number,
  ) {
    const sum = db.prepare(
      'SELECT (SELECT coalesce(sum(bytes), 0) FROM outgoing_reports) + (SELECT coalesce(sum(bytes), 0) FROM dead_reports) AS bytes',
    );
    this.usedBytes = (sum.get() as { bytes: number }).bytes;
  }

  /** All of them or none. An id that is waiting, was sent lately or was set aside is skipped. Throws spool.full, spool.disk_full. */
  add(reports: readonly NewReport[], nowMs: number): void {
    const known = this.db.prepare(
      'SELECT 1 FROM outgoing_reports WHERE id = :id UNION ALL SELECT 1 FROM sent_reports WHERE id = :id UNION ALL SELECT 1 FROM dead_reports WHERE id = :id LIMIT 1',
    );
    const insert = this.db.prepare('INSERT INTO outgoing_reports (id, key, body, at_ms, bytes) VALUES (?, ?, ?, ?, ?)');
    let added = 0;
    try {
      inTransaction(this.db, () => {
        let count = 0;
        for (const report of reports) {
          if (known.get({ id: report.id })) continue;
          const bytes = Buffer.byteLength(report.body) + rowBytes;
          if (this.usedBytes + added + bytes > this.quotaBytes) throw dubheErrors.spoolFull(this.usedBytes, this.quotaBytes);
          insert.run(report.id, report.key, report.body, report.atMs, bytes);
          enqueueCrops(this.db, report.cropSightingIds, nowMs);
          added += bytes;
          count++;
        }
        if (count > 0) addToCounter(this.db, 'reports_spooled', count);
        if (count < reports.length) addToCounter(this.db, 'reports_repeated', reports.length - count);
      });
    } catch (error) {
      if (diskErrors.has(((error as { errcode?: number }).errcode ?? 0) & 0xff)) throw dubheErrors.diskFull(error);
      throw error;
    }
    this.usedBytes += added;
  }

  nextAfter(seq: number, limit: number): SpooledReport[] {
    return this.db
      .prepare('SELECT seq, id, key, body, at_ms AS atMs, deliveries FROM outgoing_reports WHERE seq > ? ORDER BY seq LIMIT ?')
      .all(seq, limit) as unknown as SpooledReport[];
  }

  /** Star has them. */
  finish(seqs: readonly number[]): void {
    const remember = this.db.prepare('INSERT OR IGNORE INTO sent_reports (id) SELECT id FROM outgoing_reports WHERE seq = ?');
    const remove = this.db.prepare('DELETE FROM outgoing_reports WHERE seq = ? RETURNING bytes');
    let freed = 0;
    inTransaction(this.db, () => {
      for (const seq of seqs) {
        remember.run(seq);
        freed += (remove.get(seq) as { bytes: number } | undefined)?.bytes ?? 0;
      }
      this.db.prepare('DELETE FROM sent_reports WHERE seq <= (SELECT max(seq) FROM sent_reports) - ?').run(rememberedIds);
      addToCounter(this.db, 'reports_sent', seqs.length);
    });
    this.usedBytes -= freed;
  }

  /** Another connection ended while only this report was on its way. */
  blame(seq: number): void {
    this.db.prepare('UPDATE outgoing_reports SET deliveries = deliveries + 1 WHERE seq = ?').run(seq);
  }

  /** Out of the way of the others, but kept with the reason: a person can see and replay it. */
  bury(seq: number, reason: string, nowMs: number): void {
    inTransaction(this.db, () => {
      this.db
        .prepare(
          'INSERT OR IGNORE INTO dead_reports (id, key, body, at_ms, bytes, reason, died_at_ms) SELECT id, key, body, at_ms, bytes, ?, ? FROM outgoing_reports WHERE seq = ?',
        )
        .run(reason, nowMs, seq);
      this.db.prepare('DELETE FROM outgoing_reports WHERE seq = ?').run(seq);
      addToCounter(this.db, 'reports_dead', 1);
    });
  }

  isFull(): boolean {
    return this.usedBytes + rowBytes >= this.quotaBytes;
  }

  deadCount(): number {
    return this.count('dead_reports');
  }

  stats(): Record<string, number> {
    return {
      reports_spooled: readCounter(this.db, 'reports_spooled'),
      reports_repeated: readCounter(this.db, 'reports_repeated'),
      reports_sent: readCounter(this.db, 'reports_sent'),
      reports_pending: this.count('outgoing_reports'),
      reports_dead: this.count('dead_reports'),
      spool_used_bytes: this.usedBytes,
      spool_quota_bytes: this.quotaBytes,
    };
  }

  private count(table: 'outgoing_reports' | 'dead_reports'): number {
    return (this.db.prepare(`SELECT count(*) AS count FROM ${table}`).get() as { count: number }).count;
  }
}
