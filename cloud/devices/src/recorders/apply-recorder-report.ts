import type { BusRecord, Database, FirstTime, Log } from '@star/platform';
import { type events, recorderReport } from '@stardipper/proto';
import { cameraOffline, upsertCameras } from '../cameras/camera.store';
import { devicesErrors } from '../devices.errors';
import { saveRecorderStatus } from './recorder.store';

export interface ApplyReportDeps {
  readonly db: Database;
  readonly firstTime: FirstTime;
  readonly log: Log;
}

/** The consumer group of devices, in the inbox as well. */
export const devicesGroup = 'devices';

/**
 * A box says what it found behind a recorder. Channels it has seen before keep their camera ids; channels that are
 * gone stay as cameras that are offline, because searches and evidence speak of them.
 */
export const applyRecorderReport =
  ({ db, firstTime, log }: ApplyReportDeps) =>
  async (record: BusRecord): Promise<void> => {
    const { edgeId, recorderId, bodyJson } = record.message as events.DeviceRecorderReported;
    const parsed = recorderReport.safeParse(JSON.parse(bodyJson));
    // The hub checked it; whoever else writes to this topic gets it into the dead letters.
    if (!parsed.success) throw devicesErrors.error('rpc.params_invalid', { recorderId }, parsed.error);
    const report = parsed.data;
    await db.tenant(record.tenantId, async (tx) => {
      if (!(await firstTime(tx, devicesGroup, record.id))) return;
      if (!(await saveRecorderStatus(tx, edgeId, report))) {
        log.info({ edgeId, recorderId }, 'a report about no recorder of this edge was passed over');
        return;
      }
      const channels = new Map(report.channels.map((channel) => [channel.channel, channel]));
      await upsertCameras(tx, { tenantId: record.tenantId, edgeId, recorderId: report.recorderId }, [...channels.values()]);
      // An unreachable recorder lists nothing: that says that its cameras are offline, not that they are gone.
      await cameraOffline(tx, report.recorderId, report.reachable ? [...channels.keys()] : []);
    });
  };
