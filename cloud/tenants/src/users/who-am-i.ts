import { type Caller, identityErrors } from '@star/platform';
import { featureNames, type Me, maxGrantedAreas, permissionsOf, rolesWithin } from '@stardipper/proto';
import type { TenantsDeps } from '../deps';
import { grantedTo } from '../grants/area-access.store';
import { parsedSettings } from '../settings/read-settings';
import { findSettings } from '../settings/settings.store';
import { findTenantName } from '../tenant.store';

/** Who the token says I am, as the identity provider knows me now, and what I may do and where. Throws `user.not_found` when I was removed. */
export const whoAmI =
  (deps: TenantsDeps) =>
  async (caller: Caller): Promise<Me> => {
    const { tenantName, granted, settings } = await deps.database.tenant(caller.tenantId, async (tx) => ({
      tenantName: await findTenantName(tx, caller.tenantId),
      granted: await grantedTo(tx, caller.tenantId, caller.userId, maxGrantedAreas),
      settings: parsedSettings(await findSettings(tx, caller.tenantId)),
    }));
    const user = await deps.identity.findUser({ userId: caller.userId });
    if (user?.tenantId !== caller.tenantId || tenantName === undefined) throw identityErrors.error('user.not_found');
    const { tenantId, username, displayName } = user;
    // As the guards take them, whatever the provider was made to say.
    const roles = rolesWithin(tenantId, user.roles);
    const onAreas = granted.map((each) => ({ areaId: each.area_id, permissions: [...permissionsOf(each.roles)] }));
    const permissions = [...permissionsOf(roles)];
    const features = featureNames.filter((feature) => settings.features[feature]);
    return { id: user.userId, tenantId, tenantName, username, displayName, roles: [...roles], permissions, onAreas, features };
  };
