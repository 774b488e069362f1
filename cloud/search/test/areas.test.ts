/** Roles that hold on some areas only, and quotas: real PostgreSQL, ClickHouse, HTTP with its guard. The boxes are simulated. */
import { randomUUID } from 'node:crypto';
import type { Caller, Limits } from '@star/platform';
import { type Permission, permissionsOfRole } from '@stardipper/proto';
import fc from 'fast-check';
import { createSearch } from '../src';
import { addBox, anHour, anOperator, aPerson, type Operator, startWorld, type World } from './support/world';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world?.close());

/** A user of the operator's tenant whose token has no role; the role holds on these areas. */
async function aGuest(operator: Operator, role: 'operator' | 'viewer', ...areaIds: string[]): Promise<{ caller: Caller; token: string }> {
  const caller: Caller = { ...operator.caller, userId: randomUUID(), username: 'guest', roles: [] };
  const areas = new Set(areaIds);
  world.grants.set(caller.userId, new Map(permissionsOfRole[role].map((permission: Permission) => [permission, areas])));
  return { caller, token: await world.tokenFor(caller) };
}

const ids = (answer: { body: { items: { id: string }[] } }) => answer.body.items.map((item) => item.id);

describe('a role on an area', () => {
  let operator: Operator;
  let near: ReturnType<typeof addBox>;
  let far: ReturnType<typeof addBox>;
  let personId: string;
  const draft = async (token: string, cameraIds: string[]) =>
    world.request(token, 'POST', '/searches', { personIds: [personId], cameraIds, ...anHour() });

  beforeEach(async () => {
    operator = await anOperator(world, 0);
    near = addBox(world, operator.caller.tenantId, 2);
    far = addBox(world, operator.caller.tenantId, 1);
    personId = await aPerson(world, operator);
  });

  it('chooses among the cameras there and the whole library of people, and changes nothing in that', async () => {
    const { token } = await aGuest(operator, 'operator', near.areaId);
    expect(ids(await world.request(token, 'GET', '/people'))).toEqual([personId]);
    expect((await world.request(token, 'POST', '/people', { name: 'x' })).status).toBe(403);
    expect((await world.request(token, 'DELETE', `/people/${personId}`)).status).toBe(403);
    expect((await draft(token, near.cameraIds)).status).toBe(201);
    expect(await draft(token, [...near.cameraIds, ...far.cameraIds])).toMatchObject({
      status: 422,
      body: { code: 'search.camera_unknown', params: { cameraIds: far.cameraIds } },
    });
    expect((await draft((await aGuest(operator, 'viewer', near.areaId)).token, near.cameraIds)).status).toBe(403);
    expect((await draft((await aGuest(operator, 'operator')).token, near.cameraIds)).status).toBe(403);
  });

  it('shows the searches whose every camera is there; the others do not exist', async () => {
    const within = (await draft(operator.token, near.cameraIds)).body.id as string;
    const across = (await draft(operator.token, [...near.cameraIds, ...far.cameraIds])).body.id as string;
    const away = (await draft(operator.token, far.cameraIds)).body.id as string;
    const { token } = await aGuest(operator, 'operator', near.areaId);
    expect(ids(await world.request(operator.token, 'GET', '/searches'))).toEqual([away, across, within]);
    expect(ids(await world.request(token, 'GET', '/searches'))).toEqual([within]);
    const routes: [string, string, unknown?][] = [
      ['GET', ''],
      ['GET', '/coverage'],
      ['GET', '/matches'],
      ['GET', '/events'],
      ['POST', '/start'],
      ['POST', '/cancel'],
      ['POST', '/matches/x/verdict', { verdict: 'confirmed' }],
      ['DELETE', ''],
    ];
    for (const id of [across, away])
      for (const [method, path, body] of routes)
        expect([method, path, await world.request(token, method, `/searches/${id}${path}`, body)]).toMatchObject([
          method,
          path,
          { status: 404, body: { code: 'search.not_found' } },
        ]);
    expect((await world.request(token, 'GET', `/searches/${within}`)).status).toBe(200);
    expect((await world.request(token, 'POST', `/searches/${within}/start`)).status).toBe(200);
    expect((await world.request(operator.token, 'GET', `/searches/${across}`)).body.state).toBe('draft');
  });

  it('keeps showing somebody their own search, and does not let them start it where they may search no more', async () => {
    const guest = await aGuest(operator, 'operator', near.areaId);
    const own = (await draft(guest.token, near.cameraIds)).body.id as string;
    world.grants.set(guest.caller.userId, new Map(permissionsOfRole.operator.map((permission) => [permission, new Set([far.areaId])])));
    expect(ids(await world.request(guest.token, 'GET', '/searches'))).toEqual([own]);
    expect(await world.request(guest.token, 'POST', `/searches/${own}/start`)).toMatchObject({
      status: 422,
      body: { code: 'search.camera_unknown' },
    });
    expect((await world.request(guest.token, 'DELETE', `/searches/${own}`)).status).toBe(204);
  });

  it('follows a camera that is set to another area', async () => {
    const id = (await draft(operator.token, near.cameraIds)).body.id as string;
    const { token } = await aGuest(operator, 'viewer', near.areaId);
    expect((await world.request(token, 'GET', `/searches/${id}`)).status).toBe(200);
    const moved = world.cameras.find((camera) => camera.cameraId === near.cameraIds[0]);
    Object.assign(moved as object, { areaId: far.areaId });
    expect((await world.request(token, 'GET', `/searches/${id}`)).status).toBe(404);
    expect(ids(await world.request(token, 'GET', '/searches'))).toEqual([]);
  });
});

