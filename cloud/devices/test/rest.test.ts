/** Real: HTTP through Nest, tokens, PostgreSQL, the bus with its Nest consumers, MQTT. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTokenIssuer, createTokenVerifier, loadSigningKey } from '@star/platform';
import { connectBus, createHttpApp, type HttpApp } from '@star/platform/nest';
import type { Camera, Edge, Permission, ProvisioningKey, Recorder } from '@stardipper/proto';
import * as api from '@stardipper/proto';
import { DevicesModule, devicesGroup } from '../src';
import { aWorld, Device, provision, until, type World } from './world';

const realm = { issuer: 'http://star.test', audience: 'star' };
let world: World;
let main: Awaited<ReturnType<World['devices']>>;
let app: HttpApp;
let base: string;
let folder: string;
const tokens: string[] = [];
let tokenOf: (roles: readonly string[]) => Promise<string>;

beforeAll(async () => {
  world = await aWorld();
  main = await world.devices();
  folder = await mkdtemp(join(tmpdir(), 'star-devices-'));
  const issuer = createTokenIssuer({ ...realm, key: await loadSigningKey(join(folder, 'key.json')) });
  for (const tenantId of world.tenants) {
    tokens.push((await issuer.issue({ tenantId, userId: randomUUID(), username: 'operator', roles: ['tenant-admin'] })).token);
  }
  tokenOf = async (roles) =>
    (await issuer.issue({ tenantId: world.tenants[0], userId: randomUUID(), username: 'somebody', roles: [...roles] })).token;
  app = await createHttpApp(DevicesModule.forRoot(main.devices), { verifier: createTokenVerifier({ ...realm, keys: issuer.jwks }) });
  connectBus(app.nest, { bus: world.bus, group: devicesGroup });
  await app.nest.startAllMicroservices();
  base = await app.listen();
});

afterAll(async () => {
  await app?.close();
  await world?.close();
  await rm(folder, { recursive: true, force: true });
});

async function call<T = Record<string, unknown>>(
  method: string,
  path: string,
  body?: unknown,
  who = 0,
): Promise<{ status: number; body: T }> {
  const answer = await fetch(`${base}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${tokens[who]}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: (text === '' ? undefined : JSON.parse(text)) as T };
}

type Page<T> = { items: T[]; nextCursor: string | null };
const recorderBody = { name: 'Lobby', baseUrl: 'http://10.0.0.2', username: 'admin', password: 'secret-1' };

/** Of the first tenant, registered with a key made over REST. */
async function anEdge(who = 0): Promise<{ edge: Edge; token: string; key: ProvisioningKey }> {
  const key = (await call<ProvisioningKey>('POST', '/provisioning-keys', { areaId: world.areaId }, who)).body;
  const name = `box ${randomUUID()}`;
  const token = (await provision(main.port, { key: key.key, secret: key.secret as string }, { deviceName: name }))
    .credentialsValue as string;
  const edges = (await call<Page<Edge>>('GET', '/edges?limit=200', undefined, who)).body;
  return { edge: edges.items.find((each) => each.name === name) as Edge, token, key };
}

const report = (
  recorderId: string,
  channels: { channel: number; name: string; online: boolean }[],
  more: Record<string, unknown> = {},
) => ({
  recorderReport: {
    id: randomUUID(),
    recorderId,
    reachable: true,
    checkedAt: Date.now(),
    clockOffsetMs: -1500,
    model: 'DS-7608',
    serialNumber: 'S1',
    firmware: 'V4',
    channels,
    ...more,
  },
});

describe('provisioning keys', () => {
  it('show their secret once, are listed without it, and stop working when deleted', async () => {
    const made = await call<ProvisioningKey>('POST', '/provisioning-keys', { areaId: world.areaId });
    expect(made.status).toBe(201);
    expect(api.provisioningKey.parse(made.body).secret).toMatch(/^\w{43}$/);
    const listed = (await call<Page<ProvisioningKey>>('GET', '/provisioning-keys?limit=200')).body.items.find(
      (key) => key.id === made.body.id,
    );
    expect(listed).toMatchObject({ key: made.body.key });
    expect(listed).not.toHaveProperty('secret');
    const { secret: _, ...shown } = made.body;
    expect(listed).toEqual(shown);
    expect((await call('DELETE', `/provisioning-keys/${made.body.id}`)).status).toBe(204);
    expect((await call('DELETE', `/provisioning-keys/${made.body.id}`)).status).toBe(404);
    expect(await provision(main.port, { key: made.body.key, secret: made.body.secret as string })).toMatchObject({ status: 'NOT_FOUND' });
  });

  it('are not made for an area the tenant does not have', async () => {
    expect(await call('POST', '/provisioning-keys', { areaId: randomUUID() })).toMatchObject({
      status: 422,
      body: { code: 'area.unknown' },
    });
    expect((await call('POST', '/provisioning-keys', {})).status).toBe(400);
  });
});

