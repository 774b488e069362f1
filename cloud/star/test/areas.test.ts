/** Tenants and devices together, as `services.ts` puts them: real PostgreSQL, HTTP with its guard, MQTT, the bus. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DynamicModule, Module } from '@nestjs/common';
import { countOnAreas, type Devices, DevicesModule, moveOnAreas } from '@star/devices';
import { createUserAdmin, endTokens, identityMigrations } from '@star/identity';
import {
  type Caller,
  createTokenIssuer,
  createTokenVerifier,
  type Limits,
  loadSigningKey,
  openLocalCache,
  type TokenIssuer,
} from '@star/platform';
import { createHttpApp, type HttpApp } from '@star/platform/nest';
import { createTenants, holdArea, recordAudit, type Tenants, TenantsModule, tenantsMigrations } from '@star/tenants';
import type { Area, Camera, Edge, Page, ProvisioningKey, Recorder, RefusedEdge } from '@stardipper/proto';
import fc from 'fast-check';
import { aWorld, provision, type World } from '../../devices/test/world';
import { aTenantWith } from '../../tenants/test/support/a-tenant';

const realm = { issuer: 'http://star.test', audience: 'star' };
const plenty: Limits = { edges: 1000, cameras: 1000, people: 1000, searchesInFlight: 1000 };
let world: World;
let tokens: TokenIssuer;
let tenants: Tenants;
let devices: Devices;
let mqttPort: number;
let app: HttpApp;
let base: string;
let folder: string;
const limits = new Map<string, Limits>();

@Module({})
class BothModule {}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-areas-'));
  world = await aWorld([
    { service: 'identity', folder: identityMigrations },
    { service: 'tenants', folder: tenantsMigrations },
  ]);
  tokens = createTokenIssuer({ ...realm, key: await loadSigningKey(join(folder, 'key.json')) });
  tenants = createTenants({
    database: world.database.db,
    identity: createUserAdmin({ database: world.database.db }),
    endTokens: endTokens({ cache: await openLocalCache() }),
    hanging: [{ count: countOnAreas, moveAll: moveOnAreas }],
  });
  const started = await world.devices({
    holdArea,
    areasVisibleTo: tenants.areasVisibleTo,
    audit: recordAudit,
    limitsOf: async (tenantId) => limits.get(tenantId) ?? plenty,
  });
  devices = started.devices;
  mqttPort = started.port;
  const both: DynamicModule = { module: BothModule, imports: [TenantsModule.forRoot(tenants), DevicesModule.forRoot(devices)] };
  app = await createHttpApp(both, {
    verifier: createTokenVerifier({ ...realm, keys: tokens.jwks }),
    areasVisibleTo: tenants.areasVisibleTo,
  });
  base = await app.listen();
});

afterAll(async () => {
  await app?.close();
  await world?.close();
  await rm(folder, { recursive: true, force: true });
});

async function call<T = Record<string, unknown>>(who: Caller, method: string, path: string, body?: unknown) {
  const answer = await fetch(`${base}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${(await tokens.issue(who)).token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: (text === '' ? undefined : JSON.parse(text)) as T };
}

async function aTenant(): Promise<Caller> {
  const username = `admin-${randomUUID()}`;
  const { tenantId, adminId } = await aTenantWith(
    { database: world.database.db, identity: createUserAdmin({ database: world.database.db }) },
    { username },
  );
  return { tenantId, userId: adminId, username, roles: ['tenant-admin'] };
}

const make = (who: Caller, kind: Area['kind'], name: string, parentId: string | null = null) =>
  tenants.createArea(who, { kind, name, parentId });
const keyFor = async (who: Caller, areaId: string) => (await call<ProvisioningKey>(who, 'POST', '/provisioning-keys', { areaId })).body;
const register = (key: ProvisioningKey, name: string) =>
  provision(mqttPort, { key: key.key, secret: key.secret as string }, { deviceName: name });
const all = async <T>(who: Caller, path: string) => (await call<Page<T>>(who, 'GET', path)).body.items;

/** What a box reports of a recorder with so many channels. */
const report = (tenantId: string, edgeId: string, recorderId: string, channels: number, from = 1) =>
  devices.applyRecorderReport({
    topic: 'device.recorder.reported.v1',
    key: edgeId,
    id: randomUUID(),
    tenantId,
    occurredAt: new Date(),
    message: {
      edgeId,
      recorderId,
      reportId: randomUUID(),
      reportedAtMs: Date.now(),
      bodyJson: JSON.stringify({
        id: randomUUID(),
        recorderId,
        reachable: true,
        checkedAt: Date.now(),
        clockOffsetMs: 0,
        model: 'M',
        serialNumber: 'S',
        firmware: 'F',
        channels: Array.from({ length: channels }, (_, n) => ({ channel: from + n, name: `Camera ${from + n}`, online: true })),
      }),
    },
  });

