/** Deleting a person: real PostgreSQL, ClickHouse, objects, bus and HTTP; the boxes answer by hand, and the clock is moved. */
import { randomUUID } from 'node:crypto';
import type { BusRecord } from '@star/platform';
import {
  type ForgetDocument,
  type ForgetPersonParams,
  forgetDocument,
  forgetPersonParams,
  objectKeys,
  type PersonDeletion,
  personDeletion,
} from '@stardipper/proto';
import { createSearch } from '../src';
import { searchErrors } from '../src/search.errors';
import { aMatch, aReport, aRunningSearch, progressed } from './support/box';
import { addBox, anOperator, aPerson, aRecord, type Operator, picture, startWorld, until, type World } from './support/world';

const dayMs = 86_400_000;
let world: World;
let operator: Operator;

beforeAll(async () => {
  world = await startWorld({ sweepEveryMs: 3_600_000 });
});
afterAll(() => world?.close());
beforeEach(async () => {
  world.clock.offsetMs = 0;
  operator = await anOperator(world);
});

const ask = (method: string, path: string, body?: unknown) => world.request(operator.token, method, path, body);

const calls = (personId: string): BusRecord<'search.task.requested.v1'>[] =>
  (world.published as BusRecord<'search.task.requested.v1'>[]).filter(
    (record) => record.topic === 'search.task.requested.v1' && record.message.taskId === personId,
  );

const paramsOf = (record: BusRecord<'search.task.requested.v1'>): ForgetPersonParams =>
  forgetPersonParams.parse(JSON.parse(record.message.paramsJson));

const answer = (personId: string, edgeId: string, reply: unknown, state = 'SUCCESSFUL', id: string = randomUUID()) =>
  world.search.takeRpcResults([
    aRecord(
      'device.rpc.finished.v1',
      operator.caller.tenantId,
      {
        rpcId: randomUUID(),
        edgeId,
        method: 'forgetPerson',
        correlationId: personId,
        state,
        replyJson: JSON.stringify(reply),
        roundTripMs: 5,
      },
      id,
    ),
  ]);

const receipt = (personId: string, sightings = 3) => ({ receipt: { personId, at: Date.now(), tasks: 1, matches: 2, sightings } });

const deletionOf = async (personId: string): Promise<PersonDeletion> =>
  personDeletion.parse((await ask('GET', `/people/${personId}/deletion`)).body);

const exists = async (key: string) => (await world.objects.head(operator.caller.tenantId, key)) !== undefined;

/** As if the time had come that they were given. */
const deleteAllDoomed = async () => {
  await world.database.db.tenant(operator.caller.tenantId, (tx) =>
    tx.execute("UPDATE search.doomed_objects SET doomed_at = now() - interval '1 s'"),
  );
  await world.search.deleteDoomed();
};

const putCrop = async (edgeId: string, sightingId: string) => {
  const key = objectKeys.crop(operator.caller.tenantId, edgeId, sightingId);
  await world.objects.put(operator.caller.tenantId, key, await picture('grey'), 'image/jpeg');
  return key;
};

