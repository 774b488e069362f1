import { randomUUID } from 'node:crypto';
import type { Database } from '@star/platform';
import type { TenantIdentity } from '../../src';

/** A tenant that is there, with its administrator and nothing else: for tests of what is done in one. Star itself opens tenants by a saga. */
export async function aTenantWith(
  { database, identity }: { readonly database: Database; readonly identity: TenantIdentity },
  { name = 'T', username }: { readonly name?: string; readonly username: string },
): Promise<{ tenantId: string; adminId: string }> {
  const tenantId = randomUUID();
  await database.tenant(tenantId, (tx) => tx.execute('INSERT INTO tenants.tenants (tenant_id, name) VALUES ($1, $2)', [tenantId, name]));
  const admin = { username, displayName: 'Admin', password: 'first secret', roles: ['tenant-admin', 'operator'] };
  const { userId: adminId } = await identity.createUser({ tenantId, ...admin });
  return { tenantId, adminId };
}
