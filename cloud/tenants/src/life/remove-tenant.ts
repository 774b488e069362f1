import { randomUUID } from 'node:crypto';
import { forgetSagasOf, NotYet, type PartReport, removeTenantRows, type SagaDefinition } from '@star/platform';
import type { RemovalReport } from '@stardipper/proto';
import { partsOf } from './parts';
import { partServices, type TenantLifeDeps, type WithSagas } from './ports';
import { dueTenants, lockTenant, writeTenantState } from './tenant-life.store';

export const removalKind = 'tenant.removal';

interface Removal {
  readonly tenantId: string;
  readonly name: string;
  /** Since when nobody of it gets in; absent in removals that an older Star began. */
  readonly closedAt?: string;
}

/** What stays: that there was such a tenant, and who did what, which nobody may take back. */
export const keptTables = ['tenants', 'audit_log', 'audit_chain', 'audit_unlinked', 'audit_checks', 'audit_cuts'];

/** Starts the removal of those whose grace period is over; answers how many. One at a time: a replica may do the same beside it. */
export const startDueRemovals = (deps: WithSagas) => async (): Promise<number> => {
  const due = await deps.database.system('find tenants past their grace period', (tx) => dueTenants(tx, deps.now(), 100));
  let started = 0;
  for (const { tenant_id: tenantId } of due) {
    started += await deps.database.system('remove a tenant', async (tx) => {
      const row = await lockTenant(tx, tenantId);
      // Restored meanwhile, or begun by another replica.
      if (row?.state !== 'deleting' || !row.delete_after || row.delete_after > deps.now()) return 0;
      await writeTenantState(tx, tenantId, { state: 'removing', at: deps.now() });
      await deps.writeEvent(tx, {
        topic: 'tenant.updated.v1',
        key: tenantId,
        tenantId,
        message: { tenantId, name: row.name, state: 'removing' },
      });
      const removal: Removal = { tenantId, name: row.name, closedAt: row.state_since.toISOString() };
      await deps.sagas.start(tx, { id: randomUUID(), kind: removalKind, tenantId, input: removal });
      await deps.audit(tx, { tenantId, username: 'star', action: 'tenant.removing', subject: tenantId });
      return 1;
    });
    await deps.cache.invalidate(tenantId);
  }
  return started;
};

/** What was let in or signed before the tenant was closed has ended by then: an address to upload to lives for 15 minutes. */
const lateMs = 20 * 60_000;
const lookAgainMs = 60_000;
/** Of an export, which ends at its next step when it hears that its tenant is being removed. */
const exportEndsMs = 2_000;

/**
 * No way back: each step is tried until it succeeds. What may still write something of the tenant is waited for, since it
 * would outlive it: whoever was let in before it was closed, and an export that is at work.
 */
export const removalSaga = (
  deps: TenantLifeDeps,
  isExported: (tenantId: string) => Promise<boolean> = async () => false,
): SagaDefinition<Removal> => {
  const { database, identity, objects } = deps;
  const undo = async () => undefined;
  return {
    kind: removalKind,
    forwardOnly: true,
    steps: [
      // First: whatever the others take their time with cannot be read any more.
      { name: 'key', do: ({ tenantId }) => deps.eraseTenantKey(tenantId), undo },
      {
        name: 'services',
        do: async ({ tenantId, name, closedAt = 0 }, context) => {
          const earlyMs = new Date(closedAt).getTime() + lateMs - deps.now().getTime();
          if (earlyMs > 0) throw new NotYet(Math.min(earlyMs, lookAgainMs));
          if (await isExported(tenantId)) throw new NotYet(exportEndsMs);
          return partsOf(deps, context, 'remove', partServices, name);
        },
        undo,
      },
      { name: 'objects', do: ({ tenantId }) => objects.deleteAll(tenantId), undo },
      {
        name: 'users',
        do: async ({ tenantId }, { signal }) => {
          let users = 0;
          for (;;) {
            signal.throwIfAborted();
            const { items } = await identity.listUsers(tenantId, { limit: 100 });
            if (items.length === 0) break;
            for (const { userId } of items) await identity.deleteUser(userId);
            users += items.length;
          }
          // What outlives users: until when their tokens were good.
          await database.tenant(tenantId, (tx) => removeTenantRows(tx, 'identity'));
          return users;
        },
        undo,
      },
      {
        name: 'rows',
        do: ({ tenantId }, { stillMine, sagaId }) =>
          database.tenant(tenantId, async (tx) => {
            await stillMine(tx);
            await forgetSagasOf(tx, tenantId, sagaId);
            return removeTenantRows(tx, 'tenants', keptTables);
          }),
        undo,
      },
      {
        name: 'report',
        do: ({ tenantId, name }, { stillMine, results }) =>
          database.tenant(tenantId, async (tx) => {
            await stillMine(tx);
            const removal = reportOf(results, deps.now());
            await writeTenantState(tx, tenantId, { state: 'removed', at: deps.now(), removal });
            await deps.writeEvent(tx, {
              topic: 'tenant.updated.v1',
              key: tenantId,
              tenantId,
              message: { tenantId, name, state: 'removed' },
            });
            await deps.audit(tx, { tenantId, username: 'star', action: 'tenant.removed', subject: tenantId, details: { ...removal } });
          }),
        undo,
      },
    ],
  };
};

function reportOf(results: Readonly<Record<string, unknown>>, at: Date): RemovalReport {
  const parts = Object.values(results.services as Record<string, PartReport>);
  return {
    removedAt: at.toISOString(),
    rows: Object.assign({}, ...parts.map((part) => part.rows ?? {}), results.rows) as Record<string, number>,
    analytics: Object.assign({}, ...parts.map((part) => part.outside ?? {})) as Record<string, number>,
    objects: Number(results.objects),
    users: Number(results.users),
    kept: keptTables.slice(0, 2).map((table) => `tenants.${table}`),
  };
}
