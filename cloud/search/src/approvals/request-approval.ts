import { type Caller, type Tx, who } from '@star/platform';
import { holdPeople, photosOf } from '../people/person.store';
import type { SearchDeps } from '../ports';
import { announceChange, type SearchRow, writeSearchState } from '../searches/search.store';
import { insertApproval } from './approval.store';

/** The draft, locked, waits for a second person from now on. */
export async function requestApproval(deps: SearchDeps, tx: Tx, caller: Caller, search: SearchRow): Promise<void> {
  const requestedAt = deps.now();
  const expiresAt = new Date(requestedAt.getTime() + deps.settings.approvalLifetimeMs);
  const { tenantId, userId: requestedBy, username: requestedByName } = caller;
  await holdPeople(tx, search.person_ids);
  const photoIds = (await photosOf(tx, search.person_ids)).map((photo) => photo.id);
  const asked = { requestedBy, requestedByName, keyMadeBy: caller.keyMadeBy ?? null, requestedAt, expiresAt, photoIds };
  await insertApproval(tx, tenantId, { searchId: search.id, ...asked });
  await writeSearchState(tx, search.id, { state: 'awaiting_approval', finishedAt: null });
  await announceChange(tx, search.id);
  await deps.audit(tx, {
    ...who(caller),
    action: 'search.approval_requested',
    subject: search.id,
    reason: search.purpose,
    details: { personIds: search.person_ids },
  });
}
