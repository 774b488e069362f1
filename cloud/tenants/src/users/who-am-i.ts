import { type Caller, identityErrors } from '@star/platform';
import type { Me } from '@stardipper/proto';
import type { TenantsDeps } from '../deps';
import { findTenantName } from '../tenant.store';

/** Who the token says I am, as the identity provider knows me now. Throws `user.not_found` when I was removed. */
export const whoAmI =
  (deps: TenantsDeps) =>
  async (caller: Caller): Promise<Me> => {
    const tenantName = await deps.database.tenant(caller.tenantId, (tx) => findTenantName(tx, caller.tenantId));
    const user = await deps.identity.findUser({ userId: caller.userId });
    if (user?.tenantId !== caller.tenantId || tenantName === undefined) throw identityErrors.error('user.not_found');
    const { tenantId, username, displayName, roles } = user;
    return { id: user.userId, tenantId, tenantName, username, displayName, roles: [...roles] };
  };
