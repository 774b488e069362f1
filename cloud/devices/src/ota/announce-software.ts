import type { Database, Tx, WriteEvent } from '@star/platform';
import { type EdgeSoftwareRow, takeUnannounced } from './assignment.store';
import { softwareTag } from './software-tag';

export interface AnnounceDeps {
  readonly db: Database;
  readonly writeEvent: WriteEvent;
}

const atOnce = 200;

/** Says on the bus how far an edge is. In the transaction that writes it. */
export const announceSoftware = (tx: Tx, writeEvent: WriteEvent, { edge_id: edgeId, ...row }: EdgeSoftwareRow): Promise<void> =>
  writeEvent(tx, {
    topic: 'device.software.changed.v1',
    key: edgeId,
    tenantId: row.tenant_id,
    message: {
      edgeId,
      state: row.state ?? '',
      targetTitle: row.target_title ?? '',
      targetVersion: row.target_version ?? '',
      currentTitle: row.current_title ?? '',
      currentVersion: row.current_version ?? '',
      error: row.error ?? '',
      atMs: row.changed_at.getTime(),
    },
  });

/**
 * After an assignment or its end: one event per edge, and for those that are to have something the telemetry ThingsBoard
 * logs for it. Apart from the assignment itself, which so takes the same few statements for one edge and for thousands.
 */
export const announceAssignments =
  ({ db, writeEvent }: AnnounceDeps) =>
  async (): Promise<void> => {
    for (let taken = atOnce; taken === atOnce; ) {
      taken = await db.system('software assigned', async (tx) => {
        const rows = await takeUnannounced(tx, atOnce);
        for (const row of rows) {
          if (row.state !== null) await logTelemetry(tx, writeEvent, row);
          await announceSoftware(tx, writeEvent, row);
        }
        return rows.length;
      });
    }
  };

async function logTelemetry(tx: Tx, writeEvent: WriteEvent, { edge_id: edgeId, ...row }: EdgeSoftwareRow): Promise<void> {
  const { target_title: title, target_version: version, assigned_at } = row;
  if (title === null || version === null || assigned_at === null) return;
  const queuedAtMs = row.queued_at?.getTime() ?? Date.now();
  const log = (tsMs: number, values: Readonly<Record<string, unknown>>) =>
    writeEvent(tx, {
      topic: 'device.telemetry.v1',
      key: edgeId,
      tenantId: row.tenant_id,
      occurredAt: new Date(tsMs),
      message: { edgeId, tsMs, valuesJson: JSON.stringify(values) },
    });
  await log(queuedAtMs, {
    target_sw_title: title,
    target_sw_version: version,
    target_sw_tag: softwareTag({ title, version, assigned_at }),
    target_sw_ts: queuedAtMs,
    sw_state: 'QUEUED',
  });
  // Telemetry is keyed by time: two states in one millisecond would be one.
  await log(Math.max(Date.now(), queuedAtMs + 1), { sw_state: 'INITIATED' });
}
