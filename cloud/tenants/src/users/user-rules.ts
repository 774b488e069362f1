import type { Caller, IdentityAdmin, Tx, User } from '@star/platform';
import { lockAdmins } from '../tenant.store';
import { tenantError } from '../tenants.errors';

const ofPlatform = (role: string) => role.startsWith('platform-');

/**
 * Throws `user.role_above_yours` when roles of the platform are touched by somebody who is no operator of it: whoever
 * could reset such a user's password could be that user.
 */
export function checkReach(caller: Caller, roles: readonly string[]): void {
  if (roles.some(ofPlatform) && !caller.roles.includes('platform-operator')) throw tenantError('user.role_above_yours');
}

const administers = (user: Pick<User, 'roles' | 'enabled'>) => user.enabled && user.roles.includes('tenant-admin');

/**
 * Throws `user.last_admin` when `user` administers the tenant, as `after` she would not, and nobody else does. Others who
 * change administrators wait until the transaction ends, so two cannot remove each other.
 */
export async function checkAdminLeft(
  tx: Tx,
  identity: IdentityAdmin,
  user: User,
  after: Pick<User, 'roles' | 'enabled'> | undefined,
): Promise<void> {
  if (!administers(user) || (after && administers(after))) return;
  await lockAdmins(tx, user.tenantId);
  let cursor: string | undefined;
  do {
    const page = await identity.listUsers(user.tenantId, { limit: 200, ...(cursor === undefined ? {} : { cursor }) }, tx);
    if (page.items.some((other) => other.userId !== user.userId && administers(other))) return;
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  throw tenantError('user.last_admin');
}
