import { keepSweepingTenants, type SweepTenant, type SweepTenantsDeps } from '@star/platform';
import { type ExpireAuditDeps, expireAudit } from './expire-audit';
import { type ExpireExportsDeps, expireExports } from './expire-exports';
import { deleteRemovals } from './removal.store';

const hourMs = 3_600_000;
const reportsKeptMs = 3 * 365 * 24 * hourMs;

type Deps = ExpireAuditDeps & ExpireExportsDeps;

/** The audit log, exports, and the reports of what was removed, which are kept for three years. */
const expireOfTenants = (deps: Deps): SweepTenant => {
  const [archives, audit] = [expireExports(deps), expireAudit(deps)];
  return async (tenantId, runId, signal) => {
    // A log that was tampered with must not keep archives alive.
    await audit(tenantId, runId, signal).finally(() => archives(tenantId, runId, signal));
    const before = new Date(deps.now().getTime() - reportsKeptMs);
    await deps.database.tenant(tenantId, (tx) => deleteRemovals(tx, tenantId, before));
  };
};

/** What a sweep of the tenants' service needs. */
export const tenantsSweep = (deps: Deps): SweepTenantsDeps => ({
  retention: deps.retention,
  sweepTenant: expireOfTenants(deps),
  onError: (error) => deps.log?.warn({ err: error }, 'exports or lines of the audit log past their time could not be removed; tried again'),
});

/** Every hour, in one replica, until `signal` aborts. */
export const keepRetention = (deps: Deps, signal: AbortSignal): Promise<void> =>
  keepSweepingTenants({ ...tenantsSweep(deps), database: deps.database, service: 'tenants', everyMs: hourMs }, signal);
