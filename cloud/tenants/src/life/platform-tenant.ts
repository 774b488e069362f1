import { isUniqueViolation } from '@star/platform';
import { platformTenantId } from '@stardipper/proto';
import type { TenantLifeDeps } from './ports';
import { insertTenantRow } from './tenant-life.store';

/** At every start: makes the platform tenant and its first operator, where they are not there yet. */
export const openPlatformTenant =
  (deps: Pick<TenantLifeDeps, 'database' | 'identity' | 'audit'>) =>
  async (operator: { readonly username: string; readonly password: string }): Promise<void> => {
    await deps.database
      .tenant(platformTenantId, async (tx) => {
        const made = await insertTenantRow(tx, { tenantId: platformTenantId, name: 'platform', kind: 'platform', state: 'enabled' });
        if (made)
          await deps.audit(tx, { tenantId: platformTenantId, username: 'star', action: 'tenant.created', subject: platformTenantId });
      })
      .catch((error: unknown) => {
        if (!isUniqueViolation(error, 'tenants_pkey')) throw error;
      });
    const { username, password } = operator;
    if (await deps.identity.findUser({ username })) return;
    await deps.identity.createUser({ tenantId: platformTenantId, username, displayName: username, roles: ['platform-operator'], password });
  };
