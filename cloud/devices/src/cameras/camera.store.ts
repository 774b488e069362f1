import { randomUUID } from 'node:crypto';
import type { Tx } from '@star/platform';

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

/** False when the tenant has no such camera. */
export async function renameCamera(tx: Tx, id: string, name: string): Promise<boolean> {
  return (await tx.execute('UPDATE devices.cameras SET given_name = $2 WHERE id = $1', [id, name])) > 0;
}
