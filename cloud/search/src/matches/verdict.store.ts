import type { Tx } from '@star/platform';

export const writeVerdict = (
  tx: Tx,
  tenantId: string,
  searchId: string,
  matchId: string,
  verdict: string,
  userId: string,
): Promise<number> =>
  tx.execute(
    `INSERT INTO search.verdicts (tenant_id, search_id, match_id, verdict, set_by) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT ON CONSTRAINT verdicts_pkey DO UPDATE SET verdict = excluded.verdict, set_by = excluded.set_by, set_at = now()`,
    [tenantId, searchId, matchId, verdict, userId],
  );

export const verdictsOf = (
  tx: Tx,
  searchId: string,
  matchIds: readonly string[],
): Promise<{ match_id: string; verdict: 'unreviewed' | 'confirmed' | 'rejected' }[]> =>
  tx.query('SELECT match_id, verdict FROM search.verdicts WHERE search_id = $1 AND match_id = ANY($2)', [searchId, matchIds]);
