import type { Tx } from '@star/platform';
import type { TaskError, TaskState } from '@stardipper/proto';
import type { KindTotals } from '../coverage/coverage';
import type { SearchRow } from './search.store';
import type { StarTaskState, TaskFacts } from './task-state';

export interface TaskRow {
  readonly id: string;
  readonly search_id: string;
  readonly edge_id: string;
  readonly edge_name: string;
  readonly camera_ids: string[];
  readonly from_ms: number;
  readonly to_ms: number;
  readonly expires_at: Date;
  readonly state: StarTaskState;
  readonly accepted: boolean;
  readonly accept_ms: number | null;
  readonly rpc_error: TaskError | null;
  readonly swept_at: Date | null;
  readonly settled_seq: number;
  readonly highest_seq: number;
  readonly highest_state: TaskState | null;
  readonly report_error: TaskError | null;
  readonly searched_ms: number;
  readonly indexed_ms: number;
  readonly no_footage_ms: number;
  readonly failed_ms: number;
  readonly matches: number;
  readonly keyframes_decoded: number;
  readonly downloaded_bytes: number;
  readonly segments_failed: number;
}

const taskColumns = `id, search_id, edge_id, edge_name, camera_ids, from_ms, to_ms, expires_at, state, accepted, accept_ms, rpc_error, swept_at,
  settled_seq, highest_seq, highest_state, report_error, searched_ms, indexed_ms, no_footage_ms, failed_ms, matches, keyframes_decoded,
  downloaded_bytes, segments_failed`;

export const factsOf = (row: TaskRow): TaskFacts => ({
  accepted: row.accepted,
  rpcError: row.rpc_error,
  sweptAt: row.swept_at,
  settledSeq: row.settled_seq,
  highestSeq: row.highest_seq,
  highestState: row.highest_state,
  reportError: row.report_error,
});

export const coverageOf = (row: TaskRow): KindTotals => ({
  searched: row.searched_ms,
  indexed: row.indexed_ms,
  no_footage: row.no_footage_ms,
  failed: row.failed_ms,
});

/** Camera-milliseconds the task was asked to look at. */
export const rangeMsOf = (row: TaskRow): number => row.camera_ids.length * (row.to_ms - row.from_ms);

export interface NewTask {
  readonly id: string;
  readonly edgeId: string;
  readonly edgeName: string;
  readonly cameraIds: readonly string[];
}

/** The tasks of a search, in their order; one statement, for a city has thousands. */
export const insertTasks = (tx: Tx, tenantId: string, search: SearchRow, tasks: readonly NewTask[], expiresAt: Date): Promise<number> =>
  tx.execute(
    `INSERT INTO search.tasks (tenant_id, id, search_id, ordinal, edge_id, edge_name, camera_ids, from_ms, to_ms, expires_at)
     SELECT $1, id, $2, ordinal, edge_id, edge_name, camera_ids, $3, $4, $5 FROM jsonb_populate_recordset(NULL::search.tasks, $6)`,
    [
      tenantId,
      search.id,
      search.from_ms,
      search.to_ms,
      expiresAt,
      JSON.stringify(
        tasks.map((task, ordinal) => ({
          id: task.id,
          ordinal,
          edge_id: task.edgeId,
          edge_name: task.edgeName,
          camera_ids: task.cameraIds,
        })),
      ),
    ],
  );

export const findTasks = (tx: Tx, ids: readonly string[]): Promise<TaskRow[]> =>
  tx.query<TaskRow>(`SELECT ${taskColumns} FROM search.tasks WHERE id = ANY($1::uuid[])`, [ids]);

export const findTask = async (tx: Tx, id: string): Promise<TaskRow | undefined> => (await findTasks(tx, [id]))[0];

/** By task; those there are. */
export const searchesOfTasks = async (tx: Tx, taskIds: readonly string[]): Promise<Map<string, string>> => {
  const rows = await tx.query<{ id: string; search_id: string }>('SELECT id, search_id FROM search.tasks WHERE id = ANY($1::uuid[])', [
    taskIds,
  ]);
  return new Map(rows.map((row) => [row.id, row.search_id]));
};

export const tasksOf = (tx: Tx, searchIds: readonly string[]): Promise<TaskRow[]> =>
  tx.query<TaskRow>(`SELECT ${taskColumns} FROM search.tasks WHERE search_id = ANY($1) ORDER BY search_id, ordinal`, [searchIds]);

export const statesOfTasks = async (tx: Tx, searchId: string): Promise<StarTaskState[]> =>
  (await tx.query<{ state: StarTaskState }>('SELECT state FROM search.tasks WHERE search_id = $1', [searchId])).map((row) => row.state);

/** Writes back what changes in the life of tasks. */
export const writeTasks = (tx: Tx, rows: readonly TaskRow[]): Promise<number> =>
  tx.execute(
    `UPDATE search.tasks t SET state = r.state, accepted = r.accepted, accept_ms = r.accept_ms, rpc_error = r.rpc_error,
       swept_at = r.swept_at, settled_seq = r.settled_seq, highest_seq = r.highest_seq, highest_state = r.highest_state,
       report_error = r.report_error, searched_ms = r.searched_ms, indexed_ms = r.indexed_ms, no_footage_ms = r.no_footage_ms,
       failed_ms = r.failed_ms, matches = r.matches, keyframes_decoded = r.keyframes_decoded, downloaded_bytes = r.downloaded_bytes,
       segments_failed = r.segments_failed
     FROM jsonb_populate_recordset(NULL::search.tasks, $1) r WHERE t.id = r.id AND t.id = ANY ($2::uuid[])`,
    // The ids once more: how many rows JSON has is unknown to the planner, and for many it would read the whole table.
    [JSON.stringify(rows), rows.map((row) => row.id)],
  );

/** False when this report was noted before. */
export const noteEarlyReport = async (tx: Tx, tenantId: string, taskId: string, seq: number): Promise<boolean> =>
  (await tx.execute('INSERT INTO search.early_reports (tenant_id, task_id, seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [
    tenantId,
    taskId,
    seq,
  ])) === 1;

export const isEarlyReport = async (tx: Tx, taskId: string, seq: number): Promise<boolean> =>
  (await tx.query('SELECT 1 FROM search.early_reports WHERE task_id = $1 AND seq = $2', [taskId, seq])).length > 0;

/** The highest number up to which every report is here, going on from `settledSeq`; the rows below it are no longer needed. */
export const settleReports = async (tx: Tx, taskId: string, settledSeq: number): Promise<number> => {
  const rows = await tx.query<{ settled: number | null }>(
    `SELECT max(seq) AS settled FROM (SELECT seq, row_number() OVER (ORDER BY seq) AS place FROM search.early_reports WHERE task_id = $1) r
     WHERE seq = $2 + place`,
    [taskId, settledSeq],
  );
  const settled = rows[0]?.settled ?? settledSeq;
  if (settled > settledSeq) await tx.execute('DELETE FROM search.early_reports WHERE task_id = $1 AND seq <= $2', [taskId, settled]);
  return settled;
};

export const listOverdueTasks = (tx: Tx, before: Date, limit: number): Promise<{ tenant_id: string; id: string; search_id: string }[]> =>
  tx.query(
    `SELECT tenant_id, id, search_id FROM search.tasks WHERE state IN ('requested', 'accepted', 'running') AND expires_at < $1
     ORDER BY expires_at LIMIT $2`,
    [before, limit],
  );