async function aBox(
  who: Caller,
  areaId: string,
  channels = 2,
): Promise<{ edge: Edge; recorder: Recorder; cameras: Camera[]; key: ProvisioningKey }> {
  const key = await keyFor(who, areaId);
  const name = `box ${randomUUID()}`;
  expect(await register(key, name)).toMatchObject({ status: 'SUCCESS' });
  const edge = (await all<Edge>(who, '/edges?limit=200')).find((each) => each.name === name) as Edge;
  const settings = { name: 'R', baseUrl: 'http://10.0.0.2', username: 'u', password: 'secret-1' };
  const recorder = (await call<Recorder>(who, 'POST', `/edges/${edge.id}/recorders`, settings)).body;
  await report(who.tenantId, edge.id, recorder.id, channels);
  return { edge, recorder, key, cameras: await all<Camera>(who, `/cameras?edgeId=${edge.id}`) };
}

describe('what hangs on areas', () => {
  it('hangs on the other after a merge, and a box that comes with an old key, too', async () => {
    const admin = await aTenant();
    const [a, b] = [await make(admin, 'community', 'A'), await make(admin, 'community', 'B')];
    const building = await make(admin, 'building', '1', a.id);
    const box = await aBox(admin, a.id);
    await call(admin, 'PATCH', `/cameras/${box.cameras[0]?.id}`, { areaId: building.id });
    expect(await call(admin, 'DELETE', `/areas/${a.id}`)).toMatchObject({
      status: 409,
      body: { code: 'area.not_empty', params: { areas: 1, edges: 1, cameras: 1, provisioningKeys: 1 } },
    });
    expect((await call(admin, 'POST', `/areas/${a.id}/merge`, { intoId: b.id })).status).toBe(200);
    expect(await register(box.key, 'late')).toMatchObject({ status: 'SUCCESS' });
    expect((await all<Edge>(admin, '/edges')).map((edge) => edge.areaId)).toEqual([b.id, b.id]);
    expect((await all<Camera>(admin, '/cameras')).map(({ areaId, ownArea }) => [areaId, ownArea])).toEqual([
      [building.id, true],
      [b.id, false],
    ]);
    expect((await all<ProvisioningKey>(admin, '/provisioning-keys')).map((key) => key.areaId)).toEqual([b.id]);
    expect((await all<Area>(admin, '/areas')).map(({ id, edges, cameras }) => [id, edges, cameras])).toEqual([
      [b.id, 2, 1],
      [building.id, 0, 1],
    ]);
    // Whoever still names the old one means the new one.
    expect((await keyFor(admin, a.id)).areaId).toBe(b.id);
  });

  it('leaves no box behind that registers while its area is merged', async () => {
    const admin = await aTenant();
    const into = await make(admin, 'community', 'into');
    for (let round = 0; round < 5; round++) {
      const { id } = await make(admin, 'community', `C${round}`);
      const key = await keyFor(admin, id);
      await Promise.all([
        register(key, `early ${round}`),
        call(admin, 'POST', `/areas/${id}/merge`, { intoId: into.id }),
        register(key, `late ${round}`),
      ]);
    }
    expect(new Set((await all<Edge>(admin, '/edges')).map((edge) => edge.areaId))).toEqual(new Set([into.id]));
    expect(await all<Area>(admin, '/areas')).toMatchObject([{ id: into.id, edges: 10 }]);
  });

  it('stands in a community or a building; a camera in a building below its box', async () => {
    const admin = await aTenant();
    const region = await make(admin, 'region', 'R');
    const [a, b] = [await make(admin, 'community', 'A', region.id), await make(admin, 'community', 'B', region.id)];
    const [one, two] = [await make(admin, 'building', '1', a.id), await make(admin, 'building', '2', b.id)];
    expect(await call(admin, 'POST', '/provisioning-keys', { areaId: region.id })).toMatchObject({
      status: 422,
      body: { code: 'area.kind_unfit' },
    });
    const { edge, cameras } = await aBox(admin, a.id);
    const camera = `/cameras/${cameras[0]?.id}`;
    expect(await call(admin, 'PATCH', camera, { areaId: two.id })).toMatchObject({ status: 422, body: { code: 'area.not_below_edge' } });
    expect(await call(admin, 'PATCH', camera, { areaId: b.id })).toMatchObject({ status: 422, body: { code: 'area.kind_unfit' } });
    expect(await call(admin, 'PATCH', camera, { areaId: randomUUID() })).toMatchObject({ status: 422, body: { code: 'area.unknown' } });
    expect(await call(admin, 'PATCH', camera, { areaId: one.id })).toMatchObject({ body: { areaId: one.id, ownArea: true } });
    expect(await call(admin, 'PATCH', camera, { name: 'Door' })).toMatchObject({ body: { name: 'Door', areaId: one.id } });
    expect(await call(admin, 'PATCH', camera, { areaId: null })).toMatchObject({ body: { areaId: a.id, ownArea: false } });
    await call(admin, 'PATCH', camera, { areaId: one.id });
    expect(await call(admin, 'PATCH', `/edges/${edge.id}`, { areaId: b.id })).toMatchObject({ status: 200, body: { areaId: b.id } });
    // Its building is not below the box any more.
    expect((await all<Camera>(admin, '/cameras')).map(({ areaId, ownArea }) => [areaId, ownArea])).toEqual([
      [b.id, false],
      [b.id, false],
    ]);
    expect(await call(admin, 'PATCH', `/edges/${edge.id}`, { areaId: region.id })).toMatchObject({ status: 422 });
  });
});

