import { type AuditEntry, type Caller, who } from '@star/platform';
import { cancelTaskParams, objectKeys, type Search } from '@stardipper/proto';
import { endApproval } from '../approvals/approval.store';
import { deleteDoomed } from '../forgetting/delete-doomed';
import { doomMatches, doomObjects } from '../forgetting/doomed.store';
import type { SearchDeps } from '../ports';
import { searchError } from '../search.errors';
import { readSearch } from './search.read';
import { announceChange, deleteSearchRow, lockSearch, writeSearchState } from './search.store';
import { commandKey } from './start-search';
import { tasksOf } from './task.store';
import { isFinalTask, type SearchState } from './task-state';

const cancellable: ReadonlySet<SearchState> = new Set(['draft', 'awaiting_approval', 'running']);

/**
 * The search is cancelled at once; every box that still works is told, and its last reports are still taken.
 * Cancelling again changes nothing. Throws `search.already_final` for what has ended by itself.
 */
export const cancelSearch =
  (deps: SearchDeps) =>
  async (caller: Caller, searchId: string): Promise<Search> => {
    await cancelAs(deps, who(caller), searchId);
    return readSearch(deps)(caller.tenantId, searchId);
  };

/** The same for whoever the audit log is to name. */
export async function cancelAs(deps: SearchDeps, by: Omit<AuditEntry, 'action' | 'subject'>, searchId: string): Promise<void> {
  const { tenantId, userId, username } = by;
  await deps.database.tenant(tenantId, async (tx) => {
    const search = await lockSearch(tx, searchId);
    if (!search) throw searchError('search.not_found', { searchId });
    if (search.state === 'cancelled') return;
    if (!cancellable.has(search.state)) throw searchError('search.already_final', { state: search.state });
    const working = (await tasksOf(tx, [searchId])).filter((task) => !isFinalTask(task.state));
    await deps.writeEvents(
      tx,
      working.map((task) => ({
        topic: 'search.task.requested.v1',
        key: commandKey(tenantId, task.edge_id),
        tenantId,
        message: {
          searchId,
          taskId: task.id,
          edgeId: task.edge_id,
          method: 'cancelTask',
          paramsJson: JSON.stringify(cancelTaskParams.parse({ taskId: task.id })),
          expiresAtMs: task.expires_at.getTime(),
        },
      })),
    );
    const now = deps.now();
    await endApproval(tx, searchId, { state: 'withdrawn', at: now, ...(userId !== undefined && { by: { userId, username } }) });
    await writeSearchState(tx, searchId, { state: 'cancelled', cancelledAt: now, finishedAt: working.length === 0 ? now : null });
    await announceChange(tx, searchId);
    await deps.audit(tx, { ...by, action: 'search.cancelled', subject: searchId });
  });
}

/**
 * Only drafts and what no box works on any more; otherwise `search.not_final`. The query document and the matches go
 * with it, at the latest when storage answers again.
 */
export const deleteSearch =
  (deps: SearchDeps) =>
  async (caller: Caller, searchId: string): Promise<void> => {
    const { tenantId } = caller;
    await deps.database.tenant(tenantId, async (tx) => {
      const search = await lockSearch(tx, searchId);
      if (!search) throw searchError('search.not_found', { searchId });
      const tasks = await tasksOf(tx, [searchId]);
      if (search.state === 'running' || search.state === 'awaiting_approval' || !tasks.every((task) => isFinalTask(task.state)))
        throw searchError('search.not_final', { state: search.state });
      await doomObjects(tx, tenantId, [objectKeys.query(tenantId, searchId)]);
      await doomMatches(tx, tenantId, searchId);
      await deleteSearchRow(tx, searchId);
      await deps.audit(tx, { ...who(caller), action: 'search.deleted', subject: searchId });
    });
    await deleteDoomed(deps)();
  };
