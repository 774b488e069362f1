import { randomUUID } from 'node:crypto';
import { type Caller, identityErrors, type SagaDefinition, type StepContext, who } from '@star/platform';
import { type CreateTenant, defaultTenantSettings, objectKeys, type TenantDetail } from '@stardipper/proto';
import { deleteSettings, insertFirstSettings } from '../settings/settings.store';
import { tenantError } from '../tenants.errors';
import { partsOf } from './parts';
import type { Opening, PartService, TenantLifeDeps, WithSagas } from './ports';
import { readTenant } from './read-tenants';
import { deleteOpeningTenant, findTenant, forgetParts, insertTenantRow, lockTenant, writeTenantState } from './tenant-life.store';

export const openingKind = 'tenant.opening';

/**
 * Starts the saga that opens a tenant and answers at once; `job` tells how far it has come. Asked again with the same
 * id and name it answers what is there. Throws `user.username_taken`, `tenant.id_taken`, and `tenant.wrong_state` while an
 * earlier opening with this id is still being undone.
 */
export const openTenant =
  (deps: WithSagas) =>
  async (caller: Caller, input: CreateTenant): Promise<TenantDetail> => {
    const tenantId = input.id ?? randomUUID();
    await startOpening(deps, who(caller), { ...input, id: tenantId });
    return readTenant(deps)(tenantId);
  };

/** As `openTenant`, by whoever it is: `tenantId` says in whose audit log. */
export async function startOpening(
  deps: WithSagas,
  { tenantId: log, ...openedBy }: { readonly tenantId: string } & Opening['openedBy'],
  { id: tenantId, name, firstArea, admin: { password, ...admin } }: CreateTenant & { readonly id: string },
): Promise<void> {
  // In this order: an administrator whom another asker's saga has made meanwhile comes with a tenant that is there.
  const taken = await deps.identity.findUser({ username: admin.username });
  const known = await deps.database.system('open a tenant', (tx) => findTenant(tx, tenantId));
  if (taken && !known) throw identityErrors.error('user.username_taken', { username: admin.username });
  await deps.database.system('open a tenant', async (tx) => {
    const inserted = !known && (await insertTenantRow(tx, { tenantId, name, kind: 'customer', state: 'opening' }));
    if (!inserted) {
      if ((await findTenant(tx, tenantId))?.name !== name) throw tenantError('tenant.id_taken', { tenantId });
      return;
    }
    // Its last undo may be repeated after a crash, and would take away what is begun here.
    const before = await deps.sagas.latest(tx, tenantId, openingKind);
    if (before && !before.endedAt) throw tenantError('tenant.wrong_state', { state: 'opening' });
    const opening: Opening = { tenantId, name, areaId: randomUUID(), areaName: firstArea ?? name, admin, openedBy };
    await deps.sagas.start(tx, { id: randomUUID(), kind: openingKind, tenantId, input: opening, secret: password });
    await deps.audit(tx, {
      tenantId: log,
      ...openedBy,
      action: 'tenant.opening',
      subject: tenantId,
      details: { name, admin: admin.username },
    });
  });
}

/** What an opened tenant consists of. Whatever fails, nothing of it is left. */
export const openingSaga = (deps: TenantLifeDeps): SagaDefinition<Opening> => {
  const { database, identity, objects, areas } = deps;
  const part = (service: PartService) => ({
    do: (opening: Opening, context: StepContext) => partsOf(deps, context, 'prepare', [service], opening.name),
    undo: async (opening: Opening, context: StepContext) => {
      await partsOf(deps, context, 'discard', [service], opening.name);
    },
  });
  return {
    kind: openingKind,
    steps: [
      {
        name: 'tenant',
        do: ({ tenantId, name }, { stillMine }) =>
          database.tenant(tenantId, async (tx) => {
            await stillMine(tx);
            await insertTenantRow(tx, { tenantId, name, kind: 'customer', state: 'opening' });
          }),
        undo: ({ tenantId }, { stillMine, sagaId }) =>
          database.tenant(tenantId, async (tx) => {
            await stillMine(tx);
            await forgetParts(tx, sagaId);
            await deleteOpeningTenant(tx, tenantId);
          }),
      },
      {
        name: 'administrator',
        do: ({ tenantId, admin }, { secret }) =>
          identity.createUser({
            tenantId,
            ...admin,
            roles: ['tenant-admin', 'operator'],
            ...(secret === undefined ? {} : { password: secret }),
          }),
        undo: async ({ tenantId, admin }) => {
          // By name: it may have been made without our having heard its id.
          const user = await identity.findUser({ username: admin.username });
          if (user?.tenantId === tenantId) await identity.deleteUser(user.userId);
        },
      },
      {
        // Limits and retention among them.
        name: 'settings',
        do: ({ tenantId, openedBy }, { stillMine }) =>
          database.tenant(tenantId, async (tx) => {
            await stillMine(tx);
            await insertFirstSettings(tx, tenantId, defaultTenantSettings, openedBy.username);
          }),
        undo: ({ tenantId }, { stillMine }) =>
          database.tenant(tenantId, async (tx) => {
            await stillMine(tx);
            await deleteSettings(tx, tenantId);
          }),
      },
      {
        name: 'storage',
        do: ({ tenantId, name }) =>
          objects.put(tenantId, objectKeys.tenant(tenantId), Buffer.from(JSON.stringify({ tenantId, name })), 'application/json'),
        undo: async ({ tenantId }) => {
          await objects.deleteAll(tenantId);
        },
      },
      { name: 'iot-customer', ...part('devices') },
      { name: 'face-library', ...part('search') },
      {
        name: 'first-area',
        do: ({ tenantId, areaId, areaName }, { stillMine }) =>
          database.tenant(tenantId, async (tx) => {
            await stillMine(tx);
            await areas.createFirstArea(tx, { tenantId, areaId, name: areaName });
          }),
        undo: ({ tenantId, areaId }, { stillMine }) =>
          database.tenant(tenantId, async (tx) => {
            await stillMine(tx);
            await areas.removeFirstArea(tx, areaId);
          }),
      },
      // However often it dies or fails behind its commit: the tenant is open then, and in use, and nothing of it may be undone.
      { name: 'enable', maxAttempts: Number.POSITIVE_INFINITY, do: enable(deps), undo: async () => undefined },
    ],
  };
};

/** One transaction, and the last step: once it is committed the tenant is open, and the saga cannot fail any more. */
const enable =
  (deps: TenantLifeDeps) =>
  async ({ tenantId, name, openedBy }: Opening, { stillMine, sagaId }: StepContext): Promise<void> => {
    await deps.database.tenant(tenantId, async (tx) => {
      await stillMine(tx);
      const row = await lockTenant(tx, tenantId);
      if (row?.state !== 'opening') return;
      await writeTenantState(tx, tenantId, { state: 'enabled', at: deps.now() });
      await forgetParts(tx, sagaId);
      await deps.writeEvent(tx, { topic: 'tenant.created.v1', key: tenantId, tenantId, message: { tenantId, name } });
      await deps.writeEvent(tx, { topic: 'tenant.updated.v1', key: tenantId, tenantId, message: { tenantId, name, state: 'enabled' } });
      await deps.audit(tx, { tenantId, ...openedBy, action: 'tenant.created', subject: tenantId });
    });
    await deps.cache.invalidate(tenantId);
  };