describe('roles on an area', () => {
  let admin: Caller;
  let guest: Caller;
  let building: Area;
  let near: Awaited<ReturnType<typeof aBox>>;
  let far: Awaited<ReturnType<typeof aBox>>;
  let communities: Area[];
  beforeEach(async () => {
    admin = await aTenant();
    guest = { ...admin, roles: [] };
    communities = [await make(admin, 'community', 'A'), await make(admin, 'community', 'B')];
    building = await make(admin, 'building', '1', communities[0]?.id);
    near = await aBox(admin, communities[0]?.id as string);
    far = await aBox(admin, communities[1]?.id as string);
    await call(admin, 'PATCH', `/cameras/${near.cameras[0]?.id}`, { areaId: building.id });
  });
  const give = (areaId: string, role: string) => tenants.giveGrant(admin, { userId: guest.userId, areaId, role: role as 'viewer' });

  it('show its boxes, recorders and cameras and no others', async () => {
    for (const path of ['/edges', '/cameras', '/provisioning-keys', `/edges/${near.edge.id}`])
      expect([path, (await call(guest, 'GET', path)).status]).toEqual([path, 403]);
    await give(communities[0]?.id as string, 'viewer');
    expect((await all<Edge>(guest, '/edges')).map((edge) => edge.id)).toEqual([near.edge.id]);
    expect((await all<Camera>(guest, '/cameras')).map((camera) => camera.id)).toEqual(near.cameras.map((camera) => camera.id));
    for (const { edge, recorder } of [near, far]) {
      const expected = edge === near.edge ? 200 : 404;
      for (const path of [`/edges/${edge.id}`, `/edges/${edge.id}/rpc`, `/edges/${edge.id}/recorders`, `/recorders/${recorder.id}`])
        expect([path, (await call(guest, 'GET', path)).status]).toEqual([path, expected]);
    }
    expect((await call(guest, 'PATCH', `/edges/${near.edge.id}`, { name: 'x' })).status).toBe(403);
    expect((await call(guest, 'GET', '/software/edges')).status).toBe(403);
  });

  it('on a building show the cameras in it, not the box they hang on', async () => {
    await give(building.id, 'operator');
    expect((await all<Camera>(guest, '/cameras')).map((camera) => camera.id)).toEqual([near.cameras[0]?.id]);
    expect(await all<Edge>(guest, '/edges')).toEqual([]);
    expect((await call(guest, 'GET', `/edges/${near.edge.id}`)).status).toBe(404);
  });

  it('let an administrator of one community change what is there, and take nothing in from elsewhere', async () => {
    const [a, b] = communities as [Area, Area];
    await give(a.id, 'tenant-admin');
    expect((await call(guest, 'PATCH', `/edges/${near.edge.id}`, { name: 'Gate' })).status).toBe(200);
    const refused: [string, string, unknown, number][] = [
      ['PATCH', `/edges/${far.edge.id}`, { name: 'x' }, 404],
      ['PATCH', `/edges/${far.edge.id}`, { areaId: a.id }, 404],
      ['PATCH', `/edges/${near.edge.id}`, { areaId: b.id }, 422],
      ['DELETE', `/edges/${far.edge.id}`, undefined, 404],
      ['POST', `/edges/${far.edge.id}/recorders`, { name: 'x', baseUrl: 'http://10.0.0.3', username: 'u', password: 'secret-1' }, 404],
      ['PATCH', `/recorders/${far.recorder.id}`, { name: 'x' }, 404],
      ['DELETE', `/recorders/${far.recorder.id}`, undefined, 404],
      ['PATCH', `/cameras/${far.cameras[0]?.id}`, { name: 'x' }, 404],
      ['POST', '/provisioning-keys', { areaId: b.id }, 422],
      ['DELETE', `/provisioning-keys/${far.key.id}`, undefined, 404],
    ];
    for (const [method, path, body, status] of refused)
      expect([method, path, body, (await call(guest, method, path, body)).status]).toEqual([method, path, body, status]);
    expect((await all<ProvisioningKey>(guest, '/provisioning-keys')).map((key) => key.id)).toEqual([near.key.id]);
    expect((await call(guest, 'PATCH', `/recorders/${near.recorder.id}`, { name: 'S' })).status).toBe(200);
  });
});

