import { setTimeout as sleep } from 'node:timers/promises';
import { createLeases, createSagas, type Log, type SagaDefinition, type Sagas, type SagasOptions, type SecretBox } from '@star/platform';
import { changeSettings } from '../settings/change-settings';
import { readSettings, readSettingsHistory } from '../settings/read-settings';
import { keepMeasuringStorage } from '../storage/measure-storage';
import { deleteTenant, disableTenant, enableTenant, restoreTenant } from './change-state';
import { exportKind, exportSaga, exportTenant, readExport } from './export-tenant';
import { openFirstTenant } from './first-tenant';
import { openingSaga, openTenant } from './open-tenant';
import { finishPart } from './parts';
import { openPlatformTenant } from './platform-tenant';
import type { TenantLifeDeps, WithSagas } from './ports';
import { readTenant, readTenants } from './read-tenants';
import { removalSaga, startDueRemovals } from './remove-tenant';

export interface TenantLifeOptions extends TenantLifeDeps {
  /** Keeps administrators' first passwords until their tenants are open. */
  readonly secrets: SecretBox;
  readonly log?: Log;
  /** Between two looks for tenants past their grace period; a minute unless told. */
  readonly sweepEveryMs?: number;
  /** Of the sagas. */
  readonly pace?: Pick<SagasOptions, 'leaseMs' | 'firstPauseMs' | 'longestPauseMs' | 'atOnce'>;
}

/** Opening, changing, exporting and removing tenants, and their settings. Nothing runs before `run`. */
export function createTenantLife(options: TenantLifeOptions) {
  const { database, log } = options;
  const isExported = async (tenantId: string): Promise<boolean> => {
    const last = await database.tenant(tenantId, (tx) => sagas.latest(tx, tenantId, exportKind));
    return last !== undefined && last.endedAt === null;
  };
  const sagas: Sagas = createSagas({
    db: database,
    // Sagas differ in what they are given; the runner hands each only its own.
    definitions: [openingSaga(options), exportSaga(options), removalSaga(options, isExported)] as unknown as SagaDefinition[],
    secrets: options.secrets,
    ...(log && { log }),
    ...options.pace,
  });
  const deps: WithSagas = { ...options, sagas };
  const sweep = startDueRemovals(deps);
  const keepSweeping = (signal: AbortSignal) =>
    createLeases(database).lead(
      'tenants.removals',
      60_000,
      async (_fence, leased) => {
        while (!leased.aborted) {
          await sweep();
          await sleep(options.sweepEveryMs ?? 60_000, undefined, { signal: leased }).catch(() => undefined);
        }
      },
      signal,
      (error) => log?.warn({ err: error }, 'tenants past their grace period could not be looked up; tried again'),
    );
  return {
    openTenant: openTenant(deps),
    openPlatformTenant: openPlatformTenant(deps),
    openFirstTenant: openFirstTenant(deps),
    readTenants: readTenants(deps),
    readTenant: readTenant(deps),
    enableTenant: enableTenant(deps),
    disableTenant: disableTenant(deps),
    deleteTenant: deleteTenant(deps),
    restoreTenant: restoreTenant(deps),
    exportTenant: exportTenant(deps),
    readExport: readExport(deps),
    finishPart: finishPart(deps),
    startDueRemovals: sweep,
    /** A second word of every change, on the bus: whoever made it may have died before the cache was told. */
    forgetCached: ({ tenantId }: { readonly tenantId: string }) => options.cache.invalidate(tenantId),
    readSettings: readSettings(deps),
    readSettingsHistory: readSettingsHistory(deps),
    changeSettings: changeSettings(deps),
    sagas,
    /** Works on sagas, looks for due removals and counts what tenants store, until the signal aborts. */
    run: async (signal: AbortSignal): Promise<void> => {
      await Promise.all([sagas.run(signal), keepSweeping(signal), keepMeasuringStorage(options, signal)]);
    },
  };
}
export type TenantLife = ReturnType<typeof createTenantLife>;
