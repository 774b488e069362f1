import { randomUUID } from 'node:crypto';
import { type Audit, type Caller, type Database, inScope, who } from '@star/platform';
import type { ProvisioningKey } from '@stardipper/proto';
import { type AreasPort, holdEdgeArea } from '../areas';
import { devicesErrors } from '../devices.errors';
import type { PageRequest } from '../paging';
import { hashSecret, randomText } from './credentials';
import { deleteProvisioningKey, insertProvisioningKey, listProvisioningKeys } from './provisioning-key.store';
import { listRefusedEdges } from './refused-edge.store';

export interface ProvisioningKeysDeps extends AreasPort {
  readonly db: Database;
  readonly audit: Audit;
}

/** The secret is in this answer and nowhere else. Throws `area.unknown`, `area.kind_unfit`. */
export const issueProvisioningKey =
  (deps: ProvisioningKeysDeps) =>
  async (caller: Caller, areaId: string): Promise<ProvisioningKey> => {
    const { tenantId } = caller;
    const scope = await deps.areasVisibleTo(caller, 'edges.write');
    const secret = randomText(43);
    const stored = await deps.db.tenant(tenantId, async (tx) => {
      const area = await holdEdgeArea(deps, tx, areaId);
      if (!inScope(scope, area.id)) throw devicesErrors.error('area.unknown', { areaId });
      const key = { id: randomUUID(), tenantId, areaId: area.id, key: randomText(20), secretHash: hashSecret(secret) };
      // Neither the key nor its secret: who reads the log must not make boxes.
      await deps.audit(tx, { ...who(caller), action: 'provisioning_key.created', subject: key.id, after: { areaId: area.id } });
      return insertProvisioningKey(tx, key);
    });
    return { ...stored, secret };
  };

export const readProvisioningKeys =
  ({ db, areasVisibleTo }: ProvisioningKeysDeps) =>
  async (caller: Caller, page: PageRequest) => {
    const scope = await areasVisibleTo(caller, 'edges.write');
    return db.tenant(caller.tenantId, (tx) => listProvisioningKeys(tx, scope, page));
  };

/** Boxes that have registered with it stay. Throws `provisioning_key.not_found`. */
export const removeProvisioningKey =
  ({ db, audit, areasVisibleTo }: ProvisioningKeysDeps) =>
  async (caller: Caller, id: string): Promise<void> => {
    const scope = await areasVisibleTo(caller, 'edges.write');
    await db.tenant(caller.tenantId, async (tx) => {
      const deleted = await deleteProvisioningKey(tx, id, scope);
      if (!deleted) throw devicesErrors.error('provisioning_key.not_found', { id });
      await audit(tx, { ...who(caller), action: 'provisioning_key.deleted', subject: id, before: { areaId: deleted.areaId } });
    });
  };

/** Boxes that were turned away, latest first; there are never more than one page. */
export const readRefusedEdges =
  ({ db, areasVisibleTo }: ProvisioningKeysDeps) =>
  async (caller: Caller) => {
    const scope = await areasVisibleTo(caller, 'edges.write');
    return { items: await db.tenant(caller.tenantId, (tx) => listRefusedEdges(tx, caller.tenantId, scope)), nextCursor: null };
  };
