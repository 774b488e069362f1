import { randomUUID } from 'node:crypto';
import { isUniqueViolation } from '@star/platform';
import { recordAudit } from './audit';
import type { TenantsDeps } from './deps';
import { hashPassword } from './password';
import { findUserByName, insertTenant, insertUser } from './tenant.store';
import { tenantError } from './tenants.errors';

export interface NewTenant {
  readonly name: string;
  readonly admin: { readonly username: string; readonly displayName: string; readonly password: string };
}

export interface OpenedTenant {
  readonly tenantId: string;
  readonly adminId: string;
  /** False when the administrator's name was there already and nothing was done. */
  readonly created: boolean;
}

/**
 * Opens a tenant with its first administrator and announces `tenant.created.v1`, all in one transaction. With
 * `ifAbsent` a second call with the same administrator's name answers the first one's tenant, so that a program may
 * call it at every start; otherwise it throws `user.username_taken`.
 */
export const createTenant =
  (deps: Pick<TenantsDeps, 'database' | 'writeEvent'>) =>
  async (input: NewTenant, options: { ifAbsent?: boolean } = {}): Promise<OpenedTenant> => {
    const tenantId = randomUUID();
    const adminId = randomUUID();
    const { username, displayName } = input.admin;
    const known = () => deps.database.system('find the first administrator', (tx) => findUserByName(tx, username));
    if (options.ifAbsent) {
      const user = await known();
      if (user) return { tenantId: user.tenant_id, adminId: user.id, created: false };
    }
    const passwordHash = await hashPassword(input.admin.password);
    try {
      await deps.database.tenant(tenantId, async (tx) => {
        await insertTenant(tx, tenantId, input.name);
        await insertUser(tx, tenantId, { id: adminId, username, displayName, passwordHash, roles: ['tenant-admin', 'operator'] });
        await deps.writeEvent(tx, { topic: 'tenant.created.v1', key: tenantId, tenantId, message: { tenantId, name: input.name } });
        await recordAudit(tx, { tenantId, userId: adminId, username, action: 'tenant.created', subject: tenantId });
      });
    } catch (error) {
      if (!isUniqueViolation(error, 'users_username')) throw error;
      const user = options.ifAbsent ? await known() : undefined;
      if (user) return { tenantId: user.tenant_id, adminId: user.id, created: false };
      throw tenantError('user.username_taken', { username });
    }
    return { tenantId, adminId, created: true };
  };
