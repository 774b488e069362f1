/** What expires of search: real PostgreSQL, ClickHouse, objects and HTTP; the clock is moved. */
import { randomUUID } from 'node:crypto';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { keptFrom } from '@star/platform';
import { objectKeys } from '@stardipper/proto';
import { createSearch } from '../src';
import { aMatch, aReport, aRunningSearch, progressed, span } from './support/box';
import { anHour, anOperator, aPerson, type Operator, picture, startWorld, type World } from './support/world';

const dayMs = 86_400_000;
const going = new AbortController().signal;
let world: World;
let east: Operator;
let west: Operator;

beforeAll(async () => {
  world = await startWorld({ sweepEveryMs: 3_600_000 });
});
afterAll(() => world?.close());
beforeEach(async () => {
  world.clock.offsetMs = 0;
  world.kept.clear();
  world.removals.length = 0;
  east = await anOperator(world);
  west = await anOperator(world);
});

const ask = (operator: Operator, method: string, path: string, body?: unknown) => world.request(operator.token, method, path, body);
/** Midnight from which on things are kept that are kept for so many days. */
const midnight = (days: number) => keptFrom(new Date(Date.now() + world.clock.offsetMs), days).getTime();
const matchesOf = async (operator: Operator, searchId: string) =>
  (
    (await ask(operator, 'GET', `/searches/${searchId}/matches`)).body.items as {
      id: string;
      at: string;
      cropUrl: string | null;
      cropExpired: boolean;
    }[]
  ).map((match) => ({ ...match, ms: Date.parse(match.at) }));
const removalsOf = (operator: Operator) =>
  world.removals.filter(({ tenantId }) => tenantId === operator.caller.tenantId).map(({ kind, items, bytes }) => ({ kind, items, bytes }));

/** A search with matches at these moments. */
async function aSearchWith(operator: Operator, moments: readonly number[]) {
  const { search, tasks } = await aRunningSearch(world, operator, {
    from: new Date(midnight(12)).toISOString(),
    to: new Date(midnight(4)).toISOString(),
  });
  const [task] = tasks;
  if (!task) throw new Error('no task');
  const [cameraId = ''] = operator.cameraIds;
  const matches = moments.map((ms) => aMatch(cameraId, search.personIds[0] as string, ms));
  const coverage = [span(cameraId, task.range.from, task.range.to)];
  await world.search.takeReport(progressed(operator, aReport(task, 1, { matches, coverage, state: 'finished' })));
  return { search, matches };
}

async function putCrop(operator: Operator, sightingId: string, putMs?: number): Promise<string> {
  const key = objectKeys.crop(operator.caller.tenantId, operator.edgeId, sightingId);
  await world.objects.put(operator.caller.tenantId, key, Buffer.alloc(1000), 'image/jpeg');
  if (putMs !== undefined) await utimes(join(world.folder, 'objects', 'stored', `${key}.object`), putMs / 1000, putMs / 1000);
  return key;
}

const exists = async (operator: Operator, key: string) => (await world.objects.head(operator.caller.tenantId, key)) !== undefined;

