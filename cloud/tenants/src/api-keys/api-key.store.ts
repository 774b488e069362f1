import type { Tx } from '@star/platform';
import type { Permission } from '@stardipper/proto';

export interface ApiKeyRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly name: string;
  readonly prefix: string;
  readonly permissions: Permission[];
  readonly created_by: string;
  readonly created_at: Date;
  readonly expires_at: Date | null;
  readonly last_used_at: Date | null;
  readonly revoked_at: Date | null;
}

const columns = 'tenant_id, id, name, prefix, permissions, created_by, created_at, expires_at, last_used_at, revoked_at';

export interface NewApiKey {
  readonly tenantId: string;
  readonly id: string;
  readonly name: string;
  readonly hash: Buffer;
  readonly prefix: string;
  readonly permissions: readonly Permission[];
  readonly createdBy: string;
  readonly expiresAt: Date | null;
}

/** Keys that still work, counted while nobody else makes one. */
export async function countWorkingKeys(tx: Tx, now: Date): Promise<number> {
  await tx.query('SELECT FROM tenants.tenants FOR UPDATE');
  const [row] = await tx.query<{ count: number }>(
    'SELECT count(*) FROM tenants.api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)',
    [now],
  );
  return row?.count ?? 0;
}

export const insertApiKey = async (tx: Tx, key: NewApiKey): Promise<ApiKeyRow> =>
  (
    await tx.query<ApiKeyRow>(
      `INSERT INTO tenants.api_keys (tenant_id, id, name, key_sha256, prefix, permissions, created_by, expires_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ${columns}`,
      [key.tenantId, key.id, key.name, key.hash, key.prefix, key.permissions, key.createdBy, key.expiresAt],
    )
  )[0] as ApiKeyRow;

/** Newest first. */
export const listApiKeys = (tx: Tx, before: readonly [string, string] | undefined, limit: number): Promise<ApiKeyRow[]> =>
  tx.query<ApiKeyRow>(
    `SELECT ${columns} FROM tenants.api_keys
     WHERE $1::timestamptz IS NULL OR (date_trunc('milliseconds', created_at), id) < ($1, $2::uuid)
     ORDER BY date_trunc('milliseconds', created_at) DESC, id DESC LIMIT $3`,
    [before?.[0] ?? null, before?.[1] ?? null, limit],
  );

/** The key as it was before; undefined when the tenant has none of this id. */
export const revokeApiKey = async (tx: Tx, id: string, now: Date): Promise<Pick<ApiKeyRow, 'name' | 'revoked_at'> | undefined> =>
  (
    await tx.query<Pick<ApiKeyRow, 'name' | 'revoked_at'>>(
      `UPDATE tenants.api_keys k SET revoked_at = coalesce(k.revoked_at, $2)
       FROM (SELECT id, name, revoked_at FROM tenants.api_keys WHERE id = $1 FOR UPDATE) old
       WHERE k.id = old.id RETURNING old.name, old.revoked_at`,
      [id, now],
    )
  )[0];

/** Across tenants: a request shows nothing but its key. */
export const findApiKey = async (tx: Tx, hash: Buffer): Promise<ApiKeyRow | undefined> =>
  (await tx.query<ApiKeyRow>(`SELECT ${columns} FROM tenants.api_keys WHERE key_sha256 = $1 AND revoked_at IS NULL`, [hash]))[0];

/** Only when the last note is older than `before`, so that several replicas write it once. */
export const noteUse = (tx: Tx, id: string, now: Date, before: Date): Promise<number> =>
  tx.execute('UPDATE tenants.api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $3)', [
    id,
    now,
    before,
  ]);
