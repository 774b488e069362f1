import { randomUUID } from 'node:crypto';
import { AppError } from '@star/platform';
import { recordAudit } from './audit';
import type { TenantsDeps } from './deps';
import { insertTenant } from './tenant.store';

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
  (deps: Pick<TenantsDeps, 'database' | 'writeEvent' | 'identity'>) =>
  async (input: NewTenant, options: { ifAbsent?: boolean } = {}): Promise<OpenedTenant> => {
    const tenantId = randomUUID();
    const { username, displayName, password } = input.admin;
    const known = async (): Promise<OpenedTenant | undefined> => {
      const user = options.ifAbsent ? await deps.identity.findUser({ username }) : undefined;
      return user && { tenantId: user.tenantId, adminId: user.userId, created: false };
    };
    const before = await known();
    if (before) return before;
    try {
      return await deps.database.tenant(tenantId, async (tx) => {
        await insertTenant(tx, tenantId, input.name);
        await deps.writeEvent(tx, { topic: 'tenant.created.v1', key: tenantId, tenantId, message: { tenantId, name: input.name } });
        const admin = { tenantId, username, displayName, password, roles: ['tenant-admin', 'operator'] };
        const { userId: adminId } = await deps.identity.createUser(admin, tx);
        await recordAudit(tx, { tenantId, userId: adminId, username, action: 'tenant.created', subject: tenantId });
        return { tenantId, adminId, created: true };
      });
    } catch (error) {
      // Several that start at once: one made it, the others find it.
      const faster = error instanceof AppError && error.code === 'user.username_taken' ? await known() : undefined;
      if (faster) return faster;
      throw error;
    }
  };