describe('edges', () => {
  it('are listed page by page, each once', async () => {
    const made = new Set<string>();
    for (let n = 0; n < 5; n++) made.add((await anEdge()).edge.id);
    const found: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: Page<Edge> = (await call<Page<Edge>>('GET', `/edges?limit=2&areaId=${world.areaId}${cursor && `&cursor=${cursor}`}`))
        .body;
      api.page(api.edge).parse(page);
      found.push(...page.items.map((edge) => edge.id));
      cursor = page.nextCursor;
    }
    expect(found.filter((id) => made.has(id))).toHaveLength(5);
    expect(new Set(found).size).toBe(found.length);
    expect(await call('GET', '/edges?cursor=rubbish')).toMatchObject({ status: 400, body: { code: 'cursor.invalid' } });
    expect((await call<Page<Edge>>('GET', `/edges?areaId=${randomUUID()}`)).body.items).toEqual([]);
  });

  it('are renamed and deleted', async () => {
    const [a, b] = [await anEdge(), await anEdge()];
    expect(await call('PATCH', `/edges/${a.edge.id}`, { name: 'North gate' })).toMatchObject({
      status: 200,
      body: { id: a.edge.id, name: 'North gate', online: false },
    });
    expect(await call('PATCH', `/edges/${b.edge.id}`, { name: 'North gate' })).toMatchObject({
      status: 409,
      body: { code: 'edge.name_taken' },
    });
    expect((await call('DELETE', `/edges/${a.edge.id}`)).status).toBe(204);
    expect(await call('GET', `/edges/${a.edge.id}`)).toMatchObject({ status: 404, body: { code: 'edge.not_found' } });
    expect(await Device.refusal(main.port, { username: a.token })).toBe(5);
  });
});

