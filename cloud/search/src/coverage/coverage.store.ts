import type { Tx } from '@star/platform';
import type { CoverageKind } from '@stardipper/proto';
import { fillGaps, joinForReading, type KindTotals, type LedgerRow, layRows, noTotals } from './coverage';
import type { TaskRow } from '../searches/task.store';

interface CoverageDbRow {
  readonly camera_id: string;
  readonly from_ms: number;
  readonly to_ms: number;
  readonly kind: CoverageKind;
  readonly reason: string | null;
  readonly sampling_ms: number | null;
  readonly seq: number;
}

const columns = 'c.camera_id, c.from_ms, c.to_ms, c.kind, c.reason, c.sampling_ms, c.seq';

const ledgerRow = (row: CoverageDbRow): LedgerRow => ({
  cameraId: row.camera_id,
  from: row.from_ms,
  to: row.to_ms,
  kind: row.kind,
  reason: row.reason,
  samplingMs: row.sampling_ms,
  seq: row.seq,
});

/** Lays a report's rows into the ledger; answers the camera-milliseconds added to each kind. Three statements, however many spans. */
export async function layCoverage(
  tx: Tx,
  tenantId: string,
  task: TaskRow,
  incoming: readonly LedgerRow[],
  settledSeq: number,
): Promise<KindTotals> {
  if (incoming.length === 0) return noTotals();
  const reach = new Map<string, { from: number; to: number }>();
  for (const row of incoming) {
    const known = reach.get(row.cameraId);
    reach.set(row.cameraId, { from: Math.min(row.from, known?.from ?? row.from), to: Math.max(row.to, known?.to ?? row.to) });
  }
  const reaches = [...reach];
  const before = await tx.query<CoverageDbRow>(
    `SELECT ${columns} FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS r (camera_id, from_ms, to_ms)
     JOIN search.coverage c ON c.task_id = $1 AND c.camera_id = r.camera_id AND c.to_ms >= r.from_ms AND c.from_ms <= r.to_ms`,
    [task.id, reaches.map(([camera]) => camera), reaches.map(([, span]) => span.from), reaches.map(([, span]) => span.to)],
  );
  const change = layRows(before.map(ledgerRow), incoming, settledSeq);
  if (change.removed.length > 0) {
    await tx.execute(
      `DELETE FROM search.coverage c USING unnest($2::uuid[], $3::bigint[]) AS r (camera_id, from_ms)
       WHERE c.search_id = $1 AND c.camera_id = r.camera_id AND c.from_ms = r.from_ms`,
      [task.search_id, change.removed.map((row) => row.cameraId), change.removed.map((row) => row.from)],
    );
  }
  await insertRows(tx, tenantId, task, change.added);
  return change.delta;
}

async function insertRows(tx: Tx, tenantId: string, task: TaskRow, rows: readonly LedgerRow[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.execute(
    `INSERT INTO search.coverage (tenant_id, search_id, task_id, camera_id, from_ms, to_ms, kind, reason, sampling_ms, seq)
     SELECT $1, $2, $3, * FROM unnest($4::uuid[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::integer[], $10::integer[])`,
    [
      tenantId,
      task.search_id,
      task.id,
      rows.map((row) => row.cameraId),
      rows.map((row) => row.from),
      rows.map((row) => row.to),
      rows.map((row) => row.kind),
      rows.map((row) => row.reason),
      rows.map((row) => row.samplingMs),
      rows.map((row) => row.seq),
    ],
  );
}

/** Takes back what Star filled in itself; answers the failed camera-milliseconds that are pending again. */
export async function clearFilled(tx: Tx, taskId: string): Promise<number> {
  const rows = await tx.query<{ ms: number | null }>(
    `WITH gone AS (DELETE FROM search.coverage WHERE task_id = $1 AND seq = 0 RETURNING to_ms - from_ms AS ms)
     SELECT sum(ms)::bigint AS ms FROM gone`,
    [taskId],
  );
  return rows[0]?.ms ?? 0;
}

/** Books everything the ledger of a task does not mention as failed; answers those camera-milliseconds. Camera by camera, so memory stays flat. */
export async function fillCoverage(tx: Tx, tenantId: string, task: TaskRow, reason: string): Promise<number> {
  let filledMs = 0;
  const range = { from: task.from_ms, to: task.to_ms };
  for (const cameraId of task.camera_ids) {
    const rows = await tx.query<CoverageDbRow>(
      `SELECT ${columns} FROM search.coverage c WHERE c.task_id = $1 AND c.camera_id = $2 ORDER BY c.from_ms`,
      [task.id, cameraId],
    );
    const gaps = fillGaps(cameraId, range, rows.map(ledgerRow), reason);
    await insertRows(tx, tenantId, task, gaps);
    filledMs += gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0);
  }
  return filledMs;
}

export interface CoveragePage {
  readonly rows: LedgerRow[];
  /** Where the next page starts: camera and time after which; absent at the end. */
  readonly next?: readonly [string, number];
}

/** By camera and time; neighbours that say the same are joined, within a page. */
export async function readCoverage(
  tx: Tx,
  searchId: string,
  cameraId: string | undefined,
  after: readonly [string, number] | undefined,
  limit: number,
): Promise<CoveragePage> {
  const rows = await tx.query<CoverageDbRow>(
    `SELECT ${columns} FROM search.coverage c WHERE c.search_id = $1 AND ($2::uuid IS NULL OR c.camera_id = $2)
       AND ($3::uuid IS NULL OR (c.camera_id, c.from_ms) > ($3, $4::bigint))
     ORDER BY c.camera_id, c.from_ms LIMIT $5`,
    [searchId, cameraId ?? null, after?.[0] ?? null, after?.[1] ?? null, limit + 1],
  );
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const joined = joinForReading(page.map(ledgerRow));
  return rows.length > limit && last ? { rows: joined, next: [last.camera_id, last.from_ms] } : { rows: joined };
}