it('takes photos, embeddings, matches, pictures, verdicts and questions off Star, and asks every box', async () => {
  const { tenantId } = operator.caller;
  const away = addBox(world, tenantId, 1, false);
  const other = await aPerson(world, operator, 'Li Na');
  const { search, tasks } = await aRunningSearch(world, operator);
  const personId = search.personIds[0] as string;
  const [task] = tasks;
  if (!task) throw new Error('no task');
  const [cameraId = ''] = operator.cameraIds;
  const matches = [1, 2].map((n) => aMatch(cameraId, personId, task.range.from + n));
  await world.search.takeReport(progressed(operator, aReport(task, 1, { matches, state: 'finished' })));
  const crops = await Promise.all(matches.map((match) => putCrop(operator.edgeId, match.sightingId)));
  const matchId = `${matches[0]?.sightingId}:${personId}`;
  expect((await ask('POST', `/searches/${search.id}/matches/${matchId}/verdict`, { verdict: 'confirmed' })).status).toBe(200);
  const photos = (await ask('GET', `/people/${personId}`)).body.photos as { id: string }[];
  const archive = objectKeys.exportArchive(tenantId, randomUUID());
  const part = objectKeys.exported(tenantId, randomUUID(), 'search.jsonl.gz');
  for (const key of [archive, part]) await world.objects.put(tenantId, key, Buffer.alloc(9), 'application/gzip');

  expect((await ask('DELETE', `/people/${personId}`)).status).toBe(204);
  expect(await exists(part)).toBe(true);
  for (const key of [
    ...crops,
    archive,
    objectKeys.query(tenantId, search.id),
    ...photos.map((photo) => objectKeys.photo(tenantId, personId, photo.id)),
  ])
    expect([key, await exists(key)]).toEqual([key, false]);
  expect((await ask('GET', `/searches/${search.id}/matches`)).body.items).toEqual([]);
  const left = await world.database.db.tenant(tenantId, async (tx) => [
    await tx.query('SELECT 1 FROM search.verdicts'),
    await tx.query('SELECT 1 FROM search.photos WHERE person_id = $1', [personId]),
    await tx.query('SELECT 1 FROM search.embeddings WHERE photo_id = ANY($1)', [photos.map((photo) => photo.id)]),
    await tx.query('SELECT 1 FROM search.doomed_people'),
  ]);
  expect(left).toEqual([[], [], [], []]);
  expect((await ask('GET', `/people/${other}`)).status).toBe(200);

  const asked = await until('both boxes are asked', () => calls(personId).length === 2 && calls(personId));
  expect(asked.map((record) => [record.message.edgeId, record.message.method]).sort()).toEqual(
    [operator.edgeId, away.edgeId].map((edgeId) => [edgeId, 'forgetPerson']).sort(),
  );
  const document = (await (await fetch(paramsOf(asked[0]!).document.url.replace('http://star.test', world.base))).json()) as ForgetDocument;
  expect(forgetDocument.parse(document)).toMatchObject({
    personId,
    packs: [{ packId: 'test-pack', threshold: 0.5, embeddings: [expect.any(String)] }],
  });
  const pending = await deletionOf(personId);
  expect(pending).toMatchObject({ star: { photos: 1, matches: 2, crops: 2, doneAt: expect.any(String) }, completedAt: null });
  expect(pending.edges?.map((edge) => edge.state)).toEqual(['pending', 'pending']);

  await answer(personId, operator.edgeId, receipt(personId));
  expect((await deletionOf(personId)).completedAt).toBeNull();
  await answer(personId, away.edgeId, receipt(personId, 0));
  const done = await deletionOf(personId);
  expect(done.completedAt).not.toBeNull();
  expect(done.edges?.find((edge) => edge.edgeId === operator.edgeId)).toMatchObject({
    state: 'done',
    receipt: { tasks: 1, matches: 2, sightings: 3 },
  });
  await world.search.deleteDoomed();
  expect(await exists(objectKeys.deletion(tenantId, personId))).toBe(false);
  expect((await ask('GET', '/people/deletions')).body.items).toMatchObject([{ personId }]);
});

it('asks a box that is away again and again, with a fresh address, until it answers, weeks later', async () => {
  const personId = await aPerson(world, operator);
  await ask('DELETE', `/people/${personId}`);
  const [first] = await until('the box is asked', () => calls(personId).length === 1 && calls(personId));
  expect((first?.message.expiresAtMs ?? 0) - Date.now()).toBeGreaterThan(6.9 * dayMs);
  for (let week = 1; week <= 14; week++) {
    world.clock.offsetMs = week * 7 * dayMs + 1000;
    // Without the call's own word, too, it is asked again a little later.
    if (week % 2) await answer(personId, operator.edgeId, {}, 'EXPIRED');
    else world.clock.offsetMs += 3_600_000;
    expect(await world.search.askBoxesToForget()).toBe(1);
    expect(await world.search.askBoxesToForget()).toBe(0);
    await until('it is asked again', () => calls(personId).length === week + 1);
  }
  expect(calls(personId)).toHaveLength(15);
  await answer(personId, operator.edgeId, receipt(personId));
  expect((await deletionOf(personId)).completedAt).not.toBeNull();
  expect(await world.search.askBoxesToForget()).toBe(0);
});

