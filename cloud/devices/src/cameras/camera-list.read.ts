import { type AreaScope, scopeIds, type Tx } from '@star/platform';
import type { Camera, devices } from '@stardipper/proto';
import { z } from 'zod';
import { onlineSql } from '../edges/presence.store';
import { afterCondition, afterCursor, cursorMicros, type PageRequest, pageOf } from '../paging';

interface CameraRow {
  id: string;
  edge_id: string;
  recorder_id: string;
  area_id: string;
  own_area: boolean;
  channel: number;
  name: string;
  online: boolean;
  edge_name: string;
  edge_online: boolean;
  cursor_micros: string;
}

// A camera cannot be online for Star when its edge is not: nobody knows then.
const select = `SELECT c.id, c.edge_id, c.recorder_id, coalesce(c.area_id, e.area_id) AS area_id, c.area_id IS NOT NULL AS own_area, c.channel, coalesce(c.given_name, c.reported_name) AS name,
    c.online AND ${onlineSql('e')} AS online, e.name AS edge_name, ${onlineSql('e')} AS edge_online, ${cursorMicros('c')}
  FROM devices.cameras c JOIN devices.edges e ON e.id = c.edge_id`;

const scoped = (ids: string) => `(${ids}::uuid[] IS NULL OR coalesce(c.area_id, e.area_id) = ANY (${ids}))`;

const camera = (row: CameraRow): Camera => ({
  id: row.id,
  edgeId: row.edge_id,
  recorderId: row.recorder_id,
  areaId: row.area_id,
  ownArea: row.own_area,
  channel: row.channel,
  name: row.name,
  online: row.online,
});

export interface CameraFilter {
  readonly areaId?: string | undefined;
  readonly edgeId?: string | undefined;
}

export async function listCameras(
  tx: Tx,
  scope: AreaScope,
  filter: CameraFilter,
  { cursor, limit }: PageRequest,
): Promise<{ items: Camera[]; nextCursor: string | null }> {
  const after = afterCursor(cursor);
  const rows = await tx.query<CameraRow>(
    `${select} WHERE c.tenant_id = platform.current_tenant() AND ${afterCondition('c', '$1', '$2')} AND ($3::uuid IS NULL OR coalesce(c.area_id, e.area_id) = $3)
       AND ($4::uuid IS NULL OR c.edge_id = $4) AND ${scoped('$6')}
     ORDER BY c.created_at, c.id LIMIT $5`,
    [after.micros, after.id, filter.areaId ?? null, filter.edgeId ?? null, limit + 1, scopeIds(scope)],
  );
  return pageOf(rows, limit, camera);
}

export async function findCamera(tx: Tx, id: string, scope: AreaScope): Promise<Camera | undefined> {
  const [row] = await tx.query<CameraRow>(`${select} WHERE c.id = $1 AND ${scoped('$2')}`, [id, scopeIds(scope)]);
  return row && camera(row);
}

/** For other services: all cameras, or those of `ids` that exist; ids that are no UUIDs are nobody's. */
export async function cameraRefs(tx: Tx, ids: readonly string[]): Promise<devices.CameraRef[]> {
  const rows = await tx.query<CameraRow>(
    `${select} WHERE c.tenant_id = platform.current_tenant() AND ($1::uuid[] IS NULL OR c.id = ANY ($1::uuid[])) ORDER BY c.created_at, c.id`,
    [ids.length === 0 ? null : ids.filter((id) => z.uuid().safeParse(id).success)],
  );
  return rows.map((row) => ({
    cameraId: row.id,
    edgeId: row.edge_id,
    recorderId: row.recorder_id,
    channel: row.channel,
    name: row.name,
    areaId: row.area_id,
    online: row.online,
    edgeName: row.edge_name,
    edgeOnline: row.edge_online,
  }));
}

/** Where an edge stands; it stays there until the transaction ends. */
export async function areaOfEdge(tx: Tx, edgeId: string): Promise<string | undefined> {
  return (await tx.query<{ area_id: string }>('SELECT area_id FROM devices.edges WHERE id = $1 FOR SHARE', [edgeId]))[0]?.area_id;
}
