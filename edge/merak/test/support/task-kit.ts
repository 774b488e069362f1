import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { RunningAgent } from '@dipper/platform';
import { type CreateTaskParams, isFinal, type Span, type TaskReport, taskReport } from '@stardipper/proto';
import { pino } from 'pino';
import { startMerak } from '../../src';
import { packId, SimBox, type SimCamera, type SimRecorder, wait } from './sim-box';

export const start = Date.UTC(2026, 10, 1, 8);
export const minute = 60_000;

export const queryOf = (...personIds: string[]) => ({
  packId,
  threshold: 0.5,
  persons: personIds.map((id) => ({ id, embeddings: [Buffer.from(new Float32Array([1, 0, 0, 0]).buffer).toString('base64')] })),
});

export const minutes = (count: number, from = start): { from: number; to: number }[] =>
  Array.from({ length: count }, (_, i) => ({ from: from + i * minute, to: from + (i + 1) * minute }));

export const aCamera = (given: Partial<SimCamera> & { id: string }): SimCamera => ({
  recorderId: 'nvr-1',
  channel: Number(given.id.replace(/\D/g, '')) || 1,
  footage: minutes(5),
  faceEveryMs: 20_000,
  ...given,
});

export const newDataDir = (): string => mkdtempSync(join(tmpdir(), 'merak-'));

/** A simulated box with a real Merak in this process. */
export class Kit {
  merak: RunningAgent | undefined;
  private stopping = new AbortController();

  private constructor(
    readonly dataDir: string,
    readonly sim: SimBox,
    readonly settings: Record<string, string>,
  ) {}

  static async start(cameras: SimCamera[], settings: Record<string, string> = {}, recorders?: SimRecorder[]): Promise<Kit> {
    const dataDir = newDataDir();
    const ids = [...new Set(cameras.map((c) => c.recorderId))];
    const sim = new SimBox(dataDir, recorders ?? ids.map((id) => ({ id, maxSessions: 2 })), cameras);
    await sim.start();
    const kit = new Kit(dataDir, sim, { MERAK_RETRY_MS: '20', MERAK_ATTEMPTS: '3', MERAK_CALIBRATE: 'off', ...settings });
    await kit.startMerak();
    return kit;
  }

  async startMerak(): Promise<void> {
    this.stopping = new AbortController();
    const log = pino({ level: process.env.LOG_LEVEL ?? 'silent' });
    this.merak = await startMerak({ name: 'merak', dataDir: this.dataDir, settings: this.settings, log, signal: this.stopping.signal });
  }

  async stopMerak(): Promise<void> {
    this.stopping.abort();
    await this.merak?.stop();
    this.merak = undefined;
  }

  async stop(): Promise<void> {
    await this.stopMerak();
    await this.sim.stop();
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  params(given: Partial<CreateTaskParams> & { range: Span }): CreateTaskParams {
    return {
      taskId: randomUUID(),
      searchId: 'search-1',
      priority: 3,
      expiresAt: Date.now() + 3_600_000,
      cameras: this.sim.cameras.map(({ id, recorderId, channel }) => ({ id, recorderId, channel })),
      packId,
      query: given.query ?? this.sim.query(queryOf('anna', 'bruno')),
      ...given,
    };
  }

  /** Rows of one of Merak's tables, as they are on disk. */
  count(table: string): number {
    const db = new DatabaseSync(join(this.dataDir, 'merak', 'merak.db'), { readOnly: true });
    try {
      return (db.prepare(`SELECT count(*) AS n FROM ${table}`).get() as { n: number }).n;
    } finally {
      db.close();
    }
  }

  async call(method: string, params: unknown): Promise<unknown> {
    const handle = this.merak?.commands?.[method];
    if (!handle) throw new Error(`no command ${method}`);
    return await handle(JSON.parse(JSON.stringify(params)), 0);
  }

  /** Creates the task and waits for its last report. */
  async run(given: Partial<CreateTaskParams> & { range: Span }): Promise<TaskReport[]> {
    const params = this.params(given);
    await this.call('createTask', params);
    return this.finished(params);
  }

  finished(params: CreateTaskParams, withinMs = 30_000): Promise<TaskReport[]> {
    return finishedReports(this.sim, params, withinMs);
  }
}

export async function eventually<T>(what: string, read: () => T | undefined | false, withinMs = 20_000): Promise<T> {
  const until = Date.now() + withinMs;
  for (;;) {
    const value = read();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > until) throw new Error(`Did not happen: ${what}`);
    await wait(10);
  }
}

/** Waits until every report up to the final one has arrived, and checks what must hold for every task. */
export async function finishedReports(sim: SimBox, params: CreateTaskParams, withinMs = 30_000): Promise<TaskReport[]> {
  const reports = await eventually(
    `the end of task ${params.taskId}`,
    () => {
      const all = sim.reportsOf(params.taskId);
      const last = all.at(-1);
      return last && isFinal(last.state) && last.seq === all.length ? all : undefined;
    },
    withinMs,
  );
  assertSound(reports, params);
  return reports;
}

/** Reports numbered without gap, each valid and small enough, coverage partitioning cameras x range, matches once. */
export function assertSound(reports: readonly TaskReport[], params: CreateTaskParams): void {
  for (const [i, report] of reports.entries()) {
    expect(report.seq).toBe(i + 1);
    expect(taskReport.safeParse(report).success).toBe(true);
    expect(Buffer.byteLength(JSON.stringify(report))).toBeLessThanOrEqual(60_000);
    expect(isFinal(report.state)).toBe(i === reports.length - 1);
  }
  for (const camera of params.cameras) {
    let at = params.range.from;
    for (const span of spansOf(reports, camera.id)) {
      expect({ camera: camera.id, from: span.from }).toEqual({ camera: camera.id, from: at });
      expect(span.to).toBeGreaterThan(span.from);
      at = span.to;
    }
    expect(at).toBe(params.range.to);
  }
  const names = matchesOf(reports);
  expect(new Set(names).size).toBe(names.length);
  const last = reports.at(-1);
  expect(last?.totals.doneMs).toBe(last?.totals.rangeMs);
  expect(last?.totals.matches).toBe(names.length);
}

export const spansOf = (reports: readonly TaskReport[], cameraId: string) =>
  reports.flatMap((r) => r.coverage.filter((c) => c.cameraId === cameraId)).sort((a, b) => a.from - b.from);

export const matchesOf = (reports: readonly TaskReport[]): string[] =>
  reports.flatMap((r) => r.matches.map((m) => `${m.sightingId}/${m.personId}`)).sort();

/** The ledger in words, relative to `start`, touching spans of one meaning joined: `0-60 searched` in seconds. */
export function ledgerOf(reports: readonly TaskReport[], cameraId: string): string[] {
  const joined: { from: number; to: number; what: string }[] = [];
  for (const span of spansOf(reports, cameraId)) {
    const what = span.reason ? `${span.kind} ${span.reason}` : span.kind;
    const last = joined.at(-1);
    if (last && last.to === span.from && last.what === what) last.to = span.to;
    else joined.push({ from: span.from, to: span.to, what });
  }
  return joined.map((s) => `${(s.from - start) / 1000}-${(s.to - start) / 1000} ${s.what}`);
}