it('waits for a box at work, tries again what failed, and takes a receipt once', async () => {
  const personId = await aPerson(world, operator);
  await ask('DELETE', `/people/${personId}`);
  await until('the box is asked', () => calls(personId).length === 1);
  await answer(personId, operator.edgeId, { accepted: true });
  world.clock.offsetMs = 61_000;
  expect(await world.search.askBoxesToForget()).toBe(1);
  for (const [reply, state, code] of [
    [{ error: { code: 'mizar.busy' } }, 'SUCCESSFUL', 'mizar.busy'],
    [{}, 'TIMEOUT', 'rpc_timeout'],
    ['nonsense', 'SUCCESSFUL', 'rpc_reply_invalid'],
    [receipt(randomUUID()), 'SUCCESSFUL', 'rpc_reply_invalid'],
  ] as const) {
    await answer(personId, operator.edgeId, reply, state);
    expect((await deletionOf(personId)).edges).toMatchObject([{ state: 'pending', error: { code } }]);
  }
  const id = randomUUID();
  await answer(personId, operator.edgeId, receipt(personId, 7), 'SUCCESSFUL', id);
  await answer(personId, operator.edgeId, receipt(personId, 0), 'SUCCESSFUL', id);
  await answer(personId, operator.edgeId, receipt(personId, 0));
  await answer(personId, randomUUID(), receipt(personId, 0));
  await answer(randomUUID(), operator.edgeId, receipt(personId, 0));
  expect((await deletionOf(personId)).edges).toMatchObject([{ state: 'done', error: null, receipt: { sightings: 7 } }]);
});

it('does not wait for a box that was removed, nor where there is none', async () => {
  const personId = await aPerson(world, operator);
  await ask('DELETE', `/people/${personId}`);
  await until('the box is asked', () => calls(personId).length === 1);
  await answer(personId, operator.edgeId, { error: { code: 'edge.not_found' } }, 'FAILED');
  expect(await deletionOf(personId)).toMatchObject({ edges: [{ state: 'gone' }], completedAt: expect.any(String) });
  const second = await aPerson(world, operator);
  await ask('DELETE', `/people/${second}`);
  world.cameras.splice(0, world.cameras.length, ...world.cameras.filter((camera) => camera.edgeId !== operator.edgeId));
  world.clock.offsetMs = 8 * dayMs;
  await world.search.askBoxesToForget();
  expect(await deletionOf(second)).toMatchObject({ edges: [{ state: 'gone' }], completedAt: expect.any(String) });
  const third = await aPerson(world, operator);
  await ask('DELETE', `/people/${third}`);
  expect(await deletionOf(third)).toMatchObject({ edges: [], completedAt: expect.any(String) });
});

it('takes no match of a deleted person from a box that has not heard, nor keeps a picture it uploads', async () => {
  const { search, tasks } = await aRunningSearch(world, operator);
  const personId = search.personIds[0] as string;
  const [task] = tasks;
  if (!task) throw new Error('no task');
  const [cameraId = ''] = operator.cameraIds;
  const early = aMatch(cameraId, personId, task.range.from + 1);
  await world.search.takeReport(progressed(operator, aReport(task, 1, { matches: [early] })));
  await ask('POST', `/searches/${search.id}/cancel`);
  expect((await ask('DELETE', `/people/${personId}`)).status).toBe(204);
  const late = aMatch(cameraId, personId, task.range.from + 2);
  await world.search.takeReport(progressed(operator, aReport(task, 2, { matches: [late], state: 'cancelled' })));
  expect((await ask('GET', `/searches/${search.id}/matches`)).body.items).toEqual([]);
  // Uploaded after the deletion, by an address that was signed before; of a match that was taken, and of one that was not.
  const crops = [await putCrop(operator.edgeId, early.sightingId), await putCrop(operator.edgeId, late.sightingId)];
  await deleteAllDoomed();
  expect(await Promise.all(crops.map(exists))).toEqual([true, true]);
  await answer(personId, operator.edgeId, receipt(personId));
  await deleteAllDoomed();
  expect(await Promise.all(crops.map(exists))).toEqual([false, false]);
});

