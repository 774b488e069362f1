/** The tenant that an installation opens for itself. Real: PostgreSQL, bus, objects, processes that are killed. */
import { randomUUID } from 'node:crypto';
import { AppError } from '@star/platform';
import { firstTenantId, platformTenantId } from '@stardipper/proto';
import { openFirstTenant } from '../src/life/first-tenant';
import { killAt, type LifeWorld, lifeWorld, openingChild, watchedOpening } from './life-world';
import { aTenantWith } from './support/a-tenant';

let world: LifeWorld;
beforeEach(async () => {
  world = await lifeWorld();
});
afterEach(() => world?.close());

const first = { name: 'Two Courts', admin: { username: 'admin', displayName: 'admin', password: 'a first password' } };
const tables = ['identity.users', 'tenants.areas', 'tenants.settings', 'tenants.settings_history', 'tenants.tenants'];
const everything = [...tables.map((table) => `1 in ${table}`), `${firstTenantId} devices`, `${firstTenantId} search`, 'objects'];

/** A start of Star, as far as this goes. */
async function aStart(at: (place: string) => Promise<void> = async () => undefined): Promise<void> {
  const deps = watchedOpening(world.deps, world.key, at);
  const stop = new AbortController();
  const running = deps.sagas.run(stop.signal);
  try {
    await openFirstTenant(deps)(first);
  } finally {
    stop.abort();
    await running;
  }
}

const audited = async (tenantId: string) =>
  (await world.database.db.tenant(tenantId, (tx) => tx.query('SELECT action FROM tenants.audit_log ORDER BY id'))).map(
    (line) => line.action,
  );

it('is opened by the saga of any other, once, however many start at once and however often', async () => {
  await Promise.all([aStart(), aStart(), aStart()]);
  await aStart();
  expect(await world.left(firstTenantId)).toEqual(everything);
  expect(await audited(platformTenantId)).toEqual(['tenant.opening']);
  expect(await audited(firstTenantId)).toEqual(['tenant.created']);
});

it.each(['enabled', 'removed'])('is not opened beside one of an older release, %s', async (state) => {
  const old = await aTenantWith(world.deps, { username: state === 'enabled' ? 'admin' : randomUUID() });
  await world.database.db.tenant(old.tenantId, (tx) => tx.execute('UPDATE tenants.tenants SET state = $1', [state]));
  await aStart();
  expect(await world.left(firstTenantId)).toEqual([]);
  expect(await world.left(old.tenantId)).toEqual(['1 in identity.users', '1 in tenants.tenants']);
});

it('leaves nothing when it cannot be opened, says why, and is tried anew at the next start', async () => {
  const failing = aStart(async (place) => {
    if (place === 'before do storage') throw new AppError('disk.full', 'unprocessable');
  });
  await expect(failing).rejects.toThrow('the first tenant could not be opened: storage failed with disk.full');
  expect(await world.left(firstTenantId)).toEqual([]);
  await aStart();
  expect(await world.left(firstTenantId)).toEqual(everything);
});

it('is not given the administrator of another tenant', async () => {
  await world.deps.identity.createUser({ tenantId: platformTenantId, username: 'admin', displayName: 'x', roles: ['platform-operator'] });
  await expect(aStart()).rejects.toMatchObject({ code: 'user.username_taken' });
  expect(await world.left(firstTenantId)).toEqual([]);
});

it.each(['before do tenant', 'after do administrator', 'after do iot-customer', 'after do enable'])(
  'killed %s: the next start finishes it',
  async (place) => {
    await killAt(openingChild(world, { customer: { ...first, id: firstTenantId }, first: true, stopAt: place }), place);
    await aStart();
    expect(await world.left(firstTenantId)).toEqual(everything);
    expect(await audited(platformTenantId)).toEqual(['tenant.opening']);
  },
);
