import type { Tx } from '@star/platform';

/** To be deleted from storage `afterS` seconds from now, unless pardoned before. */
export const doomObjects = (tx: Tx, tenantId: string, keys: readonly string[], afterS = 0): Promise<number> =>
  tx.execute(
    `INSERT INTO search.doomed_objects (tenant_id, object_key, doomed_at)
     SELECT $1, unnest($2::text[]), now() + make_interval(secs => $3) ON CONFLICT DO NOTHING`,
    [tenantId, keys, afterS],
  );

export const listDoomedObjects = (tx: Tx, limit: number): Promise<{ tenant_id: string; object_key: string }[]> =>
  tx.query('SELECT tenant_id, object_key FROM search.doomed_objects WHERE doomed_at <= now() ORDER BY doomed_at LIMIT $1', [limit]);

/** Answers how many: 0 when somebody else was faster. */
export const forgetDoomedObject = (tx: Tx, key: string): Promise<number> =>
  tx.execute('DELETE FROM search.doomed_objects WHERE object_key = $1', [key]);

/** To be deleted from ClickHouse once the transaction is committed. */
export const doomMatches = (tx: Tx, tenantId: string, searchId: string): Promise<number> =>
  tx.execute('INSERT INTO search.doomed_matches (tenant_id, search_id) VALUES ($1, $2)', [tenantId, searchId]);

export const listDoomedMatches = (tx: Tx, limit: number): Promise<{ tenant_id: string; search_id: string }[]> =>
  tx.query('SELECT tenant_id, search_id FROM search.doomed_matches ORDER BY doomed_at LIMIT $1', [limit]);

export const forgetDoomedMatches = (tx: Tx, searchId: string): Promise<number> =>
  tx.execute('DELETE FROM search.doomed_matches WHERE search_id = $1', [searchId]);
