import type { Tx } from '@star/platform';

export const findTenantName = async (tx: Tx, tenantId: string): Promise<string | undefined> =>
  (await tx.query<{ name: string }>('SELECT name FROM tenants.tenants WHERE tenant_id = $1', [tenantId]))[0]?.name;

/** Until the transaction ends, nobody else changes who administers the tenant. */
export const lockAdmins = (tx: Tx, tenantId: string): Promise<number> =>
  tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('tenants.admins ' || $1, 0))", [tenantId]);
