import { readAudit } from './audit';
import { createCommunity, hasCommunity, readCommunities } from './communities';
import { createTenant } from './create-tenant';
import type { TenantsDeps } from './deps';
import { manageUsers } from './users/manage-users';
import { whoAmI } from './users/who-am-i';

/** The use cases of tenants. */
export const createTenants = (deps: TenantsDeps) => ({
  createTenant: createTenant(deps),
  whoAmI: whoAmI(deps),
  ...manageUsers(deps),
  createCommunity: createCommunity(deps),
  readCommunities: readCommunities(deps),
  hasCommunity: hasCommunity(deps),
  readAudit: readAudit(deps),
});

export type Tenants = ReturnType<typeof createTenants>;
