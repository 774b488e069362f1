import type { Tx } from '../postgres/database';

export interface TenantKeyRow {
  /** Null once it was erased. */
  readonly sealed_key: Buffer | null;
}

/** Of two that make a key at once one wins, and both are answered the winner's. */
export const keepTenantKey = async (tx: Tx, tenantId: string, sealedKey: Buffer): Promise<TenantKeyRow> => {
  await tx.execute('INSERT INTO platform.tenant_keys (tenant_id, sealed_key) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
    tenantId,
    sealedKey,
  ]);
  return (await findTenantKey(tx, tenantId)) as TenantKeyRow;
};

export const findTenantKey = async (tx: Tx, tenantId: string): Promise<TenantKeyRow | undefined> =>
  (await tx.query<TenantKeyRow>('SELECT sealed_key FROM platform.tenant_keys WHERE tenant_id = $1', [tenantId]))[0];

/** Also of a tenant that never had one; answers 0 when it was erased before. */
export const eraseTenantKey = (tx: Tx, tenantId: string): Promise<number> =>
  tx.execute(
    `INSERT INTO platform.tenant_keys AS k (tenant_id, sealed_key, erased_at) VALUES ($1, NULL, now())
     ON CONFLICT ON CONSTRAINT tenant_keys_pkey DO UPDATE SET sealed_key = NULL, erased_at = now() WHERE k.erased_at IS NULL`,
    [tenantId],
  );

/** All that are not erased; none is made or erased until the transaction ends. For a system transaction. */
export const lockTenantKeys = async (tx: Tx): Promise<{ tenant_id: string; sealed_key: Buffer }[]> => {
  await tx.execute('LOCK TABLE platform.tenant_keys IN SHARE ROW EXCLUSIVE MODE');
  return tx.query('SELECT tenant_id, sealed_key FROM platform.tenant_keys WHERE sealed_key IS NOT NULL');
};

export const writeTenantKey = (tx: Tx, tenantId: string, sealedKey: Buffer): Promise<number> =>
  tx.execute('UPDATE platform.tenant_keys SET sealed_key = $2 WHERE tenant_id = $1', [tenantId, sealedKey]);
