import type { Database, Objects, Retention, SweepTenant } from '@star/platform';
import { objectKeys } from '@stardipper/proto';

const keptMs = 86_400_000;

export interface ExpireExportsDeps {
  readonly database: Database;
  readonly objects: Pick<Objects, 'list' | 'delete'>;
  readonly retention: Pick<Retention, 'record'>;
  readonly now: () => Date;
}

/**
 * Removes the archives of exports a day after they were made, whatever the tenant's settings: what is in them would
 * outlive its own time, and the people it shows.
 */
export const expireExports =
  ({ database, objects, retention, now }: ExpireExportsDeps): SweepTenant =>
  async (tenantId, runId, signal) => {
    const at = now();
    const before = new Date(at.getTime() - keptMs);
    for await (const { key, sizeBytes, putAt } of objects.list(tenantId, 'exports')) {
      if (signal.aborted) return;
      if (putAt >= before || key !== objectKeys.exportArchive(tenantId, key.split('/')[2] ?? '')) continue;
      const removal = { tenantId, runId, kind: 'exports', at, before, settingsVersion: null, items: 1, bytes: sizeBytes } as const;
      await database.tenant(tenantId, (tx) => retention.record(tx, removal));
      await objects.delete(tenantId, key);
    }
  };
