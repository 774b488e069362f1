/** Every look at a face is a line of the audit log: real PostgreSQL, ClickHouse, objects and HTTP. */
import { randomUUID } from 'node:crypto';
import { objectKeys } from '@stardipper/proto';
import { aMatch, aReport, aRunningSearch, progressed } from './support/box';
import { anOperator, aPerson, type Operator, picture, startWorld, type World } from './support/world';

let world: World;
let operator: Operator;

beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world?.close());
beforeEach(async () => {
  operator = await anOperator(world);
});

const ask = (method: string, path: string, body?: unknown) => world.request(operator.token, method, path, body);
const looks = () =>
  world.audit
    .filter((entry) => entry.tenantId === operator.caller.tenantId && entry.action.endsWith('.viewed'))
    .map(({ action, subject, details }) => ({
      action,
      subject,
      details: { ...details } as { personIds: string[]; photoIds: string[]; matchIds: string[] },
    }));

it('records photos: one line for a person, one for a list, none where there is no photo', async () => {
  const people = [await aPerson(world, operator, 'A'), await aPerson(world, operator, 'B')];
  const { body: faceless } = await ask('POST', '/people', { name: 'C' });
  world.audit.length = 0;
  await ask('GET', `/people/${faceless.id}`);
  expect(looks()).toEqual([]);
  const one = await ask('GET', `/people/${people[0]}`);
  expect(looks()).toEqual([
    { action: 'photos.viewed', subject: people[0], details: { personIds: [people[0]], photoIds: [one.body.photos[0].id] } },
  ]);
  world.audit.length = 0;
  await ask('GET', '/people');
  expect(looks()).toMatchObject([{ subject: operator.caller.tenantId, details: { photoIds: [expect.any(String), expect.any(String)] } }]);
  expect(looks()[0]?.details.personIds.sort()).toEqual(people.sort());
});

it('records pictures of matches wherever their addresses are handed out, with whom they show, in lines of bounded length', async () => {
  const { search, tasks } = await aRunningSearch(world, operator);
  const [personId = ''] = search.personIds;
  const [task] = tasks;
  if (!task) throw new Error('no task');
  const matches = Array.from({ length: 250 }, (_, n) => aMatch(operator.cameraIds[0] as string, personId, task.range.from + n));
  for (const seq of [1, 2, 3])
    await world.search.takeReport(progressed(operator, aReport(task, seq, { matches: matches.slice((seq - 1) * 100, seq * 100) })));
  world.audit.length = 0;
  await ask('GET', `/searches/${search.id}/matches?limit=200`);
  expect(looks()).toEqual([]);
  const jpeg = await picture('grey');
  for (const { sightingId } of matches)
    await world.objects.put(
      operator.caller.tenantId,
      objectKeys.crop(operator.caller.tenantId, operator.edgeId, sightingId),
      jpeg,
      'image/jpeg',
    );
  await ask('GET', `/searches/${search.id}/matches?limit=200`);
  expect(looks()).toMatchObject([{ action: 'crops.viewed', subject: search.id, details: { personIds: [personId] } }]);
  expect(looks()[0]?.details.matchIds).toHaveLength(200);

  world.audit.length = 0;
  const stream = await fetch(`${world.base}/api/v1/searches/${search.id}/events`, {
    headers: { authorization: `Bearer ${operator.token}`, 'last-event-id': '1' },
  });
  let text = '';
  for await (const piece of stream.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(piece).toString();
    if (text.split('event: match').length === 251) break;
  }
  const streamed = looks().map((look) => look.details.matchIds);
  expect(streamed.every((ids) => ids.length <= 200)).toBe(true);
  expect(new Set(streamed.flat()).size).toBe(250);

  world.audit.length = 0;
  const matchId = `${matches[0]?.sightingId}:${personId}`;
  await ask('POST', `/searches/${search.id}/matches/${matchId}/verdict`, { verdict: 'confirmed' });
  expect(looks()).toMatchObject([{ action: 'crops.viewed', details: { matchIds: [matchId] } }]);
});

it('records that everybody was compared', async () => {
  await aPerson(world, operator);
  world.audit.length = 0;
  expect((await ask('GET', '/packs/in-use/calibration')).status).toBe(200);
  expect(looks()).toEqual([{ action: 'calibration.viewed', subject: 'test-pack', details: { people: 1, photos: 1 } }]);
  expect((await ask('GET', `/people/${randomUUID()}`)).status).toBe(404);
  expect(looks()).toHaveLength(1);
});
