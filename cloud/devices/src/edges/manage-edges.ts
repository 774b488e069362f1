import { type Database, isUniqueViolation, type WriteEvent } from '@star/platform';
import type { Edge } from '@stardipper/proto';
import { devicesErrors } from '../devices.errors';
import { signalHubs } from '../hub/hub-channel.store';
import { afterCursor, type PageRequest } from '../paging';
import { announceEnd } from '../rpc/announce-end';
import { failRpcsOf } from '../rpc/rpc.store';
import { listRpcs } from '../rpc/rpc-list.read';
import { deleteEdge, edgeExists, lockEdge, renameEdge } from './edge.store';
import { findEdge, listEdgeRefs, listEdges } from './edge-list.read';

export interface EdgesDeps {
  readonly db: Database;
  readonly writeEvent: WriteEvent;
}

export const readEdges =
  ({ db }: EdgesDeps) =>
  (tenantId: string, filter: { communityId?: string | undefined }, page: PageRequest) =>
    db.tenant(tenantId, (tx) => listEdges(tx, filter, page));

/** Every edge, online or not, for other services. */
export const readEdgeRefs =
  ({ db }: Pick<EdgesDeps, 'db'>) =>
  (tenantId: string) =>
    db.tenant(tenantId, (tx) => listEdgeRefs(tx, tenantId));

/** Throws `edge.not_found`. */
export const readEdge =
  ({ db }: EdgesDeps) =>
  async (tenantId: string, edgeId: string): Promise<Edge> => {
    const edge = await db.tenant(tenantId, (tx) => findEdge(tx, edgeId));
    if (!edge) throw devicesErrors.error('edge.not_found', { edgeId });
    return edge;
  };

/** Throws `edge.not_found`, `edge.name_taken`. */
export const changeEdgeName =
  ({ db }: EdgesDeps) =>
  async (tenantId: string, edgeId: string, name: string): Promise<Edge> => {
    try {
      return await db.tenant(tenantId, async (tx) => {
        const edge = (await renameEdge(tx, edgeId, name)) ? await findEdge(tx, edgeId) : undefined;
        if (!edge) throw devicesErrors.error('edge.not_found', { edgeId });
        return edge;
      });
    } catch (error) {
      if (isUniqueViolation(error, 'edges_name')) throw devicesErrors.error('edge.name_taken', { name });
      throw error;
    }
  };

/** With its credentials, recorders and cameras. Calls it has not answered end as FAILED; its session is closed. Throws `edge.not_found`. */
export const removeEdge =
  ({ db, writeEvent }: EdgesDeps) =>
  async (tenantId: string, edgeId: string): Promise<void> => {
    await db.tenant(tenantId, async (tx) => {
      if (!(await lockEdge(tx, edgeId))) throw devicesErrors.error('edge.not_found', { edgeId });
      const failed = await failRpcsOf(tx, edgeId, JSON.stringify({ error: { code: 'edge.deleted' } }));
      for (const rpc of failed) await announceEnd(tx, writeEvent, rpc);
      await deleteEdge(tx, edgeId);
      await signalHubs(tx, { kind: 'revoked', edgeId });
    });
  };

/** The calls made to an edge, newest first. Throws `edge.not_found`, `cursor.invalid`. */
export const readEdgeRpcs =
  ({ db }: EdgesDeps) =>
  (tenantId: string, edgeId: string, page: PageRequest) =>
    db.tenant(tenantId, async (tx) => {
      if (!(await edgeExists(tx, edgeId))) throw devicesErrors.error('edge.not_found', { edgeId });
      return listRpcs(tx, edgeId, page.cursor === undefined ? undefined : afterCursor(page.cursor), page);
    });