describe('quotas', () => {
  it('of boxes are never passed, however many register at once; those refused are told and shown', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 1, max: 8 }), async (edges, boxes) => {
        const admin = await aTenant();
        limits.set(admin.tenantId, { ...plenty, edges });
        const area = await make(admin, 'community', 'A');
        const key = await keyFor(admin, area.id);
        const answers = await Promise.all(Array.from({ length: boxes }, (_, n) => register(key, `box ${n}`)));
        const refused = answers.filter((answer) => answer.status !== 'SUCCESS');
        expect(await all<Edge>(admin, '/edges')).toHaveLength(Math.min(edges, boxes));
        expect(refused).toHaveLength(Math.max(0, boxes - edges));
        for (const answer of refused) expect(answer).toEqual({ status: 'FAILURE', errorMsg: `quota.exceeded, what edges, limit ${edges}` });
        const shown = await all<RefusedEdge>(admin, '/provisioning-keys/refusals');
        expect(shown).toHaveLength(refused.length);
        for (const each of shown)
          expect(each).toMatchObject({ areaId: area.id, code: 'quota.exceeded', params: { what: 'edges', limit: edges }, times: 1 });
      }),
      { numRuns: 6 },
    );
  });

  it('let a refused box in once there is room, and a box that is in ask again', async () => {
    const admin = await aTenant();
    limits.set(admin.tenantId, { ...plenty, edges: 1 });
    const area = await make(admin, 'community', 'A');
    const key = { ...(await keyFor(admin, area.id)) };
    const first = { deviceName: 'one', token: 'token-of-one' };
    const ask = (request: object) =>
      provision(mqttPort, { key: key.key, secret: key.secret as string }, request as Record<string, unknown>);
    expect(await ask(first)).toMatchObject({ status: 'SUCCESS' });
    expect(await ask(first)).toMatchObject({ status: 'SUCCESS' });
    expect(await ask({ deviceName: 'two' })).toMatchObject({ status: 'FAILURE' });
    expect(await ask({ deviceName: 'two' })).toMatchObject({ status: 'FAILURE' });
    expect(await all<RefusedEdge>(admin, '/provisioning-keys/refusals')).toMatchObject([{ name: 'two', times: 2 }]);
    limits.set(admin.tenantId, { ...plenty, edges: 2 });
    expect(await ask({ deviceName: 'two' })).toMatchObject({ status: 'SUCCESS' });
    expect(await all<RefusedEdge>(admin, '/provisioning-keys/refusals')).toEqual([]);
    expect(await all(await aTenant(), '/provisioning-keys/refusals')).toEqual([]);
  });

  it('of cameras are never passed, however many reports come at once, and the rest come when there is room', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 12 }),
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 4 }),
        async (cameras, sizes) => {
          const admin = await aTenant();
          limits.set(admin.tenantId, { ...plenty, cameras: 0 });
          const { id } = await make(admin, 'community', 'A');
          const boxes: Awaited<ReturnType<typeof aBox>>[] = [];
          for (const _ of sizes) boxes.push(await aBox(admin, id, 0));
          limits.set(admin.tenantId, { ...plenty, cameras });
          const reports = () => Promise.all(sizes.map((size, n) => report(admin.tenantId, boxes[n]!.edge.id, boxes[n]!.recorder.id, size)));
          await reports();
          const wanted = sizes.reduce((sum, size) => sum + size, 0);
          expect(await all<Camera>(admin, '/cameras')).toHaveLength(Math.min(cameras, wanted));
          const recorders = await Promise.all(
            boxes.map(async (box) => (await call<Recorder>(admin, 'GET', `/recorders/${box.recorder.id}`)).body),
          );
          expect(recorders.reduce((sum, recorder) => sum + recorder.camerasRefused, 0)).toBe(Math.max(0, wanted - cameras));
          limits.set(admin.tenantId, plenty);
          await reports();
          expect(await all<Camera>(admin, '/cameras')).toHaveLength(wanted);
        },
      ),
      { numRuns: 6 },
    );
  });
});
