import type { Tx } from '@star/platform';
import type { Estimate } from '@stardipper/proto';
import { agePosition, lastId } from '../cursor';
import type { SearchState } from './task-state';

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

/** Which searches somebody sees: all, or their own and those whose every camera is among these. */
export type SeenSearches = 'all' | { readonly userId: string; readonly cameraIds: readonly string[] };

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
