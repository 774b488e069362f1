/** Opening a tenant, with every step failing in turn and the process killed between them. Real: PostgreSQL, bus, objects, processes. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@star/platform';
import { openTenant } from '../src/life/open-tenant';
import { readTenant } from '../src/life/read-tenants';
import { aCustomer, aPlatformOperator, killAt, type LifeWorld, lifeWorld, openingChild, watchedOpening } from './life-world';

let world: LifeWorld;
beforeAll(async () => {
  world = await lifeWorld();
});
afterAll(() => world?.close());

const steps = ['tenant', 'administrator', 'settings', 'storage', 'iot-customer', 'face-library', 'first-area', 'enable'];
const refused = () => new AppError('thing.refused', 'unprocessable', { what: 'told so' });

async function opened(at: (place: string) => Promise<void>, customer = aCustomer()) {
  const deps = watchedOpening(world.deps, world.key, at);
  await openTenant(deps)(aPlatformOperator, customer);
  for (;;) {
    await deps.sagas.runDue();
    const detail = await readTenant(deps)(customer.id);
    if (detail.job?.state === 'done' || detail.job?.state === 'undone') return { customer, detail, deps };
    await sleep(10);
  }
}

it('makes everything a tenant needs, and announces it', async () => {
  const { customer, detail } = await opened(async () => undefined);
  expect(detail).toMatchObject({ state: 'enabled', name: customer.name, job: { state: 'done', failure: null } });
  expect(detail.job?.steps.map((step) => step.name)).toEqual(steps);
  expect(await world.left(customer.id)).toEqual(
    expect.arrayContaining([
      '1 in tenants.areas',
      '1 in tenants.settings',
      '1 in tenants.tenants',
      '1 in identity.users',
      `${customer.id} devices`,
      `${customer.id} search`,
      'objects',
    ]),
  );
});

it('answers what is there when it is asked again, and refuses a name or id that is taken', async () => {
  const { customer, deps } = await opened(async () => undefined);
  expect(await openTenant(deps)(aPlatformOperator, customer)).toMatchObject({ state: 'enabled' });
  await expect(openTenant(deps)(aPlatformOperator, { ...customer, name: 'West' })).rejects.toMatchObject({ code: 'tenant.id_taken' });
  const other = { ...aCustomer(), admin: customer.admin };
  await expect(openTenant(deps)(aPlatformOperator, other)).rejects.toMatchObject({ code: 'user.username_taken' });
  expect(await world.left(other.id)).toEqual([]);
});

it('lets one of two win who want the same administrator at once; nothing of the other is left', async () => {
  const [one, other] = [aCustomer(), aCustomer()];
  const both = [one, { ...other, admin: one.admin }];
  const ended = await Promise.all(both.map((customer) => opened(async () => undefined, customer).catch((error: AppError) => error.code)));
  const states = ended.map((each) => (typeof each === 'string' ? each : each.detail.state)).sort();
  expect([
    ['enabled', 'failed'],
    ['enabled', 'user.username_taken'],
  ]).toContainEqual(states);
  const lost = ended.findIndex((each) => typeof each === 'string' || each.detail.state === 'failed');
  expect(await world.left(both[lost]?.id as string)).toEqual([]);
});

describe.each(['before', 'after'])('a step that can never succeed, failing %s its work,', (when) => {
  it.each(steps.filter((name) => !(when === 'after' && name === 'enable')))('%s: leaves nothing half-made and says why', async (name) => {
    const { customer, detail } = await opened(async (place) => {
      if (place === `${when} do ${name}`) throw refused();
    });
    expect(detail).toMatchObject({
      state: 'failed',
      name: customer.name,
      job: { state: 'undone', failure: { step: name, code: 'thing.refused', params: { what: 'told so' } } },
    });
    expect(await world.left(customer.id)).toEqual([]);
    // And the same can be opened again.
    expect((await opened(async () => undefined, customer)).detail.state).toBe('enabled');
  });
});

it('a step that fails a few times is tried again', async () => {
  let failures = 0;
  const { detail } = await opened(async (place) => {
    if (place === 'after do storage' && failures++ < 3) throw new Error('the disk is full');
  });
  expect(detail).toMatchObject({ state: 'enabled' });
  expect(detail.job?.steps[3]).toMatchObject({ attempts: 4, error: null });
});

it('is not undone any more once it is open, however often its last step fails behind that', async () => {
  let failures = 0;
  const { customer, detail } = await opened(async (place) => {
    if (place === 'after do enable' && failures++ < 20) throw new Error('the line is down');
  });
  expect(detail).toMatchObject({ state: 'enabled', job: { state: 'done' } });
  expect(await world.left(customer.id)).toContain('1 in identity.users');
});

it('cannot be asked for anew before all of the one that failed is undone', async () => {
  const customer = aCustomer();
  const other = watchedOpening(world.deps, world.key, async () => undefined);
  let again: unknown;
  await opened(async (place) => {
    if (place === 'before do storage') throw refused();
    // Its process may die here: then the row is taken away once more, by whoever goes on.
    if (place === 'after undo tenant') again = await openTenant(other)(aPlatformOperator, customer).catch((error: unknown) => error);
  }, customer);
  expect(again).toMatchObject({ code: 'tenant.wrong_state' });
  expect(await world.left(customer.id)).toEqual([]);
  expect((await opened(async () => undefined, customer)).detail.state).toBe('enabled');
});

describe('killed', () => {
  async function killedAt(stopAt: string, refuseAt?: string): Promise<{ ended: string; id: string }> {
    const customer = aCustomer();
    const orders = { customer, ...(refuseAt && { refuseAt }) };
    await killAt(openingChild(world, { ...orders, stopAt }), stopAt);
    const second = openingChild(world, orders);
    let ended = '';
    second.on('message', (message: { ended?: string }) => {
      ended = message.ended ?? ended;
    });
    await once(second, 'exit');
    return { ended, id: customer.id };
  }

  it.each(steps.flatMap((name) => [`after do ${name}`]))('%s: another replica finishes it', async (place) => {
    const { ended, id } = await killedAt(place);
    expect(ended).toBe('done');
    const made = ['identity.users', 'tenants.areas', 'tenants.settings', 'tenants.settings_history', 'tenants.tenants'];
    expect(await world.left(id)).toEqual([...made.map((table) => `1 in ${table}`), `${id} devices`, `${id} search`, 'objects']);
  });

  it.each(steps.slice(0, -1).map((name) => `after undo ${name}`))('%s: another replica undoes the rest', async (place) => {
    const { ended, id } = await killedAt(place, 'before do enable');
    expect(ended).toBe('undone');
    expect(await world.left(id)).toEqual([]);
  });
});
