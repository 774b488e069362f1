import type { Tx } from '@star/platform';
import type { Estimate } from '@stardipper/proto';
import type { TimedSearch } from './start-and-report';

/** Further back nobody looks: the network was another. */
const newest = 200;
const enough = 20;

/** The tenant's newest finished searches that decoded and downloaded nothing. */
export const listTimedSearches = async (tx: Tx, tenantId: string): Promise<TimedSearch[]> => {
  const rows = await tx.query<{ took_s: number; edges: Estimate['edges'] }>(
    `SELECT extract(epoch FROM finished_at - started_at)::double precision AS took_s, estimate -> 'edges' AS edges
     FROM (SELECT id, created_at, state, started_at, finished_at, estimate FROM search.searches
       WHERE tenant_id = $1 ORDER BY created_at DESC, id DESC LIMIT ${newest}) newest
     WHERE state = 'finished' AND started_at IS NOT NULL AND finished_at IS NOT NULL AND estimate IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM search.tasks t WHERE t.search_id = newest.id AND (t.keyframes_decoded > 0 OR t.downloaded_bytes > 0))
     ORDER BY created_at DESC LIMIT ${enough}`,
    [tenantId],
  );
  return rows.map(({ took_s: tookS, edges }) => ({ tookS, edges }));
};
