import { type Audit, type Caller, type Database, inScope, isUniqueViolation, type WriteEvents, who } from '@star/platform';
import type { Edge, patchEdge } from '@stardipper/proto';
import type { z } from 'zod';
import { type AreasPort, holdEdgeArea } from '../areas';
import { changed } from '../audited-change';
import { followEdgesFrom } from '../cameras/camera.store';
import { devicesErrors } from '../devices.errors';
import { signalHubs } from '../hub/hub-channel.store';
import { afterCursor, type PageRequest } from '../paging';
import { announceEnds } from '../rpc/announce-ends';
import { failRpcsOf } from '../rpc/rpc.store';
import { listRpcs } from '../rpc/rpc-list.read';
import { deleteEdge, edgeExists, lockEdge, updateEdge } from './edge.store';
import { findEdge, listEdgeRefs, listEdges } from './edge-list.read';

export interface EdgesDeps extends AreasPort {
  readonly db: Database;
  readonly writeEvents: WriteEvents;
  readonly audit: Audit;
}

export const readEdges =
  ({ db, areasVisibleTo }: EdgesDeps) =>
  async (caller: Caller, filter: { areaId?: string | undefined }, page: PageRequest) => {
    const scope = await areasVisibleTo(caller, 'edges.read');
    return db.tenant(caller.tenantId, (tx) => listEdges(tx, scope, filter, page));
  };

/** Every edge, online or not, for other services. */
export const readEdgeRefs =
  ({ db }: Pick<EdgesDeps, 'db'>) =>
  (tenantId: string) =>
    db.tenant(tenantId, (tx) => listEdgeRefs(tx, tenantId));

/** Throws `edge.not_found`, also where the caller may not look. */
export const readEdge =
  ({ db, areasVisibleTo }: EdgesDeps) =>
  async (caller: Caller, edgeId: string): Promise<Edge> => {
    const scope = await areasVisibleTo(caller, 'edges.read');
    const edge = await db.tenant(caller.tenantId, (tx) => findEdge(tx, edgeId, scope));
    if (!edge) throw devicesErrors.error('edge.not_found', { edgeId });
    return edge;
  };

/**
 * Another name, another area, or both. Cameras that were set to a building of the area before follow the edge again unless
 * that building is below the new one, too. Throws `edge.not_found`, `edge.name_taken`, `area.unknown`, `area.kind_unfit`.
 */
export const changeEdge =
  (deps: EdgesDeps) =>
  async (caller: Caller, edgeId: string, change: z.infer<typeof patchEdge>): Promise<Edge> => {
    const scope = await deps.areasVisibleTo(caller, 'edges.write');
    try {
      return await deps.db.tenant(caller.tenantId, async (tx) => {
        // The area before the edge, as a merge does: two that lock in two orders would wait for each other.
        const area = change.areaId === undefined ? undefined : await holdEdgeArea(deps, tx, change.areaId);
        if (area && !inScope(scope, area.id)) throw devicesErrors.error('area.unknown', { areaId: change.areaId });
        if (!(await lockEdge(tx, edgeId, scope))) throw devicesErrors.error('edge.not_found', { edgeId });
        const before = (await findEdge(tx, edgeId, 'all')) as Edge;
        await updateEdge(tx, edgeId, { name: change.name, areaId: area?.id });
        if (area) await followEdgesFrom(tx, edgeId, area, deps.holdArea);
        const after = (await findEdge(tx, edgeId, 'all')) as Edge;
        await deps.audit(tx, { ...who(caller), action: 'edge.changed', subject: edgeId, ...changed(before, after, change) });
        return after;
      });
    } catch (error) {
      if (isUniqueViolation(error, 'edges_name')) throw devicesErrors.error('edge.name_taken', { name: change.name });
      throw error;
    }
  };

/** With its credentials, recorders and cameras. Calls it has not answered end as FAILED; its session is closed. Throws `edge.not_found`. */
export const removeEdge =
  ({ db, writeEvents, audit, areasVisibleTo }: EdgesDeps) =>
  async (caller: Caller, edgeId: string): Promise<void> => {
    const scope = await areasVisibleTo(caller, 'edges.write');
    await db.tenant(caller.tenantId, async (tx) => {
      if (!(await lockEdge(tx, edgeId, scope))) throw devicesErrors.error('edge.not_found', { edgeId });
      const failed = await failRpcsOf(tx, edgeId, JSON.stringify({ error: { code: 'edge.deleted' } }));
      await announceEnds(tx, writeEvents, failed);
      const { name, areaId } = (await findEdge(tx, edgeId, 'all')) as Edge;
      await deleteEdge(tx, edgeId);
      await audit(tx, { ...who(caller), action: 'edge.deleted', subject: edgeId, before: { name, areaId } });
      await signalHubs(tx, { kind: 'revoked', edgeId });
    });
  };

/** The calls made to an edge, newest first. Throws `edge.not_found`, `cursor.invalid`. */
export const readEdgeRpcs =
  ({ db, areasVisibleTo }: EdgesDeps) =>
  async (caller: Caller, edgeId: string, page: PageRequest) => {
    const scope = await areasVisibleTo(caller, 'edges.read');
    return db.tenant(caller.tenantId, async (tx) => {
      if (!(await edgeExists(tx, edgeId, scope))) throw devicesErrors.error('edge.not_found', { edgeId });
      return listRpcs(tx, edgeId, page.cursor === undefined ? undefined : afterCursor(page.cursor), page);
    });
  };
