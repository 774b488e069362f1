import type { Tx } from '@star/platform';
import type { Estimate, TaskError, TaskState } from '@stardipper/proto';
import type { KindTotals } from '../coverage/coverage';
import { agePosition, lastId } from '../cursor';
import type { SeenSearches } from './see-searches';
import type { SearchState, StarTaskState, TaskFacts } from './task-state';

/** PostgreSQL channel; the payload is the id of the search that changed. */
export const changedChannel = 'search_changed';

export interface SearchRow {
  readonly id: string;
  readonly name: string;
  readonly purpose: string;
  readonly state: SearchState;
  readonly person_ids: string[];
  readonly camera_ids: string[];
  readonly from_ms: number;
  readonly to_ms: number;
  readonly threshold: number;
  readonly priority: number;
  readonly pack_id: string;
  readonly estimate: Estimate | null;
  readonly created_by: string;
  readonly request_sha256: string;
  readonly revision: number;
  readonly created_at: Date;
  readonly started_at: Date | null;
  readonly cancelled_at: Date | null;
  readonly finished_at: Date | null;
  readonly matches_expired: number;
}

const searchColumns = `id, name, purpose, state, person_ids, camera_ids, from_ms, to_ms, threshold, priority, pack_id, estimate,
  created_by, request_sha256, revision, created_at, started_at, cancelled_at, finished_at, matches_expired`;

export interface NewSearch {
  readonly id: string;
  readonly name: string;
  readonly purpose: string;
  readonly personIds: readonly string[];
  readonly cameraIds: readonly string[];
  readonly fromMs: number;
  readonly toMs: number;
  readonly threshold: number;
  readonly priority: number;
  readonly packId: string;
  readonly estimate: Estimate;
  readonly createdBy: string;
  readonly idempotencyKey: string | null;
  readonly requestSha256: string;
}

/** False when the idempotency key is taken: somebody else was faster. */
export const insertDraft = async (tx: Tx, tenantId: string, draft: NewSearch): Promise<boolean> =>
  (await tx.execute(
    `INSERT INTO search.searches (tenant_id, id, name, purpose, state, person_ids, camera_ids, from_ms, to_ms, threshold, priority,
       pack_id, estimate, created_by, idempotency_key, request_sha256)
     VALUES ($1, $2, $3, $4, 'draft', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
     ON CONFLICT ON CONSTRAINT searches_idempotency DO NOTHING`,
    [
      tenantId,
      draft.id,
      draft.name,
      draft.purpose,
      draft.personIds,
      draft.cameraIds,
      draft.fromMs,
      draft.toMs,
      draft.threshold,
      draft.priority,
      draft.packId,
      JSON.stringify(draft.estimate),
      draft.createdBy,
      draft.idempotencyKey,
      draft.requestSha256,
    ],
  )) === 1;

export const findSearch = async (tx: Tx, id: string): Promise<SearchRow | undefined> =>
  (await tx.query<SearchRow>(`SELECT ${searchColumns} FROM search.searches WHERE id = $1`, [id]))[0];

/** The row of a search is the one lock of everything below it: tasks, coverage, match log. */
export const lockSearch = async (tx: Tx, id: string): Promise<SearchRow | undefined> =>
  (await tx.query<SearchRow>(`SELECT ${searchColumns} FROM search.searches WHERE id = $1 FOR UPDATE`, [id]))[0];

export const findByIdempotencyKey = async (tx: Tx, tenantId: string, key: string): Promise<SearchRow | undefined> =>
  (
    await tx.query<SearchRow>(`SELECT ${searchColumns} FROM search.searches WHERE tenant_id = $1 AND idempotency_key = $2`, [tenantId, key])
  )[0];

/** Newest first, from after `before` (created_at, id). */
export const listSearches = (
  tx: Tx,
  tenantId: string,
  seen: SeenSearches,
  before: readonly [string, string] | undefined,
  limit: number,
): Promise<(SearchRow & { position: string })[]> =>
  tx.query(
    `SELECT ${searchColumns}, ${agePosition} FROM search.searches
     WHERE tenant_id = $1 AND (created_at, id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, '${lastId}'))
       AND ($5::uuid IS NULL OR created_by = $5 OR camera_ids <@ $6::uuid[])
     ORDER BY created_at DESC, id DESC LIMIT $4`,
    [
      tenantId,
      before?.[0] ?? null,
      before?.[1] ?? null,
      limit,
      seen === 'all' ? null : seen.userId,
      seen === 'all' ? null : seen.cameraIds,
    ],
  );

export const countRunning = async (tx: Tx, tenantId: string): Promise<number> =>
  Number(
    (await tx.query("SELECT count(*) AS searches FROM search.searches WHERE tenant_id = $1 AND state = 'running'", [tenantId]))[0]
      ?.searches,
  );

export interface StateChange {
  readonly state: SearchState;
  readonly startedAt?: Date;
  readonly cancelledAt?: Date;
  readonly finishedAt: Date | null;
}

export const writeSearchState = (tx: Tx, id: string, change: StateChange): Promise<number> =>
  tx.execute(
    `UPDATE search.searches SET state = $2, started_at = coalesce($3, started_at), cancelled_at = coalesce($4, cancelled_at), finished_at = $5
     WHERE id = $1`,
    [id, change.state, change.startedAt ?? null, change.cancelledAt ?? null, change.finishedAt],
  );

/** Moves the search to its next revision and tells followers on every replica, when the transaction commits. */
export const announceChange = async (tx: Tx, id: string): Promise<number> => {
  const rows = await tx.query<{ revision: number }>('UPDATE search.searches SET revision = revision + 1 WHERE id = $1 RETURNING revision', [
    id,
  ]);
  await tx.query('SELECT pg_notify($1, $2)', [changedChannel, id]);
  return rows[0]?.revision ?? 0;
};

export const deleteSearchRow = (tx: Tx, id: string): Promise<number> => tx.execute('DELETE FROM search.searches WHERE id = $1', [id]);

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

export const logMatches = (tx: Tx, tenantId: string, searchId: string, revision: number, matchIds: readonly string[]): Promise<number> =>
  tx.execute('INSERT INTO search.match_log (tenant_id, search_id, revision, match_ids) VALUES ($1, $2, $3, $4)', [
    tenantId,
    searchId,
    revision,
    matchIds,
  ]);

/** What was added after `revision`, oldest first. */
export const matchLogAfter = (
  tx: Tx,
  searchId: string,
  revision: number,
  upTo: number,
  limit: number,
): Promise<{ revision: number; match_ids: string[] }[]> =>
  tx.query(
    'SELECT revision, match_ids FROM search.match_log WHERE search_id = $1 AND revision > $2 AND revision <= $3 ORDER BY revision LIMIT $4',
    [searchId, revision, upTo, limit],
  );
