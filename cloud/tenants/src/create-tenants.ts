import { issueApiKey, readApiKeys, withdrawApiKey } from './api-keys/manage-api-keys';
import { createArea, mergeAreas, moveArea, removeArea, renameArea } from './areas/manage-areas';
import { readArea, readAreas } from './areas/read-areas';
import type { TenantsDeps } from './deps';
import { createAreaAccess } from './grants/area-access';
import { giveGrant, readGrants, withdrawGrant } from './grants/manage-grants';
import { manageUsers } from './users/manage-users';
import { whoAmI } from './users/who-am-i';

/** The use cases of tenants. */
export const createTenants = (deps: TenantsDeps) => {
  const { database } = deps;
  const access = createAreaAccess({ database });
  const areas = { database, areasVisibleTo: access.areasVisibleTo, forgetAreas: access.forget, hanging: deps.hanging ?? [] };
  const grants = {
    ...areas,
    findUser: async (tenantId: string, userId: string) => {
      const user = await deps.identity.findUser({ userId });
      return user?.tenantId === tenantId ? user : undefined;
    },
  };
  const keys = { database, now: deps.now ?? (() => new Date()) };
  return {
    whoAmI: whoAmI(deps),
    ...manageUsers(deps),
    areasVisibleTo: access.areasVisibleTo,
    /** Hears of changes of areas and grants that other processes make, until `signal` aborts. */
    followAreas: access.listen,
    createArea: createArea(areas),
    renameArea: renameArea(areas),
    moveArea: moveArea(areas),
    mergeAreas: mergeAreas(areas),
    removeArea: removeArea(areas),
    readAreas: readAreas(areas),
    readArea: readArea(areas),
    giveGrant: giveGrant(grants),
    withdrawGrant: withdrawGrant(grants),
    readGrants: readGrants(grants),
    issueApiKey: issueApiKey(keys),
    readApiKeys: readApiKeys(keys),
    withdrawApiKey: withdrawApiKey(keys),
  };
};

export type Tenants = ReturnType<typeof createTenants>;
