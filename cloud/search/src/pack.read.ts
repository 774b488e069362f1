import type { PackInUse } from '@stardipper/proto';
import { isRefused, packInUseSql, waits } from './embedding.store';
import type { SearchDeps } from './ports';

/** How far the tenant's photos have come with the pack in use; counted anew each time, and the same from every replica. */
export const readPackInUse =
  (deps: SearchDeps) =>
  (tenantId: string): Promise<PackInUse> =>
    deps.database.tenant(tenantId, async (tx) => {
      const [pack] = await tx.query<{ pack_id: string; in_use_since: Date }>(
        `SELECT pack_id, in_use_since FROM search.packs WHERE pack_id = (${packInUseSql})`,
      );
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
        [pack?.pack_id ?? null, tenantId],
      );
      const refusals = await tx.query<{ code: string; photos: number }>(
        `SELECT e.refusal->>'code' AS code, count(*)::integer AS photos FROM ${shown} AND ${isRefused} GROUP BY 1 ORDER BY 2 DESC, 1`,
        [pack?.pack_id ?? null, tenantId],
      );
      const { embedded = 0, waiting = 0, refused = 0, ready = 0, people_waiting = 0, people_refused = 0 } = counts ?? {};
      return {
        pack: pack ? { packId: pack.pack_id, since: pack.in_use_since.toISOString() } : null,
        photos: { embedded, waiting, refused },
        people: { ready, waiting: people_waiting, refused: people_refused },
        refusals,
      };
    });