describe('recorders and cameras', () => {
  it('never show a password, and refuse what makes no sense', async () => {
    const { edge } = await anEdge();
    const made = await call<Recorder>('POST', `/edges/${edge.id}/recorders`, recorderBody);
    expect(made.status).toBe(201);
    expect(api.recorder.parse(made.body)).toMatchObject({
      edgeId: edge.id,
      name: 'Lobby',
      kind: 'isapi',
      maxSessions: 1,
      reachable: null,
      checkedAt: null,
    });
    expect(JSON.stringify(made.body)).not.toContain('secret-1');
    expect(await call('POST', `/edges/${edge.id}/recorders`, recorderBody)).toMatchObject({
      status: 409,
      body: { code: 'recorder.name_taken' },
    });
    expect(await call('POST', `/edges/${edge.id}/recorders`, { ...recorderBody, name: 'x', timeZone: 'Mars/North' })).toMatchObject({
      status: 422,
      body: { code: 'recorder.time_zone_unknown' },
    });
    expect((await call('POST', `/edges/${edge.id}/recorders`, { ...recorderBody, name: 'y', extra: 1 })).status).toBe(400);
    // An address is shown; a log-in in it would be, too.
    for (const baseUrl of ['http://admin:secret@10.0.0.2', 'http://admin@10.0.0.2', 'ftp://10.0.0.2', '10.0.0.2', ''])
      expect([baseUrl, await call('POST', `/edges/${edge.id}/recorders`, { ...recorderBody, name: 'z', baseUrl })]).toMatchObject([
        baseUrl,
        { status: 400, body: { errors: [{ pointer: '/baseUrl' }] } },
      ]);
    expect(await call('PATCH', `/recorders/${made.body.id}`, { maxSessions: 4 })).toMatchObject({
      status: 200,
      body: { maxSessions: 4, name: 'Lobby' },
    });
    // Ids are the same ids in capital letters.
    expect((await call('PATCH', `/recorders/${made.body.id.toUpperCase()}`, { password: 'secret-2' })).status).toBe(200);
    expect((await call('GET', `/edges/${edge.id.toUpperCase()}`)).body).toMatchObject({ id: edge.id });
    expect((await call<Page<Recorder>>('GET', `/edges/${edge.id}/recorders`)).body.items).toMatchObject([
      { id: made.body.id, maxSessions: 4 },
    ]);
    expect((await call('DELETE', `/recorders/${made.body.id}`)).status).toBe(204);
    expect((await call('GET', `/recorders/${made.body.id}`)).status).toBe(404);
  });

  it('become cameras by what the box reports, with ids that stay', async () => {
    const { edge, token } = await anEdge();
    const recorder = (await call<Recorder>('POST', `/edges/${edge.id}/recorders`, recorderBody)).body;
    const box = await Device.connect(main.port, { username: token });
    await box.publish(
      'v1/devices/me/telemetry',
      report(recorder.id, [
        { channel: 1, name: 'Gate', online: true },
        { channel: 2, name: 'Yard', online: true },
      ]),
    );
    const cameras = async () => (await call<Page<Camera>>('GET', `/cameras?edgeId=${edge.id}`)).body.items;
    await until(async () => (await cameras()).length === 2);
    const [gate, yard] = await cameras();
    expect(api.camera.parse(gate)).toMatchObject({
      recorderId: recorder.id,
      areaId: world.areaId,
      channel: 1,
      name: 'Gate',
      online: true,
    });
    expect((await call('GET', `/recorders/${recorder.id}`)).body).toMatchObject({
      reachable: true,
      clockOffsetMs: -1500,
      model: 'DS-7608',
      errorCode: null,
    });
    expect((await call('PATCH', `/cameras/${gate!.id}`, { name: 'Main gate' })).body).toMatchObject({ name: 'Main gate' });
    // The yard is gone, the gate has another name for the recorder, and there is a third.
    await box.publish(
      'v1/devices/me/telemetry',
      report(recorder.id, [
        { channel: 1, name: 'Camera 01', online: true },
        { channel: 3, name: 'Roof', online: false },
      ]),
    );
    await until(async () => (await cameras()).length === 3);
    expect(await cameras()).toMatchObject([
      { id: gate!.id, name: 'Main gate', online: true },
      { id: yard!.id, name: 'Yard', online: false },
      { channel: 3, online: false },
    ]);
    await box.publish('v1/devices/me/telemetry', report(recorder.id, [], { reachable: false, error: { code: 'recorder.unauthorized' } }));
    await until(async () => (await cameras()).every((camera) => !camera.online));
    expect((await call('GET', `/recorders/${recorder.id}`)).body).toMatchObject({
      reachable: false,
      errorCode: 'recorder.unauthorized',
      model: 'DS-7608',
    });
    // Another box may say what it likes about this recorder.
    const other = await anEdge();
    const liar = await Device.connect(main.port, { username: other.token });
    await liar.publish('v1/devices/me/telemetry', report(recorder.id, [{ channel: 9, name: 'Lie', online: true }]));
    await liar.publish(
      'v1/devices/me/telemetry',
      report((await call<Recorder>('POST', `/edges/${other.edge.id}/recorders`, recorderBody)).body.id, [
        { channel: 1, name: 'Own', online: true },
      ]),
    );
    await until(async () => (await call<Page<Camera>>('GET', `/cameras?edgeId=${other.edge.id}`)).body.items.length === 1);
    expect(await cameras()).toHaveLength(3);
    const refs = await main.devices.listCameraRefs(world.tenants[0], [gate!.id, randomUUID(), 'nonsense']);
    expect(refs).toMatchObject([
      { cameraId: gate!.id, edgeId: edge.id, edgeName: edge.name, name: 'Main gate', recorderId: recorder.id, channel: 1 },
    ]);
    expect(await main.devices.listCameraRefs(world.tenants[1], [gate!.id])).toEqual([]);
    await Promise.all([box.end(), liar.end()]);
  });
});