describe('quotas', () => {
  const limited = (limits: Partial<Limits>) =>
    createSearch({
      ...world.options,
      limitsOf: async () => ({ edges: 0, cameras: 0, people: 1000, searchesInFlight: 1000, ...limits }),
    });
  const refusedWith = (outcomes: PromiseSettledResult<unknown>[]) =>
    outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [{ code: outcome.reason.code, params: outcome.reason.params }] : []));

  it('of people are never passed, however many are enrolled at once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 1, max: 10 }), async (people, tries) => {
        const { caller } = await anOperator(world, 0);
        const search = limited({ people });
        const outcomes = await Promise.allSettled(
          Array.from({ length: tries }, (_, n) => search.createPerson(caller, { name: `P${n}`, note: '' })),
        );
        expect((await search.getPeople(caller, { limit: 50 })).items).toHaveLength(Math.min(people, tries));
        const refused = refusedWith(outcomes);
        expect(refused).toHaveLength(Math.max(0, tries - people));
        for (const each of refused) expect(each).toEqual({ code: 'quota.exceeded', params: { what: 'people', limit: people } });
      }),
      { numRuns: 15 },
    );
  });

  it('of searches in flight are never passed; one that ends makes room', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 6 }), async (searchesInFlight, tries) => {
        const operator = await anOperator(world, 1);
        const personIds = [await aPerson(world, operator)];
        const search = limited({ searchesInFlight });
        const input = { name: '', purpose: '', personIds, cameraIds: operator.cameraIds, priority: 3 as const, ...anHour() };
        const drafts = await Promise.all(Array.from({ length: tries }, () => search.draftSearch(operator.caller, input)));
        const start = ({ id }: { id: string }) => search.startSearch(operator.caller, id);
        const refused = refusedWith(await Promise.allSettled(drafts.map(start)));
        expect(refused).toHaveLength(Math.max(0, tries - searchesInFlight));
        for (const each of refused)
          expect(each).toEqual({ code: 'quota.exceeded', params: { what: 'searchesInFlight', limit: searchesInFlight } });
        const { items } = await search.readSearches(operator.caller, { limit: 50 });
        const running = items.filter((each) => each.state === 'running');
        expect(running).toHaveLength(Math.min(searchesInFlight, tries));
        const waiting = items.find((each) => each.state === 'draft');
        if (!running[0] || !waiting) return;
        // Starting again what runs asks for no room.
        expect(await start(running[0])).toMatchObject({ state: 'running' });
        await search.cancelSearch(operator.caller, running[0].id);
        expect(await start(waiting)).toMatchObject({ state: 'running' });
      }),
      { numRuns: 6 },
    );
  });
});
