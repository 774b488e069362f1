import { type AreaScope, scopeIds, type Tx } from '@star/platform';
import type { ProvisioningKey } from '@stardipper/proto';
import { afterCondition, afterCursor, cursorMicros, type PageRequest, pageOf } from '../paging';

interface KeyRow {
  id: string;
  tenant_id: string;
  area_id: string;
  key: string;
  secret_hash: Buffer;
  created_at: Date;
  cursor_micros: string;
}

const item = (row: KeyRow): ProvisioningKey => ({
  id: row.id,
  areaId: row.area_id,
  key: row.key,
  createdAt: row.created_at.toISOString(),
});

export async function insertProvisioningKey(
  tx: Tx,
  key: { id: string; tenantId: string; areaId: string; key: string; secretHash: Buffer },
): Promise<ProvisioningKey> {
  const [row] = await tx.query<KeyRow>(
    `INSERT INTO devices.provisioning_keys (id, tenant_id, area_id, key, secret_hash) VALUES ($1, $2, $3, $4, $5) RETURNING *`,
    [key.id, key.tenantId, key.areaId, key.key, key.secretHash],
  );
  return item(row as KeyRow);
}

export async function listProvisioningKeys(
  tx: Tx,
  scope: AreaScope,
  { cursor, limit }: PageRequest,
): Promise<{ items: ProvisioningKey[]; nextCursor: string | null }> {
  const after = afterCursor(cursor);
  const rows = await tx.query<KeyRow>(
    `SELECT k.*, ${cursorMicros('k')} FROM devices.provisioning_keys k WHERE k.tenant_id = platform.current_tenant() AND ${afterCondition('k', '$1', '$2')}
       AND ($4::uuid[] IS NULL OR k.area_id = ANY ($4)) ORDER BY k.created_at, k.id LIMIT $3`,
    [after.micros, after.id, limit + 1, scopeIds(scope)],
  );
  return pageOf(rows, limit, item);
}

/** As it was; undefined when the tenant has none such within the scope. */
export async function deleteProvisioningKey(tx: Tx, id: string, scope: AreaScope): Promise<ProvisioningKey | undefined> {
  const sql = 'DELETE FROM devices.provisioning_keys WHERE id = $1 AND ($2::uuid[] IS NULL OR area_id = ANY ($2)) RETURNING *';
  const [row] = await tx.query<KeyRow>(sql, [id, scopeIds(scope)]);
  return row && item(row);
}

/** Whose key it is, across tenants: a box that registers has nothing else to show. */
export async function findProvisioningKey(
  tx: Tx,
  key: string,
): Promise<{ id: string; tenantId: string; areaId: string; secretHash: Buffer } | undefined> {
  const [row] = await tx.query<KeyRow>('SELECT * FROM devices.provisioning_keys WHERE key = $1', [key]);
  return row && { id: row.id, tenantId: row.tenant_id, areaId: row.area_id, secretHash: row.secret_hash };
}
