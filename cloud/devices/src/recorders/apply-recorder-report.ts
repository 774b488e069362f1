import { type BusRecord, type Database, type FirstTime, type LimitsOf, type Log, roomUnderQuota } from '@star/platform';
import { type events, recorderReport } from '@stardipper/proto';
import { cameraOffline, countCameras, knownChannels, upsertCameras } from '../cameras/camera.store';
import { devicesErrors } from '../devices.errors';
import { noteRefusedCameras, saveRecorderStatus } from './recorder.store';

export interface ApplyReportDeps {
  readonly db: Database;
  readonly firstTime: FirstTime;
  readonly log: Log;
  readonly limitsOf: LimitsOf;
}

/** The consumer group of devices, in the inbox as well. */
export const devicesGroup = 'devices';

/**
 * A box says what it found behind a recorder. Channels it has seen before keep their camera ids; channels that are
 * gone stay as cameras that are offline, because searches and evidence speak of them. New channels beyond the tenant's quota
 * become no cameras; the recorder says how many, and the next report tries again.
 */
export const applyRecorderReport =
  ({ db, firstTime, log, limitsOf }: ApplyReportDeps) =>
  async (record: BusRecord): Promise<void> => {
    const { edgeId, recorderId, bodyJson } = record.message as events.DeviceRecorderReported;
    const parsed = recorderReport.safeParse(JSON.parse(bodyJson));
    // The hub checked it; whoever else writes to this topic gets it into the dead letters.
    if (!parsed.success) throw devicesErrors.error('rpc.params_invalid', { recorderId }, parsed.error);
    const report = parsed.data;
    const { cameras: limit } = await limitsOf(record.tenantId);
    await db.tenant(record.tenantId, async (tx) => {
      if (!(await firstTime(tx, devicesGroup, record.id))) return;
      if (!(await saveRecorderStatus(tx, edgeId, report))) {
        log.info({ edgeId, recorderId }, 'a report about no recorder of this edge was passed over');
        return;
      }
      const channels = new Map(report.channels.map((channel) => [channel.channel, channel]));
      const known = await knownChannels(tx, report.recorderId);
      const fresh = [...channels.keys()].filter((channel) => !known.has(channel)).sort((a, b) => a - b);
      const count = () => countCameras(tx, record.tenantId);
      const room = fresh.length === 0 ? 0 : await roomUnderQuota(tx, record.tenantId, 'cameras', limit, count);
      const refused = new Set(fresh.slice(room));
      if (report.reachable) await noteRefusedCameras(tx, report.recorderId, refused.size);
      const cameras = [...channels.values()].filter(({ channel }) => !refused.has(channel));
      await upsertCameras(tx, { tenantId: record.tenantId, edgeId, recorderId: report.recorderId }, cameras);
      // An unreachable recorder lists nothing: that says that its cameras are offline, not that they are gone.
      await cameraOffline(tx, report.recorderId, report.reachable ? [...channels.keys()] : []);
    });
  };
