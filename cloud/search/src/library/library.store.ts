import type { Tx } from '@star/platform';

/** Again it changes nothing. */
export const insertLibrary = (tx: Tx, tenantId: string): Promise<number> =>
  tx.execute("INSERT INTO search.libraries (tenant_id, state) VALUES ($1, 'opening') ON CONFLICT ON CONSTRAINT libraries_pkey DO NOTHING", [
    tenantId,
  ]);

export const writeLibrary = (tx: Tx, tenantId: string, state: string): Promise<number> =>
  tx.execute(
    `INSERT INTO search.libraries (tenant_id, state) VALUES ($1, $2)
     ON CONFLICT ON CONSTRAINT libraries_pkey DO UPDATE SET state = excluded.state, changed_at = now()`,
    [tenantId, state],
  );

export const deleteLibrary = (tx: Tx, tenantId: string): Promise<number> =>
  tx.execute('DELETE FROM search.libraries WHERE tenant_id = $1', [tenantId]);

export const runningSearches = (tx: Tx, tenantId: string): Promise<{ id: string }[]> =>
  tx.query("SELECT id FROM search.searches WHERE tenant_id = $1 AND state = 'running' ORDER BY id", [tenantId]);
