import type { DatabaseSync } from 'node:sqlite';
import { type Clock, inTransaction } from '@dipper/platform';
import type { SoftwareState, SoftwareTelemetry } from '@stardipper/proto';
import type { SoftwareTarget } from './wanted-software';

export type Phase = 'idle' | 'downloading' | 'downloaded' | 'verified' | 'updating' | 'updated' | 'failed';

export interface SoftwareProgress {
  /** Key of the assignment being followed; empty when there is none. */
  readonly target: string;
  readonly phase: Phase;
  /** On disk to stay. */
  readonly receivedBytes: number;
  /** In a row, on this assignment. */
  readonly failures: number;
  readonly error: string | null;
  /** When a failed one is tried again, Unix ms; null: only when the assignment changes. */
  readonly retryAtMs: number | null;
  readonly current: { readonly title: string; readonly version: string; readonly sha256: string } | undefined;
}

export interface StateReport {
  readonly seq: number;
  readonly atMs: number;
  /** JSON of the telemetry values. */
  readonly body: string;
}

/** Of software.store's tables, for dubhe.db. */
export const softwareMigration = `
CREATE TABLE software (
  id INTEGER PRIMARY KEY CONSTRAINT software_one_row CHECK (id = 1),
  target TEXT NOT NULL,
  phase TEXT NOT NULL,
  received_bytes INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  error TEXT,
  retry_at_ms INTEGER,
  current_title TEXT,
  current_version TEXT,
  current_sha256 TEXT,
  last_at_ms INTEGER NOT NULL
) STRICT;
INSERT INTO software (id, target, phase, received_bytes, failures, last_at_ms) VALUES (1, '', 'idle', 0, 0, 0);
CREATE TABLE software_states (seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
`;

/** A box that fails every few hours and is offline for weeks; older states say nothing new. */
const maxReports = 200;
const toleranceMs = 86_400_000;
const stateOf: Readonly<Partial<Record<Phase, SoftwareState>>> = {
  downloading: 'DOWNLOADING',
  downloaded: 'DOWNLOADED',
  verified: 'VERIFIED',
  updating: 'UPDATING',
  updated: 'UPDATED',
  failed: 'FAILED',
};

/**
 * How far this box is with its software, and what of it Star has not been told. A step and its report are one
 * transaction: the reports' own spool commits by itself and keeps every report, and a state is several values that mean
 * nothing apart.
 */
export class SoftwareStore {
  constructor(
    private readonly db: DatabaseSync,
    private readonly clock: Clock,
  ) {}

  progress(): SoftwareProgress {
    const row = this.db
      .prepare(
        `SELECT target, phase, received_bytes AS receivedBytes, failures, error, retry_at_ms AS retryAtMs,
           current_title AS title, current_version AS version, current_sha256 AS sha256 FROM software`,
      )
      .get() as unknown as Omit<SoftwareProgress, 'current'> & { title: string | null; version: string | null; sha256: string | null };
    const { title, version, sha256, ...rest } = row;
    return { ...rest, current: title !== null && version !== null && sha256 !== null ? { title, version, sha256 } : undefined };
  }

  /** Nothing is assigned; Star knows, so nothing is reported. */
  clear(): void {
    this.db.exec(`UPDATE software SET target = '', phase = 'idle', received_bytes = 0, failures = 0, error = NULL, retry_at_ms = NULL`);
  }

  /** Another assignment: from the beginning. */
  begin(target: string): void {
    this.step('downloading', `target = ?, received_bytes = 0, failures = 0, error = NULL, retry_at_ms = NULL`, [target]);
  }

  /** The same one again, from the download or from what it left. */
  again(phase: 'downloading' | 'downloaded'): void {
    this.step(phase, `error = NULL, retry_at_ms = NULL${phase === 'downloading' ? ', received_bytes = 0' : ''}`, []);
  }

  received(bytes: number): void {
    this.db.prepare('UPDATE software SET received_bytes = ?').run(bytes);
  }

  advance(phase: 'downloaded' | 'verified' | 'updating'): void {
    this.step(phase, 'error = NULL', []);
  }

  /** It has what `target` says. */
  finish(target: string, { title, version, sha256 }: SoftwareTarget): void {
    this.step(
      'updated',
      'target = ?, received_bytes = 0, failures = 0, error = NULL, retry_at_ms = NULL, current_title = ?, current_version = ?, current_sha256 = ?',
      [target, title, version, sha256],
      { current_sw_title: title, current_sw_version: version },
    );
  }

  fail(target: string, error: string, retryAtMs: number | null): void {
    this.step('failed', 'target = ?, failures = failures + 1, error = ?, retry_at_ms = ?', [target, error, retryAtMs], { sw_error: error });
  }

  private step(phase: Phase, assignments: string, values: readonly (string | number | null)[], more: SoftwareTelemetry = {}): void {
    inTransaction(this.db, () => {
      this.db.prepare(`UPDATE software SET phase = ?, ${assignments}`).run(phase, ...values);
      const { last } = this.db.prepare('SELECT last_at_ms AS last FROM software').get() as { last: number };
      const now = this.clock.now();
      // Star takes a state with an older time for an older state, also after this box's clock was put back a little. One
      // that was days ahead was wrong: Star, which hears of no future, has not believed it either.
      const at = last > now + toleranceMs ? now : Math.max(last + 1, now);
      this.db.prepare('UPDATE software SET last_at_ms = ?').run(at);
      const body = JSON.stringify({ sw_state: stateOf[phase], ...more } satisfies SoftwareTelemetry);
      this.db.prepare('INSERT INTO software_states (at_ms, body) VALUES (?, ?)').run(at, body);
      this.db.prepare('DELETE FROM software_states WHERE seq <= (SELECT max(seq) FROM software_states) - ?').run(maxReports);
    });
  }

  nextReport(): StateReport | undefined {
    return this.db.prepare('SELECT seq, at_ms AS atMs, body FROM software_states ORDER BY seq LIMIT 1').get() as StateReport | undefined;
  }

  /** Star has it. */
  forgetReport(seq: number): void {
    this.db.prepare('DELETE FROM software_states WHERE seq = ?').run(seq);
  }
}