describe('roles', () => {
  it('decide on every route as the table says, before anything is looked at', async () => {
    for (const role of [...api.roles, 'guest']) {
      const token = await tokenOf([role]);
      for (const { method, path, access } of api.policy.devices) {
        const answer = await fetch(`${base}${path.replace(/:\w+/, randomUUID())}`, {
          method,
          headers: { authorization: `Bearer ${token}` },
        });
        const refused = answer.status === 403 && ((await answer.json()) as { code: string }).code === 'auth.forbidden';
        const held = api.permissionsOf([role]).has(access as Permission);
        expect([method, path, role, answer.status, refused]).toEqual([method, path, role, answer.status, !held]);
      }
    }
  });

  it('let an operator look at boxes and change nothing', async () => {
    const { edge } = await anEdge();
    const recorder = (await call<Recorder>('POST', `/edges/${edge.id}/recorders`, recorderBody)).body;
    const headers = { authorization: `Bearer ${await tokenOf(['operator'])}`, 'content-type': 'application/json' };
    const as = async (method: string, path: string, body?: unknown) => {
      const answer = await fetch(`${base}/api/v1${path}`, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
      return [answer.status, ((await answer.json()) as { code?: string }).code];
    };
    expect(await as('GET', `/recorders/${recorder.id}`)).toEqual([200, undefined]);
    expect(await as('PATCH', `/recorders/${recorder.id}`, { baseUrl: 'http://10.9.9.9' })).toEqual([403, 'auth.forbidden']);
    expect(await as('POST', `/edges/${edge.id}/recorders`, { ...recorderBody, name: 'Other' })).toEqual([403, 'auth.forbidden']);
    expect(await as('POST', '/provisioning-keys', { areaId: world.areaId })).toEqual([403, 'auth.forbidden']);
    expect((await call('GET', `/recorders/${recorder.id}`)).body).toMatchObject({ baseUrl: recorderBody.baseUrl });
    expect((await call<Page<Recorder>>('GET', `/edges/${edge.id}/recorders`)).body.items).toHaveLength(1);
  });
});

describe('another tenant', () => {
  it('finds nothing on any route', async () => {
    const { edge, key, token } = await anEdge();
    const recorder = (await call<Recorder>('POST', `/edges/${edge.id}/recorders`, recorderBody)).body;
    const box = await Device.connect(main.port, { username: token });
    await box.publish('v1/devices/me/telemetry', report(recorder.id, [{ channel: 1, name: 'Gate', online: true }]));
    const camera = (await until(async () => (await call<Page<Camera>>('GET', `/cameras?edgeId=${edge.id}`)).body.items[0])) as Camera;
    const routes: [string, string, unknown?][] = [
      ['GET', `/edges/${edge.id}`],
      ['PATCH', `/edges/${edge.id}`, { name: 'mine' }],
      ['DELETE', `/edges/${edge.id}`],
      ['GET', `/edges/${edge.id}/rpc`],
      ['GET', `/edges/${edge.id}/recorders`],
      ['POST', `/edges/${edge.id}/recorders`, recorderBody],
      ['GET', `/recorders/${recorder.id}`],
      ['PATCH', `/recorders/${recorder.id}`, { name: 'mine' }],
      ['DELETE', `/recorders/${recorder.id}`],
      ['PATCH', `/cameras/${camera.id}`, { name: 'mine' }],
      ['DELETE', `/provisioning-keys/${key.id}`],
    ];
    for (const [method, path, body] of routes)
      expect([method, path, (await call(method, path, body, 1)).status]).toEqual([method, path, 404]);
    for (const path of ['/edges', `/cameras?edgeId=${edge.id}`, '/provisioning-keys', '/cameras']) {
      const ids = (await call<Page<{ id: string }>>('GET', path, undefined, 1)).body.items.map((item) => item.id);
      for (const id of [edge.id, camera.id, key.id]) expect(ids).not.toContain(id);
    }
    expect((await call('GET', `/edges/${edge.id}`)).body).toMatchObject({ name: edge.name });
    expect((await fetch(`${base}/api/v1/edges`)).status).toBe(401);
    await box.end();
  });
});

it('shows operators the calls made to an edge, newest first', async () => {
  const { edge, token } = await anEdge();
  for (const taskId of ['one', 'two', 'three']) {
    await world.bus.append([
      {
        topic: 'search.task.requested.v1',
        key: edge.id,
        id: randomUUID(),
        tenantId: world.tenants[0],
        occurredAt: new Date(),
        message: { searchId: 's', taskId, edgeId: edge.id, method: 'createTask', paramsJson: '{}', expiresAtMs: Date.now() + 60_000 },
      },
    ]);
  }
  const box = await Device.connect(main.port, { username: token });
  await box.subscribe('v1/devices/me/rpc/request/+');
  await until(() => box.messages.length === 3);
  await box.publish('v1/devices/me/rpc/response/1', { accepted: true });
  const page = (await call<Page<api.EdgeRpc>>('GET', `/edges/${edge.id}/rpc?limit=2`)).body;
  expect(
    api
      .page(api.edgeRpc)
      .parse(page)
      .items.map((rpc) => rpc.correlationId),
  ).toEqual(['three', 'two']);
  const rest = (await call<Page<api.EdgeRpc>>('GET', `/edges/${edge.id}/rpc?limit=2&cursor=${page.nextCursor}`)).body;
  expect(rest).toMatchObject({ items: [{ correlationId: 'one', state: 'SUCCESSFUL', reply: { accepted: true } }], nextCursor: null });
  expect(rest.items[0]!.roundTripMs).toBeGreaterThan(0);
  await box.end();
});
