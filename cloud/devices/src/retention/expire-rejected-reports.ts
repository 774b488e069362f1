import { type Database, keptFrom, type Retention, type SweepTenant } from '@star/platform';
import { deleteRejectedReports } from '../telemetry/rejected-report.store';

const atOnce = 1000;

/** Removes what boxes sent and nobody could read by when it last came. Of all that boxes tell, only this is kept here as they sent it. */
export const expireRejectedReports =
  ({ db, retention }: { readonly db: Database; readonly retention: Retention }, now: () => Date): SweepTenant =>
  async (tenantId, runId, signal) => {
    for (let more = true; more && !signal.aborted; ) {
      const { telemetry, version: settingsVersion } = await retention.daysOf(tenantId);
      const at = now();
      const before = keptFrom(at, telemetry);
      more = await db.tenant(tenantId, async (tx) => {
        const gone = await deleteRejectedReports(tx, tenantId, before, atOnce);
        await retention.record(tx, { tenantId, runId, kind: 'rejectedReports', at, before, settingsVersion, ...gone });
        return gone.items === atOnce;
      });
    }
  };
