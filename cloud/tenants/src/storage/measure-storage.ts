import { type Database, keepSweepingTenants, type Log, type Objects, type SweepTenant } from '@star/platform';
import { createRetention } from '../retention/create-retention';
import { writeStorageUsage } from './storage.store';

const hourMs = 3_600_000;

export interface MeasureStorageDeps {
  readonly database: Database;
  readonly objects: Pick<Objects, 'list'>;
  readonly now: () => Date;
  readonly log?: Log;
}

/** Counts everything a tenant has in object storage: looks at every object, so it is done in the background. */
export const measureStorage =
  ({ database, objects, now }: Omit<MeasureStorageDeps, 'log'>): SweepTenant =>
  async (tenantId, _runId, signal) => {
    const measured_at = now();
    const sum = { bytes: 0, objects: 0 };
    for await (const { sizeBytes } of objects.list(tenantId)) {
      if (signal.aborted) return;
      sum.bytes += sizeBytes;
      sum.objects += 1;
    }
    await database.tenant(tenantId, (tx) => writeStorageUsage(tx, tenantId, { ...sum, measured_at }));
  };

/** Every hour, in one replica, until `signal` aborts. */
export const keepMeasuringStorage = (deps: MeasureStorageDeps, signal: AbortSignal): Promise<void> =>
  keepSweepingTenants(
    {
      retention: createRetention(deps),
      sweepTenant: measureStorage(deps),
      onError: (error) => deps.log?.warn({ err: error }, 'what a tenant has in storage could not be counted; tried again'),
      database: deps.database,
      service: 'storage',
      everyMs: hourMs,
    },
    signal,
  );
