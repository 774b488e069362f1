import { issueApiKey, readApiKeys, withdrawApiKey } from './api-keys/manage-api-keys';
import { readAudit } from './audit';
import { createCommunity, hasCommunity, readCommunities } from './communities';
import { createTenant } from './create-tenant';
import type { TenantsDeps } from './deps';
import { logIn, whoAmI } from './log-in';

/** The use cases of tenants. */
export const createTenants = (deps: TenantsDeps) => ({
  createTenant: createTenant(deps),
  logIn: logIn(deps),
  whoAmI: whoAmI(deps),
  createCommunity: createCommunity(deps),
  readCommunities: readCommunities(deps),
  hasCommunity: hasCommunity(deps),
  issueApiKey: issueApiKey(deps),
  readApiKeys: readApiKeys(deps),
  withdrawApiKey: withdrawApiKey(deps),
  readAudit: readAudit(deps),
});

export type Tenants = ReturnType<typeof createTenants>;