it('removes matches with their verdicts by when the face was seen, to the millisecond and tenant by tenant', async () => {
  const moments = [midnight(10) - 1, midnight(10), midnight(5)];
  const [own, other] = [await aSearchWith(east, moments), await aSearchWith(west, moments)];
  const judged = async (matchIndex: number) => {
    const match = own.matches[matchIndex];
    const path = `/searches/${own.search.id}/matches/${match?.sightingId}:${match?.personId}/verdict`;
    expect((await ask(east, 'POST', path, { verdict: 'confirmed' })).status).toBe(200);
  };
  await judged(0);
  await judged(1);
  const before = (await ask(east, 'GET', `/searches/${own.search.id}`)).body;
  expect(before).toMatchObject({ matches: 3, matchesExpired: 0 });

  world.kept.set(east.caller.tenantId, { matches: 10 });
  world.kept.set(west.caller.tenantId, { matches: 3 });
  expect(await world.search.expire(going)).toBe(0);
  expect((await matchesOf(east, own.search.id)).map(({ ms }) => ms)).toEqual([midnight(5), midnight(10)]);
  expect(await matchesOf(west, other.search.id)).toEqual([]);
  expect((await ask(east, 'GET', `/searches/${own.search.id}`)).body).toMatchObject({ matchesExpired: 1, coverage: before.coverage });
  expect((await ask(west, 'GET', `/searches/${other.search.id}`)).body).toMatchObject({ matchesExpired: 3 });
  const verdicts = await world.database.db.tenant(east.caller.tenantId, (tx) => tx.query('SELECT match_id FROM search.verdicts'));
  expect(verdicts).toHaveLength(1);
  // What was deleted is in no file any more.
  expect(await world.analytics.analytics.purge()).toBe(0);
  expect(removalsOf(east)).toEqual([{ kind: 'matches', items: 1, bytes: 0 }]);
  expect(removalsOf(west).reduce((sum, { items }) => sum + items, 0)).toBe(3);

  // Again nothing; lowered, the next sweep takes it; raised, the rest stays.
  await world.search.expire(going);
  expect(removalsOf(east)).toHaveLength(1);
  world.kept.set(east.caller.tenantId, { matches: 8 });
  await world.search.expire(going);
  expect((await matchesOf(east, own.search.id)).map(({ ms }) => ms)).toEqual([midnight(5)]);
  world.kept.set(east.caller.tenantId, { matches: 100 });
  world.clock.offsetMs = 90 * dayMs;
  await world.search.expire(going);
  expect(await matchesOf(east, own.search.id)).toHaveLength(1);
});

it('goes on where a sweep was broken off, counts nothing twice and nothing never', async () => {
  const { search } = await aSearchWith(east, [midnight(10) - 5, midnight(10) - 4, midnight(11) - 1]);
  world.kept.set(east.caller.tenantId, { matches: 10 });
  // Dies after ClickHouse has deleted, before that is written down.
  let deaths = 0;
  const dying = createSearch({
    ...world.options,
    retention: {
      ...world.options.retention,
      record: async () => {
        deaths += 1;
        throw new Error('killed');
      },
    },
  });
  expect(await dying.expire(going)).toBe(1);
  expect(deaths).toBe(1);
  expect((await ask(east, 'GET', `/searches/${search.id}`)).body).toMatchObject({ matchesExpired: 0 });
  expect(await matchesOf(east, search.id)).toHaveLength(2);
  // The setting is raised: what is there stays, and what is gone is counted.
  world.kept.set(east.caller.tenantId, { matches: 30 });
  await world.search.expire(going);
  expect((await ask(east, 'GET', `/searches/${search.id}`)).body).toMatchObject({ matchesExpired: 1 });
  world.kept.set(east.caller.tenantId, { matches: 10 });
  await Promise.all([world.search.expire(going), createSearch(world.options).expire(going)]);
  expect(await matchesOf(east, search.id)).toEqual([]);
  expect((await ask(east, 'GET', `/searches/${search.id}`)).body).toMatchObject({ matchesExpired: 3 });
  expect(removalsOf(east).reduce((sum, { items }) => sum + items, 0)).toBe(3);
});

it('removes pictures by when the face was seen, those of nobody by when they came, and says so at the match', async () => {
  const { search, matches } = await aSearchWith(east, [midnight(10) - 1, midnight(10)]);
  const [old, young] = await Promise.all(matches.map((match) => putCrop(east, match.sightingId)));
  const nobodys = await putCrop(east, randomUUID(), midnight(10) - 1);
  const nobodysYoung = await putCrop(east, randomUUID(), midnight(10));
  const foreign = await putCrop(west, randomUUID(), midnight(10) - 1);
  const photo = `${east.caller.tenantId}/people/x/y`;
  await world.objects.put(east.caller.tenantId, photo, Buffer.alloc(1), 'image/jpeg');
  world.kept.set(east.caller.tenantId, { crops: 10 });
  world.kept.set(west.caller.tenantId, { crops: 11 });
  const failing = createSearch({
    ...world.options,
    objects: {
      ...world.objects,
      delete: async () => {
        throw new Error('storage is down');
      },
    },
  });
  expect(await failing.expire(going)).toBe(1);
  expect(await world.search.expire(going)).toBe(0);
  expect(await Promise.all([old, nobodys, young, nobodysYoung, photo].map((key) => exists(east, key as string)))).toEqual([
    false,
    false,
    true,
    true,
    true,
  ]);
  expect(await exists(west, foreign)).toBe(true);
  // Once, although the first sweep did not get further than the count.
  expect(removalsOf(east)).toEqual([{ kind: 'crops', items: 2, bytes: 2000 }]);
  expect((await matchesOf(east, search.id)).map(({ cropUrl, cropExpired }) => [cropUrl !== null, cropExpired])).toEqual([
    [true, false],
    [false, true],
  ]);
});

