import type { Tx } from '@star/platform';
import type { Grant } from '@stardipper/proto';

/** PostgreSQL channel; the payload is the id of the tenant whose tree or grants changed. */
export const areasChannel = 'tenants_areas';

/** When the transaction commits, every process forgets what it remembers of the tenant. */
export const announceAreas = async (tx: Tx, tenantId: string): Promise<void> => {
  await tx.query('SELECT pg_notify($1, $2)', [areasChannel, tenantId]);
};

/** Every area a role granted to the user holds on: where it was granted, and all below. */
export const areasOfUser = (tx: Tx, tenantId: string, userId: string): Promise<{ role: Grant['role']; area_ids: string[] }[]> =>
  tx.query(
    `SELECT g.role, array_agg(DISTINCT a.id) AS area_ids
     FROM tenants.grants g JOIN tenants.areas top ON top.id = g.area_id
       JOIN tenants.areas a ON a.tenant_id = g.tenant_id AND a.path >= top.path AND a.path < left(top.path, -1) || '0'
     WHERE g.tenant_id = $1 AND g.user_id = $2 GROUP BY g.role`,
    [tenantId, userId],
  );

/** Where roles were granted to the user, and which; `most` areas. */
export const grantedTo = (tx: Tx, tenantId: string, userId: string, most: number): Promise<{ area_id: string; roles: Grant['role'][] }[]> =>
  tx.query(
    `SELECT area_id, array_agg(role ORDER BY role) AS roles FROM tenants.grants
     WHERE tenant_id = $1 AND user_id = $2 GROUP BY area_id ORDER BY area_id LIMIT $3`,
    [tenantId, userId, most],
  );