it('keeps no picture of a deleted person either where the report comes after the receipt, or the box is removed', async () => {
  const { search, tasks } = await aRunningSearch(world, operator);
  const personId = search.personIds[0] as string;
  const [task] = tasks;
  if (!task) throw new Error('no task');
  const [cameraId = ''] = operator.cameraIds;
  await ask('POST', `/searches/${search.id}/cancel`);
  await ask('DELETE', `/people/${personId}`);
  const report = async (seq: number) => {
    const match = aMatch(cameraId, personId, task.range.from + seq);
    await world.search.takeReport(progressed(operator, aReport(task, seq, { matches: [match] })));
    return putCrop(operator.edgeId, match.sightingId);
  };
  const before = await report(1);
  await answer(personId, operator.edgeId, { error: { code: 'edge.not_found' } }, 'FAILED');
  const after = await report(2);
  await deleteAllDoomed();
  expect([await exists(before), await exists(after)]).toEqual([false, false]);
  const left = await world.database.db.tenant(operator.caller.tenantId, (tx) => tx.query('SELECT 1 FROM search.deletion_crops'));
  expect(left).toEqual([]);
});

it('takes the pictures of a deleted search along, but not those that another search shows', async () => {
  const runs = [await aRunningSearch(world, operator), await aRunningSearch(world, operator)];
  const [cameraId = ''] = operator.cameraIds;
  const [own, shared] = [randomUUID(), randomUUID()];
  for (const [i, { search, tasks }] of runs.entries()) {
    const [task] = tasks;
    if (!task) throw new Error('no task');
    const sightings = i === 0 ? [own, shared] : [shared];
    const matches = sightings.map((sightingId, n) => aMatch(cameraId, search.personIds[0] as string, task.range.from + n, { sightingId }));
    await world.search.takeReport(progressed(operator, aReport(task, 1, { matches, state: 'finished' })));
  }
  const crops = await Promise.all([own, shared].map((sightingId) => putCrop(operator.edgeId, sightingId)));
  expect((await ask('DELETE', `/searches/${runs[0]?.search.id}`)).status).toBe(204);
  expect(await Promise.all(crops.map(exists))).toEqual([false, true]);
  expect((await ask('DELETE', `/searches/${runs[1]?.search.id}`)).status).toBe(204);
  expect(await Promise.all(crops.map(exists))).toEqual([false, false]);
});

it('tells the boxes how to know the person by a pack that has come since, and deletes also while nobody can embed', async () => {
  const forgetNothing = () =>
    world.database.db.tenant(operator.caller.tenantId, (tx) =>
      tx.execute('DELETE FROM search.embeddings WHERE pack_id = $1', ['test-pack']),
    );
  const packsTold = async (personId: string) => {
    const [call] = await until('the box is asked', () => calls(personId).length === 1 && calls(personId));
    const { url } = paramsOf(call as BusRecord<'search.task.requested.v1'>).document;
    return ((await (await fetch(url.replace('http://star.test', world.base))).json()) as ForgetDocument).packs;
  };
  const personId = await aPerson(world, operator);
  await forgetNothing();
  expect((await ask('DELETE', `/people/${personId}`)).status).toBe(204);
  expect(await packsTold(personId)).toMatchObject([{ packId: 'test-pack', threshold: 0.5, embeddings: [expect.any(String)] }]);
  const second = await aPerson(world, operator);
  await forgetNothing();
  const away = async () => {
    throw searchErrors.error('embedder.unavailable');
  };
  const third = await aPerson(world, operator);
  await forgetNothing();
  const { own } = world.options.embedders;
  const alone = createSearch({ ...world.options, embedders: { ...world.options.embedders, own: { ...own, packNow: away } } });
  await alone.deletePerson(operator.caller, second);
  expect(await packsTold(second)).toEqual([]);
  const silent = () => new Promise<never>(() => {});
  const waiting = createSearch({ ...world.options, embedders: { ...world.options.embedders, own: { ...own, packNow: silent } } });
  await waiting.deletePerson(operator.caller, third);
  expect(await packsTold(third)).toEqual([]);
});

it('is another tenant’s secret', async () => {
  const personId = await aPerson(world, operator);
  await ask('DELETE', `/people/${personId}`);
  const stranger = await anOperator(world);
  expect((await world.request(stranger.token, 'GET', `/people/${personId}/deletion`)).status).toBe(404);
  expect((await world.request(stranger.token, 'GET', '/people/deletions')).body.items).toEqual([]);
  expect((await ask('GET', `/people/${randomUUID()}/deletion`)).status).toBe(404);
});
