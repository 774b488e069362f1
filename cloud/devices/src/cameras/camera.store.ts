import { randomUUID } from 'node:crypto';
import type { Tx } from '@star/platform';
import type { AreasPort, HeldArea } from '../areas';

export interface ReportedChannel {
  readonly channel: number;
  readonly name: string;
  readonly online: boolean;
}

/** A channel of a recorder is always the same camera. */
export async function upsertCameras(
  tx: Tx,
  of: { tenantId: string; edgeId: string; recorderId: string },
  channels: readonly ReportedChannel[],
): Promise<void> {
  if (channels.length === 0) return;
  await tx.execute(
    // Lists go by created_at: a microsecond per channel puts the cameras found together in the recorder's order.
    `INSERT INTO devices.cameras AS c (id, tenant_id, edge_id, recorder_id, channel, reported_name, online, created_at)
     SELECT v.id, $1, $2, $3, v.channel, v.name, v.online, now() + v.channel * interval '1 microsecond'
     FROM unnest($4::uuid[], $5::int[], $6::text[], $7::bool[]) AS v (id, channel, name, online)
     ORDER BY v.channel
     ON CONFLICT ON CONSTRAINT cameras_channel DO UPDATE SET reported_name = excluded.reported_name, online = excluded.online
       WHERE (c.reported_name, c.online) IS DISTINCT FROM (excluded.reported_name, excluded.online)`,
    [
      of.tenantId,
      of.edgeId,
      of.recorderId,
      channels.map(() => randomUUID()),
      channels.map((c) => c.channel),
      channels.map((c) => c.name.replaceAll('\0', '')),
      channels.map((c) => c.online),
    ],
  );
}

/** Marks every camera of a recorder offline whose channel is not among `present`. */
export async function cameraOffline(tx: Tx, recorderId: string, present: readonly number[]): Promise<void> {
  await tx.execute('UPDATE devices.cameras SET online = false WHERE recorder_id = $1 AND online AND NOT (channel = ANY ($2::int[]))', [
    recorderId,
    present,
  ]);
}

/** Changes what is given and leaves the rest; `areaId` null makes it follow its edge. */
export async function updateCamera(
  tx: Tx,
  id: string,
  { name, areaId }: { name?: string | undefined; areaId?: string | null | undefined },
): Promise<void> {
  await tx.execute(
    'UPDATE devices.cameras SET given_name = coalesce($2, given_name), area_id = CASE WHEN $3 THEN $4::uuid ELSE area_id END WHERE id = $1',
    [id, name ?? null, areaId !== undefined, areaId ?? null],
  );
}

/** After an edge has moved: its cameras keep their own building only where that is below the edge's new area. */
export async function followEdgesFrom(tx: Tx, edgeId: string, area: HeldArea, holdArea: AreasPort['holdArea']): Promise<void> {
  const own = await tx.query<{ area_id: string }>(
    'SELECT DISTINCT area_id FROM devices.cameras WHERE edge_id = $1 AND area_id IS NOT NULL ORDER BY area_id',
    [edgeId],
  );
  for (const { area_id } of own) {
    const building = await holdArea(tx, area_id);
    if (building?.path.includes(area.id) && building.id !== area.id) continue;
    await tx.execute('UPDATE devices.cameras SET area_id = NULL WHERE edge_id = $1 AND area_id = $2', [edgeId, area_id]);
  }
}

/** The channels of a recorder that are cameras already. */
export async function knownChannels(tx: Tx, recorderId: string): Promise<ReadonlySet<number>> {
  const rows = await tx.query<{ channel: number }>('SELECT channel FROM devices.cameras WHERE recorder_id = $1', [recorderId]);
  return new Set(rows.map((row) => row.channel));
}

export async function countCameras(tx: Tx, tenantId: string): Promise<number> {
  return Number((await tx.query('SELECT count(*) AS cameras FROM devices.cameras WHERE tenant_id = $1', [tenantId]))[0]?.cameras);
}
