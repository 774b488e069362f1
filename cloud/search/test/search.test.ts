/** Everything an operator can ask of search over HTTP, right and wrong, and the way of a search from draft to matches. */
import { createHash, randomUUID } from 'node:crypto';
import { type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import {
  createTaskParams,
  match as matchSchema,
  maxPayloadBytes,
  objectKeys,
  page,
  person as personSchema,
  queryDocument,
  search as searchSchema,
} from '@stardipper/proto';
import { aMatch, aReport, aRunningSearch, progressed, requested, rpcFinished, span } from './support/box';
import { addBox, anHour, anOperator, aPerson, idleEstimate, type Operator, picture, startWorld, until, type World } from './support/world';

let world: World;
let operator: Operator;
let stranger: Operator;

beforeAll(async () => {
  world = await startWorld();
  operator = await anOperator(world);
  stranger = await anOperator(world);
});
afterAll(() => world?.close());

const ask = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
  world.request(operator.token, method, path, body, headers);

describe('people', () => {
  it('are created, listed page by page, changed and deleted, with their photos', async () => {
    const guest = await anOperator(world);
    const as = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
      world.request(guest.token, method, path, body, headers);
    const ids: string[] = [];
    for (const name of ['A', 'B', 'C']) ids.push((await as('POST', '/people', { name })).body.id);
    const first = await as('GET', '/people?limit=2');
    const second = await as('GET', `/people?limit=2&cursor=${first.body.nextCursor}`);
    expect([...first.body.items, ...second.body.items].map((each: { id: string }) => each.id)).toEqual([...ids].reverse());
    page(personSchema).parse(first.body);

    const added = await as('POST', `/people/${ids[0]}/photos`, await picture('grey', 200, 100, 'png'), { 'content-type': 'image/png' });
    expect(added).toMatchObject({ status: 201, body: { photos: [{ width: 200, height: 100, facePx: 30, quality: 0.75 }] } });
    const photo = added.body.photos[0];
    const shown = await fetch(photo.url.replace('http://star.test', world.base));
    expect(shown.headers.get('content-type')).toBe('image/jpeg');
    expect((await shown.arrayBuffer()).byteLength).toBeGreaterThan(100);
    const again = await as('POST', `/people/${ids[0]}/photos`, await picture('grey', 200, 100, 'png'), { 'content-type': 'image/png' });
    expect(again.body.photos).toHaveLength(1);

    expect((await as('PATCH', `/people/${ids[0]}`, { note: 'tall' })).body).toMatchObject({ name: 'A', note: 'tall' });
    expect((await as('DELETE', `/people/${ids[0]}/photos/${photo.id}`)).status).toBe(204);
    expect(await as('DELETE', `/people/${ids[0]}/photos/${photo.id}`)).toMatchObject({ status: 404, body: { code: 'photo.not_found' } });
    expect(
      await world.objects.head(guest.caller.tenantId, objectKeys.photo(guest.caller.tenantId, ids[0] as string, photo.id)),
    ).toBeUndefined();
    expect((await as('DELETE', `/people/${ids[0]}`)).status).toBe(204);
    expect(await as('GET', `/people/${ids[0]}`)).toMatchObject({ status: 404, body: { code: 'person.not_found' } });
    const looks = world.audit.filter((entry) => entry.tenantId === guest.caller.tenantId).map((entry) => entry.action);
    expect(looks).toEqual(expect.arrayContaining(['person.created', 'photo.added', 'photos.viewed', 'photo.deleted', 'person.deleted']));
  });

  it('lets no face behind when a deletion could not reach storage', async () => {
    const personId = await aPerson(world, operator);
    const { body } = await ask('GET', `/people/${personId}`);
    const key = objectKeys.photo(operator.caller.tenantId, personId, body.photos[0].id);
    const { delete: remove } = world.objects;
    Object.assign(world.objects, { delete: () => Promise.reject(new Error('storage is down')) });
    expect((await ask('DELETE', `/people/${personId}`)).status).toBe(204);
    expect(await world.objects.head(operator.caller.tenantId, key)).toBeDefined();
    Object.assign(world.objects, { delete: remove });
    expect(await world.search.deleteDoomed()).toBe(1);
    expect(await world.objects.head(operator.caller.tenantId, key)).toBeUndefined();
  });

  it.each([
    ['nothing', Buffer.alloc(0), 'image/jpeg', 400, 'photo.empty'],
    ['no picture', Buffer.from('GIF89a is what it says'), 'image/png', 422, 'photo.undecodable'],
    ['half a picture', 'half', 'image/jpeg', 422, 'photo.truncated'],
    ['a GIF called JPEG', 'gif', 'image/jpeg', 400, 'photo.type_unsupported'],
    ['a GIF', 'gif', 'image/gif', 415, 'request.media_type'],
    ['20,000 pixels in width', 'wide', 'image/png', 422, 'photo.dimensions'],
    ['more than 15 MB', Buffer.alloc(15 * 1024 * 1024 + 1), 'image/jpeg', 413, 'photo.too_large'],
    ['nobody', 'blue', 'image/jpeg', 422, 'photo.no_face'],
    ['two people', 'lime', 'image/jpeg', 422, 'photo.several_faces'],
    ['somebody far away', 'red', 'image/jpeg', 422, 'photo.face_too_small'],
  ])('refuses a photo of %s', async (_, what, type, status, code) => {
    const { body } = await ask('POST', '/people', { name: 'X' });
    const bytes = typeof what === 'string' ? await badPicture(what) : what;
    const answer = await ask('POST', `/people/${body.id}/photos`, bytes, { 'content-type': type });
    expect(answer).toMatchObject({ status, body: { code } });
    if (code.endsWith('face')) expect(answer.body.params).toEqual({ reason: code.slice(6) });
    expect(JSON.stringify(answer.body)).not.toContain('must not leak');
    expect((await ask('GET', `/people/${body.id}`)).body.photos).toEqual([]);
  });

  it('refuses a hundred megabytes by their announcement, before any of them has come', async () => {
    const { body } = await ask('POST', '/people', { name: 'X' });
    const headers = { authorization: `Bearer ${operator.token}`, 'content-type': 'image/jpeg', 'content-length': 100 * 1024 * 1024 };
    const sending = request(`${world.base}/api/v1/people/${body.id}/photos`, { method: 'POST', headers });
    sending.on('error', () => {});
    const answer = new Promise<IncomingMessage>((resolve) => sending.on('response', resolve));
    sending.flushHeaders();
    const response = await answer;
    expect([response.statusCode, ((await json(response)) as { code: string }).code]).toEqual([413, 'photo.too_large']);
    sending.destroy();
    expect((await ask('GET', `/people/${body.id}`)).body.photos).toEqual([]);
  });

  it('refuses a body without length that never ends, and cuts it off', async () => {
    const { body } = await ask('POST', '/people', { name: 'X' });
    // Not `fetch`, which hands out no answer before its body is sent.
    const sending = request(`${world.base}/api/v1/people/${body.id}/photos`, {
      method: 'POST',
      headers: { authorization: `Bearer ${operator.token}`, 'content-type': 'image/jpeg' },
    });
    const piece = Buffer.alloc(1024 * 1024);
    const send = () => {
      while (!sending.destroyed && sending.write(piece));
    };
    sending.on('drain', send).on('error', () => {});
    const cut = new Promise((resolve) => sending.on('close', resolve));
    const answer = new Promise<IncomingMessage>((resolve) => sending.on('response', resolve));
    send();
    const response = await answer;
    expect([response.statusCode, ((await json(response)) as { code: string }).code]).toEqual([413, 'photo.too_large']);
    await cut;
  });
});

async function badPicture(what: string): Promise<Buffer> {
  if (what === 'half') {
    const whole = await picture('grey', 800, 800);
    return whole.subarray(0, whole.length / 2);
  }
  if (what === 'gif') return picture('grey', 8, 8, 'gif');
  if (what === 'wide') return picture('grey', 20_000, 10, 'png');
  return picture(what);
}

describe('drafting a search', () => {
  const hour = anHour();
  let personId: string;
  let good: Record<string, unknown>;

  beforeAll(async () => {
    personId = await aPerson(world, operator);
    good = { personIds: [personId], cameraIds: operator.cameraIds, ...hour };
  });

  it('answers an estimate of every box, also of one that is away', async () => {
    const guest = await anOperator(world, 2);
    const away = addBox(world, guest.caller.tenantId, 3, false);
    const silent = addBox(world, guest.caller.tenantId, 1);
    const confused = addBox(world, guest.caller.tenantId, 1);
    world.askEdge = async (_, edgeId) => {
      if (edgeId === silent.edgeId) return new Promise<string>(() => {});
      return edgeId === confused.edgeId ? 'no json' : JSON.stringify(idleEstimate);
    };
    const cameraIds = [guest, away, silent, confused].flatMap((box) => box.cameraIds);
    const draft = await world.request(guest.token, 'POST', '/searches', { personIds: [await aPerson(world, guest)], cameraIds, ...hour });
    expect(draft).toMatchObject({
      status: 201,
      body: {
        state: 'draft',
        threshold: 0.5,
        priority: 3,
        packId: 'test-pack',
        tasks: [],
        coverage: { pendingSeconds: 7 * 3600, searchedSeconds: 0 },
        estimate: { cameraHours: 7, price: { amount: '0.70', currency: 'CNY' }, expectedSeconds: 43 },
      },
    });
    searchSchema.parse(draft.body);
    const answered = draft.body.estimate.edges.map((edge: { edgeId: string; answered: boolean }) => [edge.edgeId, edge.answered]);
    expect(answered).toEqual([
      [guest.edgeId, true],
      [away.edgeId, false],
      [silent.edgeId, false],
      [confused.edgeId, false],
    ]);
    world.askEdge = async () => JSON.stringify(idleEstimate);
  });

  const soon = new Date(Date.now() + 3_600_000).toISOString();
  it.each([
    ['a reversed range', { from: hour.to, to: hour.from }, 422, 'search.range_reversed'],
    ['an empty range', { from: hour.to, to: hour.to }, 422, 'search.range_reversed'],
    ['the future', { to: soon }, 422, 'search.range_in_future'],
    ['more than a month', { from: new Date(Date.now() - 40 * 86_400_000).toISOString() }, 422, 'search.range_too_long'],
    ['times before all recorders', { from: '1969-12-30T00:00:00Z', to: '1969-12-31T00:00:00Z' }, 422, 'search.range_too_old'],
    ['no time zone', { from: '2026-01-01T00:00:00' }, 400, 'request.invalid'],
    ['an unknown camera', { cameraIds: [randomUUID()] }, 422, 'search.camera_unknown'],
    ['no camera', { cameraIds: [] }, 400, 'request.invalid'],
    ['an unknown person', { personIds: [randomUUID()] }, 422, 'search.person_unknown'],
    ['no person', { personIds: [] }, 400, 'request.invalid'],
    ['a threshold above 1', { threshold: 1.01 }, 400, 'request.invalid'],
    ['a negative threshold', { threshold: -0.1 }, 400, 'request.invalid'],
    ['a threshold in words', { threshold: 'high' }, 400, 'request.invalid'],
    ['a priority that does not exist', { priority: 7 }, 400, 'request.invalid'],
    ['too many cameras', { cameraIds: Array.from({ length: 4097 }, () => randomUUID()) }, 400, 'request.invalid'],
    ['no purpose', { purpose: undefined }, 400, 'request.invalid'],
    ['a blank purpose', { purpose: ' \t\u3000 ' }, 400, 'request.invalid'],
    ['something more', { tenantId: randomUUID() }, 400, 'request.invalid'],
  ])('refuses %s', async (_, change, status, code) => {
    expect(await ask('POST', '/searches', { ...good, ...change })).toMatchObject({ status, body: { code } });
  });

  it('refuses JSON that is too deep, too large or none', async () => {
    const post = async (text: string) => {
      const answer = await world.request(operator.token, 'POST', '/searches', Buffer.from(text), { 'content-type': 'application/json' });
      return [answer.status, answer.body.code];
    };
    const whole = JSON.stringify(good);
    expect(await post(whole.replace('{', `{"deep":${'['.repeat(50_000)}${']'.repeat(50_000)},`))).toEqual([400, 'request.too_deep']);
    expect(await post(whole.replace('{', `{"purpose":"${'x'.repeat(2 * 1024 * 1024)}",`))).toEqual([413, 'request.too_large']);
    expect(await post(whole.slice(0, -1))).toEqual([400, 'request.malformed_json']);
    expect(await post('null')).toEqual([400, 'request.invalid']);
  });

  it('refuses another tenant’s camera and person like unknown ones, and a person without a photo', async () => {
    const foreign = { camera: stranger.cameraIds[0], person: await aPerson(world, stranger) };
    expect(await ask('POST', '/searches', { ...good, cameraIds: [...operator.cameraIds, foreign.camera] })).toMatchObject({
      status: 422,
      body: { code: 'search.camera_unknown', params: { cameraIds: [foreign.camera] } },
    });
    expect(await ask('POST', '/searches', { ...good, personIds: [foreign.person] })).toMatchObject({
      status: 422,
      body: { code: 'search.person_unknown' },
    });
    const faceless = (await ask('POST', '/people', { name: 'Nobody' })).body.id;
    expect(await ask('POST', '/searches', { ...good, personIds: [personId, faceless] })).toMatchObject({
      status: 422,
      body: { code: 'search.person_without_photo', params: { personIds: [faceless] } },
    });
  });

  it('makes one draft of one idempotency key, however often and at once', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const drafts = await Promise.all([1, 2, 3, 4].map(() => ask('POST', '/searches', good, key)));
    expect(new Set(drafts.map((draft) => draft.body.id)).size).toBe(1);
    expect(await ask('POST', '/searches', { ...good, name: 'other' }, key)).toMatchObject({
      status: 409,
      body: { code: 'search.idempotency_key_reused' },
    });
    expect(await ask('POST', '/searches', good, { 'idempotency-key': 'with space' })).toMatchObject({
      status: 400,
      body: { code: 'search.idempotency_key_invalid' },
    });
    const foreign = await world.request(
      stranger.token,
      'POST',
      '/searches',
      { personIds: [await aPerson(world, stranger)], cameraIds: stranger.cameraIds, ...hour },
      key,
    );
    expect(foreign.status).toBe(201);
  });

  it('counts a camera once that is named twice', async () => {
    const draft = await ask('POST', '/searches', { ...good, cameraIds: [...operator.cameraIds, ...operator.cameraIds] });
    expect(draft.body).toMatchObject({ cameraIds: operator.cameraIds, coverage: { pendingSeconds: 7200 } });
  });

  it('is listed newest first, refused a broken cursor, cancelled and deleted', async () => {
    const draft = await ask('POST', '/searches', good);
    const list = await ask('GET', '/searches?limit=1');
    expect(list.body.items[0].id).toBe(draft.body.id);
    expect((await ask('GET', `/searches?limit=1&cursor=${list.body.nextCursor}`)).body.items[0].id).not.toBe(draft.body.id);
    for (const bad of ['x', Buffer.from('["people","a","b"]').toString('base64url'), list.body.nextCursor.slice(2)]) {
      expect(await ask('GET', `/searches?cursor=${bad}`)).toMatchObject({ status: 400, body: { code: 'search.cursor_invalid' } });
    }
    expect((await ask('POST', `/searches/${draft.body.id}/cancel`)).body).toMatchObject({
      state: 'cancelled',
      finishedAt: expect.any(String),
    });
    expect(await ask('POST', `/searches/${draft.body.id}/start`)).toMatchObject({ status: 409, body: { code: 'search.already_final' } });
    expect((await ask('DELETE', `/searches/${draft.body.id}`)).status).toBe(204);
    expect(await ask('GET', `/searches/${draft.body.id}`)).toMatchObject({ status: 404, body: { code: 'search.not_found' } });
  });
});

