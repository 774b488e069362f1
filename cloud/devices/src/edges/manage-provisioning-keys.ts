import { randomUUID } from 'node:crypto';
import type { Database } from '@star/platform';
import type { ProvisioningKey } from '@stardipper/proto';
import { devicesErrors } from '../devices.errors';
import type { PageRequest } from '../paging';
import { hashSecret, randomText } from './credentials';
import { deleteProvisioningKey, insertProvisioningKey, listProvisioningKeys } from './provisioning-key.store';

export interface ProvisioningKeysDeps {
  readonly db: Database;
  /** Whether a community is the tenant's: a question for the tenants service. */
  readonly hasCommunity: (tenantId: string, communityId: string) => Promise<boolean>;
}

/** The secret is in this answer and nowhere else. Throws `community.not_found`. */
export const issueProvisioningKey =
  ({ db, hasCommunity }: ProvisioningKeysDeps) =>
  async (tenantId: string, communityId: string): Promise<ProvisioningKey> => {
    if (!(await hasCommunity(tenantId, communityId))) throw devicesErrors.error('community.not_found', { communityId });
    const secret = randomText(43);
    const key = { id: randomUUID(), tenantId, communityId, key: randomText(20), secretHash: hashSecret(secret) };
    return { ...(await db.tenant(tenantId, (tx) => insertProvisioningKey(tx, key))), secret };
  };

export const readProvisioningKeys =
  ({ db }: ProvisioningKeysDeps) =>
  (tenantId: string, page: PageRequest) =>
    db.tenant(tenantId, (tx) => listProvisioningKeys(tx, page));

/** Boxes that have registered with it stay. Throws `provisioning_key.not_found`. */
export const removeProvisioningKey =
  ({ db }: ProvisioningKeysDeps) =>
  async (tenantId: string, id: string): Promise<void> => {
    if (!(await db.tenant(tenantId, (tx) => deleteProvisioningKey(tx, id))))
      throw devicesErrors.error('provisioning_key.not_found', { id });
  };
