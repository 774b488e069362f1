import { type AreaScope, scopeIds, type Tx } from '@star/platform';
import type { Grant } from '@stardipper/proto';

export interface GrantRow {
  readonly id: string;
  readonly user_id: string;
  readonly username: string;
  readonly area_id: string;
  readonly role: Grant['role'];
  readonly created_at: Date;
}

const columns = 'id, user_id, username, area_id, role, created_at';

/** Undefined when the user has this role on this area. */
export const insertGrant = async (tx: Tx, tenantId: string, grant: Omit<GrantRow, 'created_at'>): Promise<GrantRow | undefined> =>
  (
    await tx.query<GrantRow>(
      `INSERT INTO tenants.grants (tenant_id, id, user_id, username, area_id, role) VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT ON CONSTRAINT grants_once DO NOTHING RETURNING ${columns}`,
      [tenantId, grant.id, grant.user_id, grant.username, grant.area_id, grant.role],
    )
  )[0];

export const findGrant = async (tx: Tx, id: string): Promise<GrantRow | undefined> =>
  (await tx.query<GrantRow>(`SELECT ${columns} FROM tenants.grants WHERE id = $1`, [id]))[0];

export const deleteGrantRow = (tx: Tx, id: string): Promise<number> => tx.execute('DELETE FROM tenants.grants WHERE id = $1', [id]);

/** Where the user has a role on both areas already, one of the two is enough. */
export const moveGrants = async (tx: Tx, fromAreaId: string, toAreaId: string): Promise<void> => {
  await tx.execute(
    `UPDATE tenants.grants g SET area_id = $2 WHERE area_id = $1
       AND NOT EXISTS (SELECT 1 FROM tenants.grants o WHERE o.area_id = $2 AND o.user_id = g.user_id AND o.role = g.role)`,
    [fromAreaId, toAreaId],
  );
};

export interface GrantFilter {
  readonly userId?: string | undefined;
  readonly areaId?: string | undefined;
}

/** In the order they were given, from after `after`. */
export const listGrants = (
  tx: Tx,
  tenantId: string,
  scope: AreaScope,
  filter: GrantFilter,
  after: readonly [string, string] | undefined,
  limit: number,
): Promise<(GrantRow & { micros: string })[]> =>
  tx.query(
    `SELECT ${columns}, (extract(epoch FROM created_at) * 1000000)::bigint::text AS micros FROM tenants.grants
     WHERE tenant_id = $7 AND (created_at, id) > ('epoch'::timestamptz + $1::bigint * interval '1 microsecond', $2::uuid)
       AND ($3::uuid[] IS NULL OR area_id = ANY ($3)) AND ($4::uuid IS NULL OR user_id = $4) AND ($5::uuid IS NULL OR area_id = $5)
     ORDER BY created_at, id LIMIT $6`,
    [
      after?.[0] ?? '0',
      after?.[1] ?? '00000000-0000-0000-0000-000000000000',
      scopeIds(scope),
      filter.userId ?? null,
      filter.areaId ?? null,
      limit,
      tenantId,
    ],
  );
