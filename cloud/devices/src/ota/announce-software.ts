import type { Database, Tx, WriteEvents } from '@star/platform';
import { type EdgeSoftwareRow, takeUnannounced, takeUntoldAssignments } from './assignment.store';
import { softwareTag } from './software-tag';

export interface AnnounceDeps {
  readonly db: Database;
  readonly writeEvents: WriteEvents;
}

/** Three events each. */
const atOnce = 500;

/** Says on the bus how far edges are. In the transaction that writes it. */
export const announceSoftware = (tx: Tx, writeEvents: WriteEvents, rows: readonly EdgeSoftwareRow[]): Promise<void> =>
  writeEvents(
    tx,
    rows.map(({ edge_id: edgeId, ...row }) => ({
      topic: 'device.software.changed.v1' as const,
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
    })),
  );

/**
 * After an assignment or its end: one event for the tenant and one per edge, and for those that are to have something the
 * telemetry ThingsBoard logs for it. Apart from the assignment itself, which so takes the same few statements for one edge and for thousands.
 */
export const announceAssignments =
  ({ db, writeEvents }: AnnounceDeps) =>
  async (): Promise<void> => {
    await db.system('software assigned to tenants', async (tx) => {
      const told = await takeUntoldAssignments(tx, atOnce);
      await writeEvents(
        tx,
        told.map(({ tenant_id: tenantId, revision, package_id: packageId, title, version, sha256 }) => ({
          topic: 'software.assigned.v1' as const,
          key: tenantId,
          tenantId,
          message: { revision, packageId: packageId ?? '', title: title ?? '', version: version ?? '', sha256: sha256 ?? '' },
        })),
      );
    });
    for (let taken = atOnce; taken === atOnce; ) {
      taken = await db.system('software assigned', async (tx) => {
        const rows = await takeUnannounced(tx, atOnce);
        await writeEvents(tx, rows.flatMap(telemetryOf));
        await announceSoftware(tx, writeEvents, rows);
        return rows.length;
      });
    }
  };

function telemetryOf({ edge_id: edgeId, ...row }: EdgeSoftwareRow) {
  const { target_title: title, target_version: version, assigned_at } = row;
  if (row.state === null || title === null || version === null || assigned_at === null) return [];
  const queuedAtMs = row.queued_at?.getTime() ?? Date.now();
  const log = (tsMs: number, values: Readonly<Record<string, unknown>>) => ({
    topic: 'device.telemetry.v1' as const,
    key: edgeId,
    tenantId: row.tenant_id,
    occurredAt: new Date(tsMs),
    message: { edgeId, tsMs, valuesJson: JSON.stringify(values) },
  });
  return [
    log(queuedAtMs, {
      target_sw_title: title,
      target_sw_version: version,
      target_sw_tag: softwareTag({ title, version, assigned_at }),
      target_sw_ts: queuedAtMs,
      sw_state: 'QUEUED',
    }),
    // Telemetry is keyed by time: two states in one millisecond would be one.
    log(Math.max(Date.now(), queuedAtMs + 1), { sw_state: 'INITIATED' }),
  ];
}
