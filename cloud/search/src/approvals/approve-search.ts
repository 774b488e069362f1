import { type Caller, type Tx, who } from '@star/platform';
import type { Approval, ApprovalRequest, ApprovalRule, DecideApproval, Page, Search } from '@stardipper/proto';
import { byAge, decodeCursor, encodeCursor } from '../cursor';
import { holdPeople, photosOf } from '../people/person.store';
import type { SearchDeps } from '../ports';
import { searchError } from '../search.errors';
import { requireCameras } from '../searches/draft-search';
import { requireSearch } from '../searches/require-search';
import { readSearch, shownApproval } from '../searches/search.read';
import { announceChange, lockSearch, type SearchRow, writeSearchState } from '../searches/search.store';
import { beginSearch } from '../searches/start-search';
import {
  type ApprovalRow,
  approvalsOf,
  endApproval,
  isApprovalRequired,
  listApprovals,
  listLapsedApprovals,
  writeApprovalRule,
} from './approval.store';

const lapsedAtOnce = 100;
const listName = 'approvals';

/**
 * The second person's word on a search. Approved, it starts in the same transaction, exactly as it was asked for: a
 * search cannot be changed after it was drafted, and with photos that were added since it is `approval.photos_added`.
 * Throws `approval.own_search` to who asked for it, also by an API key they made, `approval.by_api_key` to a program,
 * `approval.not_pending`, `approval.expired`, and what starting a search throws.
 */
export const decideApproval =
  (deps: SearchDeps) =>
  async (caller: Caller, searchId: string, { decision, reason }: DecideApproval): Promise<Search> => {
    const { tenantId, userId, username } = caller;
    // An API key's: a program is no second person.
    if (caller.permissions !== undefined) throw searchError('approval.by_api_key');
    const known = await deps.database.tenant(tenantId, (tx) => requireSearch(tx, searchId));
    const cameras = decision === 'approve' ? await requireCameras(deps, caller, known.camera_ids) : [];
    const limits = await deps.limitsOf(tenantId);
    await deps.database.tenant(tenantId, async (tx) => {
      const search = await lockSearch(tx, searchId);
      if (!search) throw searchError('search.not_found', { searchId });
      const now = deps.now();
      const approval = await pendingApproval(tx, search);
      requireMayDecide(approval, caller, now);
      if (decision === 'approve') await requireSamePhotos(tx, approval, search.person_ids);
      const state = decision === 'approve' ? 'approved' : 'refused';
      await endApproval(tx, searchId, { state, at: now, by: { userId, username }, reason });
      const asked = { purpose: search.purpose, personIds: search.person_ids };
      await deps.audit(tx, { ...who(caller), action: `search.${state}`, subject: searchId, reason, details: asked });
      if (decision === 'approve') await beginSearch(deps, tx, caller, search, cameras, limits);
      else await endRefused(tx, searchId, now);
    });
    return readSearch(deps)(tenantId, searchId);
  };

async function pendingApproval(tx: Tx, search: SearchRow): Promise<ApprovalRow> {
  const [approval] = await approvalsOf(tx, [search.id]);
  if (search.state !== 'awaiting_approval' || approval?.state !== 'pending')
    throw searchError('approval.not_pending', { state: approval?.state ?? 'none' });
  return approval;
}

function requireMayDecide(approval: ApprovalRow, caller: Caller, now: Date): void {
  if (approval.requested_by === caller.userId || approval.key_made_by === caller.username) throw searchError('approval.own_search');
  if (approval.expires_at <= now) throw searchError('approval.expired', { expiresAt: approval.expires_at.toISOString() });
}

/** None was added: other photos are another question under the same name. Nobody adds one until the transaction ends. */
async function requireSamePhotos(tx: Tx, { photo_ids: known }: ApprovalRow, people: readonly string[]): Promise<void> {
  if (known === null) return;
  await holdPeople(tx, people);
  const added = (await photosOf(tx, people)).filter((photo) => !known.includes(photo.id));
  const personIds = [...new Set(added.map((photo) => photo.person_id))];
  if (personIds.length > 0) throw searchError('approval.photos_added', { personIds });
}

async function endRefused(tx: Tx, searchId: string, at: Date): Promise<void> {
  await writeSearchState(tx, searchId, { state: 'refused', finishedAt: at });
  await announceChange(tx, searchId);
}

/** Refuses what nobody decided in time. Any number of replicas may run it. Answers how many it refused. */
export const lapseApprovals = (deps: SearchDeps) => async (): Promise<number> => {
  let lapsed = 0;
  for (;;) {
    const now = deps.now();
    const due = await deps.database.system('lapse approvals', (tx) => listLapsedApprovals(tx, now, lapsedAtOnce));
    for (const { tenant_id: tenantId, search_id: searchId } of due)
      await deps.database.tenant(tenantId, async (tx) => {
        if (!(await lockSearch(tx, searchId)) || (await endApproval(tx, searchId, { state: 'expired', at: now })) === 0) return;
        await endRefused(tx, searchId, now);
        await deps.audit(tx, { tenantId, username: 'system', action: 'search.approval_expired', subject: searchId });
      });
    lapsed += due.length;
    if (due.length < lapsedAtOnce) return lapsed;
  }
};

/** Newest first. */
export const readApprovals =
  (deps: SearchDeps) =>
  async (caller: Caller, query: { state?: Approval['state']; cursor?: string; limit: number }): Promise<Page<ApprovalRequest>> => {
    const before = decodeCursor(listName, query.cursor, byAge);
    const rows = await deps.database.tenant(caller.tenantId, (tx) =>
      listApprovals(tx, caller.tenantId, query.state, before, query.limit + 1),
    );
    const page = rows.slice(0, query.limit);
    const last = page.at(-1);
    return {
      items: page.map((row) => ({
        ...shownApproval(row),
        searchId: row.search_id,
        name: row.name,
        purpose: row.purpose,
        people: row.person_ids.map((id, i) => ({ id, name: row.person_names[i] ?? null })),
        cameras: row.cameras,
        from: new Date(row.from_ms).toISOString(),
        to: new Date(row.to_ms).toISOString(),
      })),
      nextCursor: rows.length > page.length && last ? encodeCursor(listName, [last.position, last.search_id]) : null,
    };
  };

export const readApprovalRule =
  (deps: SearchDeps) =>
  async (caller: Caller): Promise<ApprovalRule> => ({ required: await deps.needsApproval(caller.tenantId) });

export const setApprovalRule =
  (deps: SearchDeps) =>
  (caller: Caller, { required }: ApprovalRule): Promise<ApprovalRule> =>
    deps.database.tenant(caller.tenantId, async (tx) => {
      const before = await isApprovalRequired(tx, caller.tenantId);
      await writeApprovalRule(tx, caller.tenantId, required);
      const change = { before: { required: before }, after: { required } };
      await deps.audit(tx, { ...who(caller), action: 'approval_rule.changed', subject: caller.tenantId, ...change });
      return { required };
    });
