import type { Tx } from '@star/platform';
import type { Edge } from '@stardipper/proto';
import { afterCondition, afterCursor, cursorMicros, type PageRequest, pageOf } from '../paging';
import { onlineSql } from './presence.store';

interface EdgeRow {
  id: string;
  name: string;
  community_id: string;
  online: boolean;
  last_seen_at: Date | null;
  created_at: Date;
  cursor_micros: string;
}

const select = `SELECT e.id, e.name, e.community_id, ${onlineSql('e')} AS online, e.last_seen_at, e.created_at, ${cursorMicros('e')} FROM devices.edges e`;

const edge = (row: EdgeRow): Edge => ({
  id: row.id,
  name: row.name,
  communityId: row.community_id,
  online: row.online,
  lastSeenAt: row.last_seen_at?.toISOString() ?? null,
  createdAt: row.created_at.toISOString(),
});

export async function listEdges(
  tx: Tx,
  filter: { communityId?: string | undefined },
  { cursor, limit }: PageRequest,
): Promise<{ items: Edge[]; nextCursor: string | null }> {
  const after = afterCursor(cursor);
  const rows = await tx.query<EdgeRow>(
    `${select} WHERE ${afterCondition('e', '$1', '$2')} AND ($3::uuid IS NULL OR e.community_id = $3) ORDER BY e.created_at, e.id LIMIT $4`,
    [after.micros, after.id, filter.communityId ?? null, limit + 1],
  );
  return pageOf(rows, limit, edge);
}

export async function findEdge(tx: Tx, id: string): Promise<Edge | undefined> {
  const [row] = await tx.query<EdgeRow>(`${select} WHERE e.id = $1`, [id]);
  return row && edge(row);
}

/** Every edge of the tenant by its name, as other services know them. */
export const listEdgeRefs = (tx: Tx, tenantId: string): Promise<{ edgeId: string; edgeName: string }[]> =>
  tx.query('SELECT id AS "edgeId", name AS "edgeName" FROM devices.edges WHERE tenant_id = $1 ORDER BY name, id', [tenantId]);
