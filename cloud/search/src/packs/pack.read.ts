import type { Tx } from '@star/platform';
import type { PackInUse } from '@stardipper/proto';
import { isRefused, waits } from '../people/embedding.store';
import type { SearchDeps } from '../ports';
import { type AssignmentRow, findAssignedPack, findAssignment } from './pack-assignment.store';

/** Which pack the tenant has and how far its photos have come with it; counted anew each time, and the same from every replica. */
export const readPackInUse =
  (deps: SearchDeps) =>
  (tenantId: string): Promise<PackInUse> =>
    deps.database.tenant(tenantId, async (tx) => {
      const pack = await packInUseOf(tx, tenantId);
      // From the tenant's people, whose index begins with the tenant: row security alone would read everybody's.
      const shown = `search.people o JOIN search.photos f ON f.person_id = o.id
        LEFT JOIN search.embeddings e ON e.photo_id = f.id AND e.pack_id = $1 WHERE o.tenant_id = $2`;
      const [counts] = await tx.query<Record<'embedded' | 'waiting' | 'refused' | 'ready' | 'people_waiting' | 'people_refused', number>>(
        `SELECT coalesce(sum(embedded), 0)::integer AS embedded, coalesce(sum(waiting), 0)::integer AS waiting,
           coalesce(sum(refused), 0)::integer AS refused,
           count(*) FILTER (WHERE waiting = 0 AND embedded > 0)::integer AS ready,
           count(*) FILTER (WHERE waiting > 0)::integer AS people_waiting,
           count(*) FILTER (WHERE waiting = 0 AND embedded = 0)::integer AS people_refused
         FROM (SELECT count(e.embedding) AS embedded, count(*) FILTER (WHERE ${waits}) AS waiting,
                 count(*) FILTER (WHERE ${isRefused}) AS refused
               FROM ${shown} GROUP BY o.id) p`,
        [pack?.packId ?? null, tenantId],
      );
      const refusals = await tx.query<{ code: string; photos: number }>(
        `SELECT e.refusal->>'code' AS code, count(*)::integer AS photos FROM ${shown} AND ${isRefused} GROUP BY 1 ORDER BY 2 DESC, 1`,
        [pack?.packId ?? null, tenantId],
      );
      const { embedded = 0, waiting = 0, refused = 0, ready = 0, people_waiting = 0, people_refused = 0 } = counts ?? {};
      return {
        pack,
        assignment: shownAssignment(await findAssignment(tx, tenantId)),
        photos: { embedded, waiting, refused },
        people: { ready, waiting: people_waiting, refused: people_refused },
        refusals,
      };
    });

async function packInUseOf(tx: Tx, tenantId: string): Promise<PackInUse['pack']> {
  const assigned = await findAssignedPack(tx, tenantId);
  if (assigned) return { packId: assigned.packId, since: assigned.since.toISOString(), by: 'assigned' };
  const [own] = await tx.query<{ pack_id: string; in_use_since: Date }>(
    'SELECT pack_id, in_use_since FROM search.packs ORDER BY in_use_since DESC LIMIT 1',
  );
  return own ? { packId: own.pack_id, since: own.in_use_since.toISOString(), by: 'installation' } : null;
}

function shownAssignment(row: AssignmentRow | undefined): PackInUse['assignment'] {
  if (!row) return null;
  const { package_id: packageId, title, version, settled, refusal } = row;
  const state = !settled ? 'preparing' : refusal ? 'failed' : 'in_use';
  return { packageId, title, version, state, error: refusal && { code: refusal.code, params: { ...refusal.params } } };
}