describe('a search', () => {
  it('goes from start to matches', async () => {
    const { search, tasks } = await aRunningSearch(world, operator, { purpose: 'missing child' });
    const [task] = tasks;
    if (!task) throw new Error('no task');
    const [cameraA = '', cameraB = ''] = operator.cameraIds;
    const [personId = ''] = search.personIds;
    expect(search).toMatchObject({
      state: 'running',
      purpose: 'missing child',
      tasks: [{ state: 'requested', rangeSeconds: 7200, doneSeconds: 0 }],
    });

    // What the box fetches is what the hash says.
    const query = await fetch(task.query.url.replace('http://star.test', world.base));
    const document = Buffer.from(await query.arrayBuffer());
    expect([document.length, createHash('sha256').update(document).digest('hex')]).toEqual([task.query.bytes, task.query.sha256]);
    expect(queryDocument.parse(JSON.parse(document.toString()))).toMatchObject({
      packId: 'test-pack',
      threshold: 0.5,
      persons: [{ id: personId }],
    });

    await world.bus.append([rpcFinished(operator, task)]);
    await until('accepted', async () => (await ask('GET', `/searches/${search.id}`)).body.tasks[0].state === 'accepted');
    const { from, to } = task.range;
    const match = aMatch(cameraA, personId, from + 1_000);
    await world.objects.put(
      operator.caller.tenantId,
      objectKeys.crop(operator.caller.tenantId, operator.edgeId, match.sightingId),
      Buffer.from('jpeg'),
      'image/jpeg',
    );
    const later = aMatch(cameraB, personId, from + 2_000, { score: 0.9 });
    await world.bus.append([
      progressed(operator, aReport(task, 1, { coverage: [span(cameraA, from, to)], matches: [match] })),
      progressed(operator, aReport(task, 2, { state: 'finished', coverage: [span(cameraB, from, to, 'no_footage')], matches: [later] })),
    ]);
    const finished = await until('finished', async () => {
      const { body } = await ask('GET', `/searches/${search.id}`);
      return body.state === 'finished' && body;
    });
    expect(finished).toMatchObject({
      matches: 2,
      finishedAt: expect.any(String),
      coverage: { searchedSeconds: 3600, noFootageSeconds: 3600, indexedSeconds: 0, failedSeconds: 0, pendingSeconds: 0 },
      tasks: [
        { state: 'finished', doneSeconds: 7200, matches: 2, keyframesDecoded: 20, downloadedBytes: 200, acceptMs: 12.5, error: null },
      ],
    });
    searchSchema.parse(finished);

    const matches = await ask('GET', `/searches/${search.id}/matches`);
    page(matchSchema).parse(matches.body);
    expect(matches.body.items).toMatchObject([
      {
        id: `${later.sightingId}:${personId}`,
        cropUrl: null,
        verdict: 'unreviewed',
        cameraId: cameraB,
        box: [10, 20, 30, 40],
        frame: [1920, 1080],
      },
      {
        id: `${match.sightingId}:${personId}`,
        cropUrl: expect.stringContaining('http://star.test/objects/'),
        at: new Date(match.at).toISOString(),
        score: 0.75,
      },
    ]);
    const crop = await fetch(matches.body.items[1].cropUrl.replace('http://star.test', world.base));
    expect(await crop.text()).toBe('jpeg');
    expect(world.audit.at(-1)).toMatchObject({ action: 'crops.viewed', subject: search.id, username: 'op' });

    const only = async (filter: string) => (await ask('GET', `/searches/${search.id}/matches?${filter}`)).body.items.length;
    expect(await only(`cameraId=${cameraA}`)).toBe(1);
    expect(await only(`personId=${personId}`)).toBe(2);
    expect(await only(`personId=${randomUUID()}`)).toBe(0);
    expect(await only('minScore=0.9')).toBe(1);
    expect(await only(`from=${new Date(from + 1_001).toISOString()}`)).toBe(1);
    expect(await only(`to=${new Date(from + 1_001).toISOString()}`)).toBe(1);
    expect((await ask('GET', `/searches/${search.id}/matches?minScore=2`)).status).toBe(400);
    const firstPage = await ask('GET', `/searches/${search.id}/matches?limit=1`);
    const secondPage = await ask('GET', `/searches/${search.id}/matches?limit=1&cursor=${firstPage.body.nextCursor}`);
    expect([firstPage, secondPage].map((each) => each.body.items[0].id)).toEqual(matches.body.items.map((each: { id: string }) => each.id));
    expect(secondPage.body.nextCursor).toBeNull();

    const verdict = await ask('POST', `/searches/${search.id}/matches/${match.sightingId}:${personId}/verdict`, { verdict: 'confirmed' });
    expect(verdict).toMatchObject({ status: 200, body: { verdict: 'confirmed' } });
    expect((await ask('GET', `/searches/${search.id}/matches?cameraId=${cameraA}`)).body.items[0].verdict).toBe('confirmed');
    expect(await ask('POST', `/searches/${search.id}/matches/nothing:${personId}/verdict`, { verdict: 'confirmed' })).toMatchObject({
      status: 404,
      body: { code: 'search.match_not_found' },
    });
    expect((await ask('POST', `/searches/${search.id}/matches/${match.sightingId}:${personId}/verdict`, { verdict: 'maybe' })).status).toBe(
      400,
    );

    const coverage = await ask('GET', `/searches/${search.id}/coverage?limit=1`);
    const rest = await ask('GET', `/searches/${search.id}/coverage?limit=1&cursor=${coverage.body.nextCursor}`);
    expect([...coverage.body.items, ...rest.body.items]).toHaveLength(2);
    expect(coverage.body.totals).toEqual(finished.coverage);
    expect((await ask('GET', `/searches/${search.id}/coverage?cameraId=${cameraA}`)).body.items).toEqual([
      { cameraId: cameraA, from: search.from, to: search.to, kind: 'searched', reason: null, samplingMs: 2000 },
    ]);
    const events = world.published.filter((record) => JSON.stringify(record.message).includes(search.id)).map((record) => record.topic);
    expect(events.sort()).toEqual(['search.matched.v1', 'search.matched.v1', 'search.task.accepted.v1', 'search.task.requested.v1']);
    expect(await ask('POST', `/searches/${search.id}/cancel`)).toMatchObject({ status: 409, body: { code: 'search.already_final' } });
    const stored = () =>
      world.analytics.analytics
        .forTenant(operator.caller.tenantId)
        .query('SELECT match_id FROM search_matches WHERE tenant_id = {tenant:UUID} AND search_id = {search:UUID}', { search: search.id });
    expect(await stored()).not.toEqual([]);
    expect((await ask('DELETE', `/searches/${search.id}`)).status).toBe(204);
    expect(await stored()).toEqual([]);
    expect(await world.objects.head(operator.caller.tenantId, objectKeys.query(operator.caller.tenantId, search.id))).toBeUndefined();
  });

  it('starts once, however often and at once, and keeps its person while it runs', async () => {
    const { search } = await aRunningSearch(world, operator);
    const again = await Promise.all([1, 2, 3].map(() => ask('POST', `/searches/${search.id}/start`)));
    expect(again.map((each) => each.body.tasks[0].id)).toEqual(Array(3).fill(search.tasks[0]?.id));
    expect(requested(world, search.id)).toHaveLength(1);
    expect(await ask('DELETE', `/people/${search.personIds[0]}`)).toMatchObject({ status: 409, body: { code: 'person.in_use' } });
    expect(await ask('DELETE', `/searches/${search.id}`)).toMatchObject({ status: 409, body: { code: 'search.not_final' } });
  });

  it('is split for a box with hundreds of cameras, each part small enough for one message', async () => {
    const large = await anOperator(world, 600);
    const { search, tasks } = await aRunningSearch(world, large);
    expect(tasks.map((task) => task.cameras.length)).toEqual([256, 256, 88]);
    expect(tasks.flatMap((task) => task.cameras.map((camera) => camera.id)).sort()).toEqual([...large.cameraIds].sort());
    for (const record of requested(world, search.id)) {
      createTaskParams.parse(JSON.parse(record.message.paramsJson));
      expect(Buffer.byteLength(record.message.paramsJson)).toBeLessThan(maxPayloadBytes);
    }
  });

  it('is cancelled at once and ends when its boxes have', async () => {
    const { search, tasks } = await aRunningSearch(world, operator);
    const [task] = tasks;
    if (!task) throw new Error('no task');
    expect((await ask('POST', `/searches/${search.id}/cancel`)).body).toMatchObject({ state: 'cancelled', finishedAt: null });
    expect((await ask('POST', `/searches/${search.id}/cancel`)).status).toBe(200);
    const calls = await until('the box is told', () => requested(world, search.id).length === 2 && requested(world, search.id));
    expect(calls.map((record) => record.message.method)).toEqual(['createTask', 'cancelTask']);
    expect(JSON.parse(calls[1]?.message.paramsJson ?? '')).toEqual({ taskId: task.taskId });
    expect(await ask('DELETE', `/searches/${search.id}`)).toMatchObject({ status: 409, body: { code: 'search.not_final' } });
    await world.search.takeReport(progressed(operator, aReport(task, 1, { state: 'cancelled' })));
    expect((await ask('GET', `/searches/${search.id}`)).body).toMatchObject({
      state: 'cancelled',
      finishedAt: expect.any(String),
      coverage: { failedSeconds: 7200, pendingSeconds: 0 },
    });
    expect((await ask('GET', `/searches/${search.id}/coverage`)).body.items[0]).toMatchObject({ kind: 'failed', reason: 'task_cancelled' });
  });

  it('is nobody else’s: every route answers 404 to another tenant and 401 to nobody', async () => {
    const { search, tasks } = await aRunningSearch(world, operator);
    const [personId = ''] = search.personIds;
    const photoId = (await ask('GET', `/people/${personId}`)).body.photos[0].id;
    const [task] = tasks;
    const match = aMatch(operator.cameraIds[0] ?? '', personId, (task?.range.from ?? 0) + 5);
    if (task) await world.search.takeReport(progressed(operator, aReport(task, 1, { matches: [match] })));
    const routes: [string, string, unknown?][] = [
      ['GET', `/people/${personId}`],
      ['PATCH', `/people/${personId}`, { name: 'x' }],
      ['DELETE', `/people/${personId}`],
      ['DELETE', `/people/${personId}/photos/${photoId}`],
      ['GET', `/searches/${search.id}`],
      ['POST', `/searches/${search.id}/start`],
      ['POST', `/searches/${search.id}/cancel`],
      ['DELETE', `/searches/${search.id}`],
      ['GET', `/searches/${search.id}/matches`],
      ['GET', `/searches/${search.id}/coverage`],
      ['GET', `/searches/${search.id}/events`],
      ['POST', `/searches/${search.id}/matches/${match.sightingId}:${personId}/verdict`, { verdict: 'rejected' }],
    ];
    for (const [method, path, body] of routes) {
      expect([path, (await world.request(stranger.token, method, path, body)).status]).toEqual([path, 404]);
      expect([path, (await world.request(undefined, method, path, body)).status]).toEqual([path, 401]);
    }
    const upload = await world.request(stranger.token, 'POST', `/people/${personId}/photos`, await picture('grey'), {
      'content-type': 'image/jpeg',
    });
    expect(upload.status).toBe(404);
    const lists = await Promise.all(['/people', '/searches'].map((path) => world.request(stranger.token, 'GET', path)));
    expect(JSON.stringify(lists.map((list) => list.body))).not.toContain(search.id);
    expect(JSON.stringify(lists.map((list) => list.body))).not.toContain(personId);
    expect((await ask('GET', '/searches/not-an-id')).status).toBe(400);
  });
});