it('removes a picture with its match at the latest: nobody would be shown it, nor would it be found by the person', async () => {
  const { matches } = await aSearchWith(east, [midnight(10) - 1, midnight(10)]);
  const crops = await Promise.all(matches.map((match) => putCrop(east, match.sightingId)));
  world.kept.set(east.caller.tenantId, { crops: 90, matches: 10 });
  expect(await world.search.expire(going)).toBe(0);
  expect(await Promise.all(crops.map((key) => exists(east, key)))).toEqual([false, true]);
  expect(removalsOf(east)).toEqual([
    { kind: 'crops', items: 1, bytes: 1000 },
    { kind: 'matches', items: 1, bytes: 0 },
  ]);
});

it('removes photos of people with their embeddings; the people stay and say so, and cannot be searched for', async () => {
  const personId = await aPerson(world, east);
  const shown = async () => (await ask(east, 'GET', `/people/${personId}`)).body;
  const [photo] = (await shown()).photos as { id: string }[];
  const key = objectKeys.photo(east.caller.tenantId, personId, photo?.id ?? '');
  world.kept.set(east.caller.tenantId, { photos: 30 });
  world.clock.offsetMs = 30 * dayMs;
  await world.search.expire(going);
  expect(await shown()).toMatchObject({ photos: [{ id: photo?.id }], photosExpiredAt: null });
  world.clock.offsetMs = 31 * dayMs;
  await Promise.all([world.search.expire(going), world.search.expire(going)]);
  expect(await shown()).toMatchObject({ photos: [], photosExpiredAt: expect.any(String) });
  expect(await exists(east, key)).toBe(false);
  const left = await world.database.db.tenant(east.caller.tenantId, (tx) => tx.query('SELECT 1 FROM search.embeddings'));
  expect(left).toEqual([]);
  expect(removalsOf(east)).toEqual([{ kind: 'photos', items: 1, bytes: expect.any(Number) }]);
  expect(removalsOf(east)[0]?.bytes).toBeGreaterThan(100);
  const draft = await ask(east, 'POST', '/searches', { personIds: [personId], cameraIds: east.cameraIds, ...anHour() });
  expect([draft.status, draft.body.code, draft.body.params]).toEqual([
    422,
    'search.person_without_photo',
    { personIds: [personId], packId: 'test-pack' },
  ]);
  // With a new one they can.
  const jpeg = { 'content-type': 'image/jpeg' };
  expect((await world.request(east.token, 'POST', `/people/${personId}/photos`, await picture('grey'), jpeg)).status).toBeLessThan(300);
});

it('one tenant’s failure does not stop the others', async () => {
  const own = await aSearchWith(east, [midnight(10) - 1]);
  const other = await aSearchWith(west, [midnight(10) - 1]);
  world.kept.set(east.caller.tenantId, { matches: 10 });
  world.kept.set(west.caller.tenantId, { matches: 10 });
  const { daysOf } = world.options.retention;
  const half = createSearch({
    ...world.options,
    retention: {
      ...world.options.retention,
      daysOf: async (tenantId) => {
        if (tenantId === east.caller.tenantId) throw new Error('unreadable');
        return daysOf(tenantId);
      },
    },
  });
  expect(await half.expire(going)).toBe(1);
  expect([await matchesOf(east, own.search.id), await matchesOf(west, other.search.id)].map((list) => list.length)).toEqual([1, 0]);
});
