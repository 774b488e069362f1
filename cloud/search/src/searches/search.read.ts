import type { Caller, Tx } from '@star/platform';
import type { Approval, CoverageRow, CoverageTotals, Page, Search, SearchTask } from '@stardipper/proto';
import { z } from 'zod';
import { type ApprovalRow, approvalsOf } from '../approvals/approval.store';
import { type KindTotals, noTotals, sumOf } from '../coverage/coverage';
import { readCoverage } from '../coverage/coverage.store';
import { byAge, decodeCursor, encodeCursor } from '../cursor';
import type { SearchDeps } from '../ports';
import { requireSearch } from './require-search';
import { listSearches, type SearchRow } from './search.store';
import { searchesSeenBy } from './see-searches';
import { coverageOf, factsOf, rangeMsOf, type TaskRow, tasksOf } from './task.store';
import { errorOfTask } from './task-state';

const listName = 'searches';

/** Throws `search.not_found`, also for another tenant's. */
export const readSearch =
  (deps: SearchDeps) =>
  (tenantId: string, searchId: string): Promise<Search> =>
    deps.database.tenant(tenantId, async (tx) => {
      const [row, tasks] = await searchWithTasks(tx, searchId);
      const [approval] = await approvalsOf(tx, [searchId]);
      return shownSearch(row, tasks, approval);
    });

/** A report that commits between two statements would show a search that runs with all its tasks ended. */
const readAttempts = 5;

async function searchWithTasks(tx: Tx, searchId: string): Promise<[SearchRow, TaskRow[]]> {
  for (let attempt = 1; ; attempt++) {
    const row = await requireSearch(tx, searchId);
    const tasks = await tasksOf(tx, [searchId]);
    if (attempt === readAttempts || (await requireSearch(tx, searchId)).revision === row.revision) return [row, tasks];
  }
}

/** Newest first. */
export const readSearches =
  (deps: SearchDeps) =>
  async (caller: Caller, query: { cursor?: string; limit: number }): Promise<Page<Search>> => {
    const before = decodeCursor(listName, query.cursor, byAge);
    const seen = await searchesSeenBy(deps, caller, 'searches.read');
    return deps.database.tenant(caller.tenantId, async (tx) => {
      const rows = await listSearches(tx, caller.tenantId, seen, before, query.limit + 1);
      const page = rows.slice(0, query.limit);
      const ids = page.map((row) => row.id);
      const tasks = await tasksOf(tx, ids);
      const approvals = await approvalsOf(tx, ids);
      const last = page.at(-1);
      return {
        items: page.map((row) =>
          shownSearch(
            row,
            tasks.filter((task) => task.search_id === row.id),
            approvals.find((approval) => approval.search_id === row.id),
          ),
        ),
        nextCursor: rows.length > page.length && last ? encodeCursor(listName, [last.position, last.id]) : null,
      };
    });
  };

const afterSpan = z.tuple([z.uuid(), z.int()]);

/** The ledger by camera and time, a page at a time, with the totals of the whole search. */
export const readCoveragePage =
  (deps: SearchDeps) =>
  async (
    caller: Caller,
    searchId: string,
    query: { cameraId?: string; cursor?: string; limit: number },
  ): Promise<Page<CoverageRow> & { totals: CoverageTotals }> => {
    const list = `coverage:${searchId}`;
    const after = decodeCursor(list, query.cursor, afterSpan);
    return deps.database.tenant(caller.tenantId, async (tx) => {
      const search = await requireSearch(tx, searchId);
      const tasks = await tasksOf(tx, [searchId]);
      const page = await readCoverage(tx, searchId, query.cameraId, after, query.limit);
      return {
        items: page.rows.map((row) => ({
          cameraId: row.cameraId,
          from: new Date(row.from).toISOString(),
          to: new Date(row.to).toISOString(),
          kind: row.kind,
          reason: row.reason,
          samplingMs: row.samplingMs,
        })),
        nextCursor: page.next ? encodeCursor(list, page.next) : null,
        totals: shownTotals(search, tasks),
      };
    });
  };

function shownTotals(search: SearchRow, tasks: readonly TaskRow[]): CoverageTotals {
  const totals = tasks.map(coverageOf).reduce<KindTotals>(
    (sum, each) => ({
      searched: sum.searched + each.searched,
      indexed: sum.indexed + each.indexed,
      no_footage: sum.no_footage + each.no_footage,
      failed: sum.failed + each.failed,
    }),
    noTotals(),
  );
  const rangeMs = search.camera_ids.length * (search.to_ms - search.from_ms);
  return {
    searchedSeconds: totals.searched / 1_000,
    indexedSeconds: totals.indexed / 1_000,
    noFootageSeconds: totals.no_footage / 1_000,
    failedSeconds: totals.failed / 1_000,
    pendingSeconds: (rangeMs - sumOf(totals)) / 1_000,
  };
}

function shownTask(row: TaskRow): SearchTask {
  const error = errorOfTask(factsOf(row));
  return {
    id: row.id,
    edgeId: row.edge_id,
    edgeName: row.edge_name,
    state: row.state,
    rangeSeconds: rangeMsOf(row) / 1_000,
    doneSeconds: sumOf(coverageOf(row)) / 1_000,
    matches: row.matches,
    keyframesDecoded: row.keyframes_decoded,
    downloadedBytes: row.downloaded_bytes,
    segmentsFailed: row.segments_failed,
    acceptMs: row.accept_ms,
    error: error ? { code: error.code, params: error.params ?? {} } : null,
  };
}

export function shownSearch(row: SearchRow, tasks: readonly TaskRow[], approval?: ApprovalRow): Search {
  return {
    id: row.id,
    name: row.name,
    purpose: row.purpose,
    state: row.state,
    approval: approval ? shownApproval(approval) : null,
    personIds: row.person_ids,
    cameraIds: row.camera_ids,
    from: new Date(row.from_ms).toISOString(),
    to: new Date(row.to_ms).toISOString(),
    threshold: row.threshold,
    priority: row.priority,
    packId: row.pack_id,
    estimate: row.estimate,
    tasks: tasks.map(shownTask),
    coverage: shownTotals(row, tasks),
    matches: tasks.reduce((sum, task) => sum + task.matches, 0),
    matchesExpired: row.matches_expired,
    createdAt: row.created_at.toISOString(),
    startedAt: row.started_at?.toISOString() ?? null,
    finishedAt: row.finished_at?.toISOString() ?? null,
  };
}

export const shownApproval = (row: ApprovalRow): Approval => ({
  state: row.state,
  requestedBy: { id: row.requested_by, username: row.requested_by_name },
  requestedAt: row.requested_at.toISOString(),
  expiresAt: row.expires_at.toISOString(),
  decidedBy: row.decided_by === null ? null : { id: row.decided_by, username: row.decided_by_name ?? '' },
  decidedAt: row.decided_at?.toISOString() ?? null,
  reason: row.reason,
});