it('is the operators’ on every route: another role finds nothing and changes nothing', async () => {
  const { paths } = (await (await fetch(`${world.base}/api/openapi.json`)).json()) as { paths: Record<string, Record<string, unknown>> };
  const routes = Object.entries(paths)
    .filter(([path]) => path.startsWith('/api/v1/'))
    .flatMap(([path, verbs]) => Object.keys(verbs).map((verb) => [verb.toUpperCase(), path.slice('/api/v1'.length)] as const));
  expect(routes.length).toBeGreaterThan(15);
  const as = (roles: string[]) => world.tokenFor({ ...operator.caller, roles });
  const [nobody, admin] = [await as([]), await as(['tenant-admin'])];
  for (const [method, path] of routes) {
    const address = path.replaceAll(/\{\w+\}/g, () => randomUUID());
    // How many photos a pack has been shown tells of nobody, and administrators choose the packs. An administrator may be
    // the second person of an approval, decides whether one is needed, and reads receipts.
    for (const token of path === '/packs/in-use' || /approval|deletion/.test(path) ? [nobody] : [nobody, admin]) {
      expect([method, path, await world.request(token, method, address)]).toMatchObject([
        method,
        path,
        { status: 403, body: { code: 'auth.forbidden' } },
      ]);
    }
    const [status, rule] = [(await world.request(operator.token, method, address)).status, `${method} ${path}` === 'PUT /approvals/rule'];
    expect([method, path, status === 403]).toEqual([method, path, rule]);
  }
});
