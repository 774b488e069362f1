import { type AreaScope, scopeIds, type Tx } from '@star/platform';
import type { Edge } from '@stardipper/proto';
import { afterCondition, afterCursor, cursorMicros, type PageRequest, pageOf } from '../paging';
import { onlineSql } from './presence.store';

interface EdgeRow {
  id: string;
  name: string;
  area_id: string;
  online: boolean;
  last_seen_at: Date | null;
  created_at: Date;
  cursor_micros: string;
}

const select = `SELECT e.id, e.name, e.area_id, ${onlineSql('e')} AS online, e.last_seen_at, e.created_at, ${cursorMicros('e')} FROM devices.edges e`;

const edge = (row: EdgeRow): Edge => ({
  id: row.id,
  name: row.name,
  areaId: row.area_id,
  online: row.online,
  lastSeenAt: row.last_seen_at?.toISOString() ?? null,
  createdAt: row.created_at.toISOString(),
});

export async function listEdges(
  tx: Tx,
  scope: AreaScope,
  filter: { areaId?: string | undefined },
  { cursor, limit }: PageRequest,
): Promise<{ items: Edge[]; nextCursor: string | null }> {
  const after = afterCursor(cursor);
  const rows = await tx.query<EdgeRow>(
    `${select} WHERE e.tenant_id = platform.current_tenant() AND ${afterCondition('e', '$1', '$2')} AND ($3::uuid IS NULL OR e.area_id = $3) AND ($4::uuid[] IS NULL OR e.area_id = ANY ($4))
     ORDER BY e.created_at, e.id LIMIT $5`,
    [after.micros, after.id, filter.areaId ?? null, scopeIds(scope), limit + 1],
  );
  return pageOf(rows, limit, edge);
}

export async function findEdge(tx: Tx, id: string, scope: AreaScope): Promise<Edge | undefined> {
  const [row] = await tx.query<EdgeRow>(`${select} WHERE e.id = $1 AND ($2::uuid[] IS NULL OR e.area_id = ANY ($2))`, [
    id,
    scopeIds(scope),
  ]);
  return row && edge(row);
}
