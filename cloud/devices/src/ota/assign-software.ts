import { type Audit, type Caller, type Database, type Tx, who } from '@star/platform';
import {
  type EdgeSoftware,
  type SoftwareAssignment,
  type SoftwareAttributes,
  type SoftwareState,
  softwareAttributeKeys,
} from '@stardipper/proto';
import { devicesErrors } from '../devices.errors';
import type { EdgeIdentity } from '../edges/edge';
import { signalHubs } from '../hub/hub-channel.store';
import type { PageRequest } from '../paging';
import * as store from './assignment.store';
import { lockPackage } from './package.store';
import { countEdgesByState, findEdgeSoftware, listEdgeSoftware, shownPackage } from './software-list.read';
import { softwareTag } from './software-tag';

export interface AssignmentDeps {
  readonly db: Database;
  readonly audit: Audit;
}

const attributesOf = (row: store.AssignedRow): SoftwareAttributes => ({
  sw_title: row.title,
  sw_version: row.version,
  sw_size: row.size_bytes,
  sw_checksum: row.sha256,
  sw_checksum_algorithm: 'SHA256',
  sw_tag: softwareTag(row),
});

/** What the audit log says of a package. */
const told = ({ id, title, version }: Pick<store.AssignedRow, 'id' | 'title' | 'version'>) => ({ packageId: id, title, version });

/** Edges that are connected hear of it when the transaction commits, the others when they ask on their return. */
const tellEdges = (tx: Tx, tenantId: string) => signalHubs(tx, { kind: 'tenantAttributes', tenantId, keys: [...softwareAttributeKeys] });

/** All edges of the tenant are to have this package, those that register later as well. Again is no change. Throws `software.not_found`. */
export const assignSoftware =
  ({ db, audit }: AssignmentDeps) =>
  (caller: Caller, packageId: string): Promise<SoftwareAssignment> =>
    db.tenant(caller.tenantId, async (tx) => {
      const { tenantId } = caller;
      await store.lockAssignment(tx, tenantId);
      const row = await lockPackage(tx, packageId);
      if (!row) throw devicesErrors.error('software.not_found', { packageId });
      const before = await store.findAssignment(tx);
      if (before?.id !== packageId) {
        await store.saveAssignment(tx, tenantId, packageId);
        const assigned = (await store.findAssignment(tx)) as store.AssignedRow;
        await store.queueEdges(tx, 'all', attributesOf(assigned));
        await tellEdges(tx, tenantId);
        const change = { ...(before && { before: told(before) }), after: told(row) };
        await audit(tx, { ...who(caller), action: 'software.assigned', subject: packageId, ...change });
      }
      return shownAssignment(tx);
    });

/** The edges keep what they have and stop getting ready for anything else. Nothing happens when nothing is assigned. */
export const unassignSoftware =
  ({ db, audit }: AssignmentDeps) =>
  (caller: Caller): Promise<void> =>
    db.tenant(caller.tenantId, async (tx) => {
      await store.lockAssignment(tx, caller.tenantId);
      const assigned = await store.findAssignment(tx);
      if (!assigned) return;
      await store.endAssignment(tx);
      await store.releaseEdges(tx);
      await tellEdges(tx, caller.tenantId);
      await audit(tx, { ...who(caller), action: 'software.unassigned', subject: assigned.id, before: told(assigned) });
    });

/** In the transaction that makes an edge: it is to have what the tenant's others are to have. */
export async function queueNewEdge(tx: Tx, edge: EdgeIdentity): Promise<void> {
  await store.lockAssignmentShared(tx, edge.tenantId);
  const assigned = await store.findAssignment(tx);
  if (assigned) await store.queueEdges(tx, edge.id, attributesOf(assigned));
}

async function shownAssignment(tx: Tx): Promise<SoftwareAssignment> {
  const row = await store.findAssignment(tx);
  return {
    package: row ? shownPackage(row, true) : null,
    assignedAt: row?.assigned_at.toISOString() ?? null,
    edges: await countEdgesByState(tx),
  };
}

export const readAssignment =
  ({ db }: Pick<AssignmentDeps, 'db'>) =>
  (tenantId: string): Promise<SoftwareAssignment> =>
    db.tenant(tenantId, shownAssignment);

export const readEdgesSoftware =
  ({ db }: Pick<AssignmentDeps, 'db'>) =>
  (tenantId: string, filter: { state?: SoftwareState | 'none' | undefined }, page: PageRequest) =>
    db.tenant(tenantId, (tx) => listEdgeSoftware(tx, filter, page));

/** Throws `edge.not_found`. */
export const readEdgeSoftware =
  ({ db }: Pick<AssignmentDeps, 'db'>) =>
  async (tenantId: string, edgeId: string): Promise<EdgeSoftware> => {
    const found = await db.tenant(tenantId, (tx) => findEdgeSoftware(tx, edgeId));
    if (!found) throw devicesErrors.error('edge.not_found', { edgeId });
    return found;
  };
