import { type Caller, type Tx, who } from '@star/platform';
import type { TenantDetail, TenantState } from '@stardipper/proto';
import { tenantError } from '../tenants.errors';
import type { WithSagas } from './ports';
import { readTenant } from './read-tenants';
import { startDueRemovals } from './remove-tenant';
import { lockTenant, writeTenantState } from './tenant-life.store';

const dayMs = 86_400_000;

interface Change {
  readonly from: readonly TenantState[];
  readonly to: TenantState;
  readonly action: string;
  readonly reason?: string;
  readonly deleteAfter?: Date;
}

/** Asked again it changes nothing. Throws `tenant.not_found`, `tenant.is_platform`, `tenant.wrong_state`. */
async function change(deps: WithSagas, caller: Caller, tenantId: string, to: Change): Promise<TenantDetail> {
  await deps.database.system(to.action, (tx) => changeIn(deps, tx, caller, tenantId, to));
  await deps.cache.invalidate(tenantId);
  return readTenant(deps)(tenantId);
}

async function changeIn(deps: WithSagas, tx: Tx, caller: Caller, tenantId: string, { from, to, action, reason, deleteAfter }: Change) {
  const row = await lockTenant(tx, tenantId);
  if (!row) throw tenantError('tenant.not_found', { tenantId });
  if (row.kind === 'platform') throw tenantError('tenant.is_platform');
  if (row.state === to) return;
  if (!from.includes(row.state)) throw tenantError('tenant.wrong_state', { state: row.state });
  await writeTenantState(tx, tenantId, { state: to, reason: reason ?? null, deleteAfter: deleteAfter ?? null, at: deps.now() });
  await deps.writeEvent(tx, { topic: 'tenant.updated.v1', key: tenantId, tenantId, message: { tenantId, name: row.name, state: to } });
  const after = { state: to, ...(deleteAfter ? { deleteAfter } : {}) };
  const told = { before: { state: row.state }, after, ...(reason ? { reason } : {}) };
  // In the provider's log, and in the tenant's own, whose people will ask why nothing works.
  for (const log of new Set([caller.tenantId, tenantId]))
    await deps.audit(tx, { ...who(caller), tenantId: log, action, subject: tenantId, ...told });
}

export const enableTenant = (deps: WithSagas) => (caller: Caller, tenantId: string) =>
  change(deps, caller, tenantId, { from: ['disabled'], to: 'enabled', action: 'tenant.enabled' });

/** Nobody of it gets in, its boxes are sent away and keep what they have, its searches stop. Nothing is lost. */
export const disableTenant = (deps: WithSagas) => (caller: Caller, tenantId: string, input: { reason: string }) =>
  change(deps, caller, tenantId, { from: ['enabled'], to: 'disabled', action: 'tenant.disabled', reason: input.reason });

/** As disabled, and removed for good when the grace period is over. */
export const deleteTenant =
  (deps: WithSagas) =>
  async (caller: Caller, tenantId: string, input: { graceDays: number }): Promise<TenantDetail> => {
    const deleteAfter = new Date(deps.now().getTime() + input.graceDays * dayMs);
    const deleted = await change(deps, caller, tenantId, {
      from: ['enabled', 'disabled'],
      to: 'deleting',
      action: 'tenant.deleted',
      deleteAfter,
    });
    if (input.graceDays > 0) return deleted;
    await startDueRemovals(deps)();
    return readTenant(deps)(tenantId);
  };

/** Within the grace period. It comes back disabled: somebody decides when it goes on. */
export const restoreTenant = (deps: WithSagas) => (caller: Caller, tenantId: string) =>
  change(deps, caller, tenantId, { from: ['deleting'], to: 'disabled', action: 'tenant.restored' });
