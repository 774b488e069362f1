/** Real: PostgreSQL, the bus in it, objects on disk, HTTP through Nest, MQTT. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTokenIssuer, createTokenVerifier, loadSigningKey } from '@star/platform';
import { createHttpApp, type HttpApp } from '@star/platform/nest';
import * as api from '@stardipper/proto';
import { DevicesModule } from '../src';
import { adminOf, anEdge, aWorld, Device, pause, until, type World } from './world';

const realm = { issuer: 'http://star.test', audience: 'star' };
const telemetry = 'v1/devices/me/telemetry';
const attributes = 'v1/devices/me/attributes';
let world: World;
let main: Awaited<ReturnType<World['devices']>>;
let app: HttpApp;
let base: string;
let folder: string;
const tokens: string[] = [];
const boxes: Device[] = [];

beforeAll(async () => {
  world = await aWorld();
  main = await world.devices({ upkeepEveryMs: 200 });
  folder = await mkdtemp(join(tmpdir(), 'star-ota-'));
  const issuer = createTokenIssuer({ ...realm, key: await loadSigningKey(join(folder, 'key.json')) });
  for (const tenantId of world.tenants)
    tokens.push((await issuer.issue({ tenantId, userId: randomUUID(), username: 'admin', roles: ['tenant-admin'] })).token);
  app = await createHttpApp(DevicesModule.forRoot(main.devices, { consume: false }), {
    verifier: createTokenVerifier({ ...realm, keys: issuer.jwks }),
  });
  base = await app.listen();
});
afterEach(async () => {
  for (const box of boxes.splice(0)) await box.end();
  for (const who of [0, 1]) await call('DELETE', '/software/assignment', undefined, who);
});
afterAll(async () => {
  await app?.close();
  await world?.close();
  await rm(folder, { recursive: true, force: true });
});

async function call<T = Record<string, unknown>>(method: string, path: string, body?: unknown, who = 0) {
  const raw = Buffer.isBuffer(body);
  const answer = await fetch(`${base}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${tokens[who]}`,
      ...(body !== undefined && { 'content-type': raw ? 'application/gzip' : 'application/json' }),
    },
    ...(body !== undefined && { body: raw ? new Uint8Array(body) : JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: (text === '' ? undefined : JSON.parse(text)) as T };
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
/** Looks like a .tar.gz to whoever sees its first bytes. */
const aPack = (bytes: number) => Buffer.concat([Buffer.from([0x1f, 0x8b]), randomBytes(bytes - 2)]);
const aName = () => `pack-${randomUUID().slice(0, 8)}`;
const upload = (bytes: Buffer, title = aName(), version = '1.10', more = '', who = 0) =>
  call<api.SoftwarePackage & { code?: string }>('POST', `/software/packages?title=${title}&version=${version}${more}`, bytes, who);
const assign = (packageId: string, who = 0) => call<api.SoftwareAssignment>('PUT', '/software/assignment', { packageId }, who);
const edgeSoftware = async (edgeId: string, who = 0) =>
  (await call<api.EdgeSoftware>('GET', `/software/edges/${edgeId}`, undefined, who)).body;
const stored = async () =>
  (await readdir(join(world.objectsFolder, 'stored'), { recursive: true })).filter((name) => name.endsWith('.object'));
const edgeHere = (tenantId?: string) => anEdge(world, main.devices, main.port, tenantId);
const aBox = async (token: string, options: Parameters<typeof Device.connect>[1] = {}) => {
  const box = await Device.connect(main.port, { username: token, ...options });
  boxes.push(box);
  return box;
};
let requests = 0;
const sharedOf = async (box: Device): Promise<Record<string, unknown>> => {
  const id = ++requests;
  await box.subscribe('v1/devices/me/attributes/response/+');
  await box.publish(`${attributes}/request/${id}`, {});
  return ((await box.message(`${attributes}/response/${id}`)).body as { shared?: Record<string, unknown> }).shared ?? {};
};
const sent = async (box: Device, topic: string) => (await box.message(topic)).body as Buffer;
const download = async (box: Device, chunkBytes: number, id = ++requests): Promise<Buffer> => {
  const parts: Buffer[] = [];
  for (let n = 0; ; n++) {
    await box.publish(`v2/sw/request/${id}/chunk/${n}`, n === 0 ? String(chunkBytes) : '');
    const part = await sent(box, `v2/sw/response/${id}/chunk/${n}`);
    if (part.length === 0) return Buffer.concat(parts);
    parts.push(part);
  }
};
const tell = (box: Device, tsMs: number, values: Record<string, unknown>) => box.publish(telemetry, { ts: tsMs, values });
const events = (edgeId: string) =>
  world.seen
    .filter((record) => record.topic === 'device.software.changed.v1' && record.key === edgeId)
    .map((record) => record.message as never);

describe('packages', () => {
  it('are stored whole, listed, audited, and deleted with their bytes', async () => {
    const bytes = aPack(3_000_000);
    const title = aName();
    const made = await upload(bytes, title);
    expect(made).toMatchObject({
      status: 201,
      body: { title, version: '1.10', sizeBytes: 3_000_000, sha256: sha256(bytes), assigned: false },
    });
    api.softwarePackage.parse(made.body);
    const listed = (await call<api.Page<api.SoftwarePackage>>('GET', '/software/packages?limit=200')).body.items;
    expect(listed).toContainEqual(made.body);
    expect((await call('GET', `/software/packages/${made.body.id}`)).body).toEqual(made.body);
    expect(world.audited.find((line) => line.subject === made.body.id)).toMatchObject({
      action: 'software.uploaded',
      username: 'admin',
      tenantId: world.tenants[0],
      details: { title, version: '1.10' },
    });
    expect((await stored()).filter((name) => name.includes(made.body.id))).toHaveLength(1);
    expect((await call('DELETE', `/software/packages/${made.body.id}`)).status).toBe(204);
    expect(await call('DELETE', `/software/packages/${made.body.id}`)).toMatchObject({ status: 404, body: { code: 'software.not_found' } });
    await until(async () => !(await stored()).some((name) => name.includes(made.body.id)));
  });

  it('are the same when the same bytes come again, and refused when others do', async () => {
    const bytes = aPack(10_000);
    const title = aName();
    const first = await upload(bytes, title);
    expect((await upload(bytes, title)).body).toEqual(first.body);
    expect((await upload(bytes, title, '1.10', `&sha256=${sha256(bytes)}`)).body).toEqual(first.body);
    const taken = { status: 409, body: { code: 'software.version_taken', params: { title, version: '1.10' } } };
    expect(await upload(aPack(10_000), title)).toMatchObject(taken);
    expect(await upload(bytes, title, '1.10', `&sha256=${'0'.repeat(64)}`)).toMatchObject(taken);
    expect((await upload(aPack(10_000), title, '1.11')).status).toBe(201);
    const both = await Promise.all([upload(bytes, title, '2'), upload(bytes, title, '2')]);
    expect(both.map((each) => each.status)).toEqual([201, 201]);
    expect(both[0]?.body).toEqual(both[1]?.body);
  });

  it('are refused when they are not what they should be, and nothing is kept', async () => {
    const before = await stored();
    expect(await upload(Buffer.alloc(0))).toMatchObject({ status: 400, body: { code: 'software.empty' } });
    expect(await upload(Buffer.from('PK not gzip'))).toMatchObject({ status: 422, body: { code: 'software.not_gzip' } });
    expect(await upload(Buffer.from([0x1f]))).toMatchObject({ status: 422, body: { code: 'software.not_gzip' } });
    expect(await upload(aPack(5000), aName(), '1', `&sha256=${'a'.repeat(64)}`)).toMatchObject({
      status: 422,
      body: { code: 'software.checksum_wrong' },
    });
    for (const query of [
      '',
      '?title=x',
      `?title=${'x'.repeat(65)}&version=1`,
      '?title=a/b&version=1',
      '?title=a&version=1&sha256=short',
      '?title=a&version=1&x=1',
    ])
      expect(await call('POST', `/software/packages${query}`, aPack(100))).toMatchObject({
        status: 400,
        body: { code: 'request.invalid' },
      });
    expect(await call('POST', '/software/packages?title=a&version=1', { a: 1 })).toMatchObject({
      status: 400,
      body: { code: 'software.type_unsupported' },
    });
    expect((await stored()).filter((name) => !before.includes(name))).toEqual([]);
    expect(await readdir(join(world.objectsFolder, 'incoming'))).toEqual([]);
  });

  it('are refused before the first byte when they are said to be too large, and kept not at all when they break off', async () => {
    const title = aName();
    const path = `${base}/api/v1/software/packages?title=${title}&version=1`;
    const open = (length: number) =>
      request(path, {
        method: 'POST',
        headers: { authorization: `Bearer ${tokens[0]}`, 'content-type': 'application/gzip', 'content-length': String(length) },
      });
    const huge = open(api.maxSoftwareBytes + 1);
    const status = await new Promise((resolve, reject) => {
      huge.on('response', (answer) => resolve(answer.statusCode)).on('error', reject);
      huge.write(aPack(1000));
    });
    expect(status).toBe(413);
    huge.destroy();
    const cut = open(1_000_000);
    cut.on('error', () => {});
    cut.write(aPack(400_000));
    await until(async () => (await readdir(join(world.objectsFolder, 'incoming'))).length > 0);
    cut.destroy();
    await until(async () => (await readdir(join(world.objectsFolder, 'incoming'))).length === 0);
    const listed = (await call<api.Page<api.SoftwarePackage>>('GET', '/software/packages?limit=200')).body.items;
    expect(listed.map((each) => each.title)).not.toContain(title);
  });

  it('cannot be deleted while they are assigned', async () => {
    const made = (await upload(aPack(1000))).body;
    await assign(made.id);
    expect((await call('GET', `/software/packages/${made.id}`)).body).toMatchObject({ assigned: true });
    expect(await call('DELETE', `/software/packages/${made.id}`)).toMatchObject({ status: 409, body: { code: 'software.assigned' } });
    await call('DELETE', '/software/assignment');
    expect((await call('DELETE', `/software/packages/${made.id}`)).status).toBe(204);
  });

  it('of another tenant are not there', async () => {
    const made = (await upload(aPack(1000))).body;
    const edge = await edgeHere();
    for (const [method, path, body] of [
      ['GET', `/software/packages/${made.id}`],
      ['DELETE', `/software/packages/${made.id}`],
      ['PUT', '/software/assignment', { packageId: made.id }],
      ['GET', `/software/edges/${edge.edgeId}`],
    ] as const)
      expect([method, path, (await call(method, path, body, 1)).status]).toEqual([method, path, 404]);
    await assign(made.id);
    const theirs = await edgeHere(world.tenants[1]);
    expect((await call('GET', '/software/packages', undefined, 1)).body).toEqual({ items: [], nextCursor: null });
    expect((await call('GET', '/software/assignment', undefined, 1)).body).toMatchObject({ package: null, edges: [{ state: 'none' }] });
    expect(await edgeSoftware(theirs.edgeId, 1)).toMatchObject({ assigned: null, state: null });
    expect(await sharedOf(await aBox(theirs.token))).toEqual({});
    expect((await upload(aPack(1000), made.title, made.version, '', 1)).status).toBe(201);
  });
});

describe('an assignment', () => {
  it('reaches every edge: connected, offline, and registered later; its end as well', async () => {
    const bytes = aPack(50_000);
    const made = (await upload(bytes)).body;
    const [here, away] = [await edgeHere(), await edgeHere()];
    const box = await aBox(here.token);
    await box.subscribe(attributes);
    const assigned = await assign(made.id);
    expect(assigned).toMatchObject({ status: 200, body: { package: { id: made.id, assigned: true } } });
    const wanted = {
      sw_title: made.title,
      sw_version: '1.10',
      sw_size: 50_000,
      sw_checksum: sha256(bytes),
      sw_checksum_algorithm: 'SHA256',
      sw_tag: `${made.title} 1.10 ${assigned.body.assignedAt}`,
    };
    expect((await box.message(attributes)).body).toEqual(wanted);
    api.softwareAttributes.parse(wanted);
    expect(await sharedOf(await aBox(away.token))).toEqual(wanted);
    const late = await edgeHere();
    expect(await sharedOf(await aBox(late.token))).toEqual(wanted);
    for (const { edgeId } of [here, away, late]) {
      await until(async () => (await edgeSoftware(edgeId)).state === 'INITIATED');
      expect(await edgeSoftware(edgeId)).toMatchObject({ assigned: { title: made.title, version: '1.10' }, error: null, current: null });
      const logged = async (state: string) =>
        JSON.parse(
          (await world.record('device.telemetry.v1', (r) => r.key === edgeId && r.message.valuesJson.includes(`"${state}"`))).message
            .valuesJson,
        );
      expect(await logged('QUEUED')).toEqual({
        target_sw_title: made.title,
        target_sw_version: '1.10',
        target_sw_tag: wanted.sw_tag,
        target_sw_ts: expect.any(Number),
        sw_state: 'QUEUED',
      });
      expect(await logged('INITIATED')).toEqual({ sw_state: 'INITIATED' });
      await until(() => events(edgeId).length === 1);
      expect(events(edgeId)).toMatchObject([
        { edgeId, state: 'INITIATED', targetTitle: made.title, targetVersion: '1.10', currentTitle: '' },
      ]);
    }
    // Again is no change: no second push, no second line.
    const audited = world.audited.length;
    expect((await assign(made.id)).body.assignedAt).toBe(assigned.body.assignedAt);
    expect(world.audited).toHaveLength(audited);
    box.messages.length = 0;
    await call('DELETE', '/software/assignment');
    expect((await box.message(attributes)).body).toEqual({ deleted: expect.arrayContaining(Object.keys(wanted)) });
    await call('DELETE', '/software/assignment');
    expect(await sharedOf(box)).toEqual({});
    await until(() => events(here.edgeId).length === 2);
    expect(events(here.edgeId)[1]).toMatchObject({ state: '', targetTitle: '' });
    expect(await edgeSoftware(here.edgeId)).toMatchObject({ assigned: null, state: null });
    expect(world.audited.slice(audited).map((line) => line.action)).toEqual(['software.unassigned']);
  });

  it('and its end are told on the bus with a number that grows, also when they were made before that', async () => {
    const [tenantId] = world.tenants;
    const bytes = aPack(1000);
    const made = (await upload(bytes)).body;
    const told = () =>
      world.seen
        .filter((record) => record.topic === 'software.assigned.v1' && record.tenantId === tenantId)
        .map(({ message }) => message as { revision: number });
    const before = told().at(-1)?.revision ?? 0;
    await assign(made.id);
    await assign(made.id);
    const full = { packageId: made.id, title: made.title, version: '1.10', sha256: sha256(bytes) };
    await until(() => told().at(-1)?.revision === before + 1);
    expect(told().at(-1)).toEqual({ revision: before + 1, ...full });
    await call('DELETE', '/software/assignment');
    await call('DELETE', '/software/assignment');
    await until(() => told().at(-1)?.revision === before + 2);
    expect(told().at(-1)).toEqual({ revision: before + 2, packageId: '', title: '', version: '', sha256: '' });
    await assign(made.id);
    await until(() => told().at(-1)?.revision === before + 3);
    // As the migration leaves those of before.
    await world.database.db.tenant(tenantId, (tx) => tx.execute('UPDATE devices.software_assignments SET announced = false'));
    await until(() => told().filter(({ revision }) => revision === before + 3).length === 2);
    expect(told().at(-1)).toEqual({ revision: before + 3, ...full });
    expect(told().every(({ revision }, i, all) => i === 0 || revision >= (all[i - 1]?.revision ?? 0))).toBe(true);
  });

  it('and registering edges at the same time leave no edge out', async () => {
    const [one, two] = [(await upload(aPack(1000))).body, (await upload(aPack(1000))).body];
    const [edges] = await Promise.all([
      Promise.all(Array.from({ length: 8 }, () => edgeHere())),
      (async () => {
        for (let n = 0; n < 6; n++) await assign((n % 2 ? one : two).id);
        await call('DELETE', '/software/assignment');
        await assign(one.id);
      })(),
    ]);
    for (const edge of edges) expect(await sharedOf(await aBox(edge.token))).toMatchObject({ sw_title: one.title });
  });

  it('takes the same few statements for thousands of edges, and edges deleted meanwhile do not stop it', async () => {
    const [tenantId] = world.tenants;
    const { db } = world.database;
    const ids = await db.tenant(tenantId, (tx) =>
      tx.query<{ id: string }>(
        `INSERT INTO devices.edges (id, tenant_id, area_id, name) SELECT gen_random_uuid(), $1, $2, 'bulk ' || n FROM generate_series(1, 3000) n RETURNING id`,
        [tenantId, world.areaId],
      ),
    );
    const made = (await upload(aPack(1000))).body;
    try {
      const [assigned] = await Promise.all([
        assign(made.id),
        ...ids.slice(0, 5).map(({ id }) => main.devices.removeEdge(adminOf(tenantId), id)),
      ]);
      expect(assigned.status).toBe(200);
      const counts = async () =>
        new Map((await call<api.SoftwareAssignment>('GET', '/software/assignment')).body.edges.map(({ state, count }) => [state, count]));
      await until(async () => !(await counts()).has('QUEUED'));
      expect((await counts()).get('INITIATED')).toBeGreaterThanOrEqual(2995);
      const page = (await call<api.Page<api.EdgeSoftware>>('GET', '/software/edges?state=INITIATED&limit=2')).body;
      expect(api.page(api.edgeSoftware).parse(page).items).toHaveLength(2);
      const next = (await call<api.Page<api.EdgeSoftware>>('GET', `/software/edges?state=INITIATED&limit=2&cursor=${page.nextCursor}`))
        .body;
      expect(next.items.map((item) => item.edgeId)).not.toContain(page.items[0]?.edgeId);
    } finally {
      await db.tenant(tenantId, (tx) => tx.execute(`DELETE FROM devices.edges WHERE name LIKE 'bulk %'`));
    }
  });
});

describe('what a box says', () => {
  it('is what operators see, and the bus hears', async () => {
    const made = (await upload(aPack(1000))).body;
    const edge = await edgeHere();
    const box = await aBox(edge.token);
    await assign(made.id);
    await until(async () => (await edgeSoftware(edge.edgeId)).state === 'INITIATED');
    let at = Date.now();
    for (const state of ['DOWNLOADING', 'DOWNLOADED', 'VERIFIED', 'UPDATING']) {
      await tell(box, ++at, { sw_state: state });
      expect(await edgeSoftware(edge.edgeId)).toMatchObject({ state, error: null, online: true });
    }
    await tell(box, ++at, { sw_state: 'FAILED', sw_error: 'software.install_failed' });
    expect(await edgeSoftware(edge.edgeId)).toMatchObject({ state: 'FAILED', error: 'software.install_failed' });
    await tell(box, ++at, { sw_state: 'UPDATED', current_sw_title: made.title, current_sw_version: '1.10' });
    // The same again, and an older word that comes late.
    await tell(box, at, { sw_state: 'UPDATED', current_sw_title: made.title, current_sw_version: '1.10' });
    await tell(box, at - 3, { sw_state: 'DOWNLOADING' });
    expect(await edgeSoftware(edge.edgeId)).toMatchObject({
      state: 'UPDATED',
      error: null,
      current: { title: made.title, version: '1.10' },
    });
    await until(() => events(edge.edgeId).length === 7);
    expect(events(edge.edgeId).map((event: { state: string }) => event.state)).toEqual([
      'INITIATED',
      'DOWNLOADING',
      'DOWNLOADED',
      'VERIFIED',
      'UPDATING',
      'FAILED',
      'UPDATED',
    ]);
    expect(events(edge.edgeId).at(-1)).toMatchObject({ currentTitle: made.title, currentVersion: '1.10', error: '' });
  });

  it('about something that is not assigned any more is no state', async () => {
    const [one, two] = [(await upload(aPack(1000))).body, (await upload(aPack(1000))).body];
    const edge = await edgeHere();
    const box = await aBox(edge.token);
    await tell(box, Date.now(), { sw_state: 'DOWNLOADING', current_sw_title: 'old', current_sw_version: '7' });
    expect(await edgeSoftware(edge.edgeId)).toMatchObject({ state: null, current: { title: 'old', version: '7' } });
    await assign(one.id);
    await assign(two.id);
    await tell(box, Date.now() + 1, { sw_state: 'UPDATED', current_sw_title: one.title, current_sw_version: '1.10' });
    const software = await edgeSoftware(edge.edgeId);
    expect(['QUEUED', 'INITIATED']).toContain(software.state);
    expect(software.current).toEqual({ title: one.title, version: '1.10' });
  });

  it('with a clock that is ahead is heard, and heard again when the clock is right', async () => {
    await assign((await upload(aPack(1000))).body.id);
    const edge = await edgeHere();
    const box = await aBox(edge.token);
    await tell(box, Date.now() + 10 * 365 * 86_400_000, { sw_state: 'DOWNLOADING' });
    expect(await edgeSoftware(edge.edgeId)).toMatchObject({ state: 'DOWNLOADING' });
    await tell(box, Date.now(), { sw_state: 'DOWNLOADED' });
    expect(await edgeSoftware(edge.edgeId)).toMatchObject({ state: 'DOWNLOADED' });
  });

  it('costs the box nothing when it makes no sense', async () => {
    const edge = await edgeHere();
    const box = await aBox(edge.token);
    for (const values of [
      { sw_state: 'FLYING' },
      { sw_state: { a: 1 } },
      { current_sw_title: [1] },
      { sw_error: true },
      { sw_state: 'QUEUED' },
    ])
      await tell(box, Date.now(), values);
    await tell(box, Date.now(), { current_sw_title: 7, current_sw_version: `\0${'9'.repeat(400)}` });
    expect(await edgeSoftware(edge.edgeId)).toMatchObject({ state: null, current: { title: '7', version: '9'.repeat(255) } });
    expect(box.closed).toBe(false);
  });
});

describe('chunks', () => {
  const assigned = async (bytes: Buffer) => {
    const made = (await upload(bytes)).body;
    await assign(made.id);
    return made;
  };

  it('put together are the package, in both versions of MQTT, whatever their size', async () => {
    const bytes = aPack(200_001);
    await assigned(bytes);
    const edge = await edgeHere();
    for (const [protocolVersion, chunkBytes] of [
      [4, 65_536],
      [5, 32_768],
      [4, 3],
    ] as const) {
      const box = await aBox(edge.token, { protocolVersion });
      expect(await box.subscribe('v2/sw/response/+/chunk/+', 'v2/fw/error', 'v2/sw/error')).toEqual([1, 1, 1]);
      if (chunkBytes === 3) {
        await box.publish('v2/sw/request/9/chunk/66666', '3');
        expect((await sent(box, 'v2/sw/response/9/chunk/66666')).equals(bytes.subarray(199_998, 200_001))).toBe(true);
      } else expect((await download(box, chunkBytes)).equals(bytes)).toBe(true);
      // Far past the end, and with a size of its own in the middle.
      await box.publish('v2/sw/request/9/chunk/2147483647', '1');
      expect(await sent(box, 'v2/sw/response/9/chunk/2147483647')).toHaveLength(0);
      await box.publish('v2/sw/request/10/chunk/1', '100');
      expect((await sent(box, 'v2/sw/response/10/chunk/1')).equals(bytes.subarray(100, 200))).toBe(true);
      await box.end();
    }
  });

  it('without a size are the whole package, if it fits one message', async () => {
    const bytes = aPack(60_000);
    await assigned(bytes);
    const edge = await edgeHere();
    const box = await aBox(edge.token);
    await box.publish('v2/sw/request/1/chunk/0', '');
    expect((await sent(box, 'v2/sw/response/1/chunk/0')).equals(bytes)).toBe(true);
    await box.publish('v2/sw/request/1/chunk/1', '0');
    expect(await sent(box, 'v2/sw/response/1/chunk/1')).toHaveLength(0);
  });

  it.each([
    ['nothing assigned', undefined, '100', 'NOT_FOUND'],
    ['a chunk over a message', 100_000, '65537', 'PAYLOAD_TOO_LARGE'],
    ['a whole over a message', 100_000, '', 'PAYLOAD_TOO_LARGE'],
  ])('with %s: an error on the topic of firmware, then the end of the connection', async (_, size, payload, error) => {
    if (size !== undefined) await assigned(aPack(size));
    const edge = await edgeHere();
    for (const protocolVersion of [4, 5] as const) {
      const box = await aBox(edge.token, { protocolVersion });
      await box.subscribe('v2/fw/error');
      void box.client.publish('v2/sw/request/1/chunk/0', payload, { qos: 0 });
      expect((await sent(box, 'v2/fw/error')).toString()).toBe(error);
      await box.whenClosed();
    }
  });

  it('of firmware are not there; what makes no sense is refused as elsewhere', async () => {
    await assigned(aPack(1000));
    const edge = await edgeHere();
    const box = await aBox(edge.token);
    void box.client.publish('v2/fw/request/1/chunk/0', '100', { qos: 0 });
    expect((await sent(box, 'v2/fw/error')).toString()).toBe('NOT_FOUND');
    await box.whenClosed();
    const other = await aBox(edge.token, { protocolVersion: 5 });
    const refused = (topic: string, payload: string) =>
      expect(other.publish(topic, payload).catch((error: { code: number }) => error.code)).resolves;
    await refused('v2/sw/request/x/chunk/0', '100').toBe(0x90);
    await refused('v2/sw/request/1/chunk/-1', '100').toBe(0x90);
    await refused('v2/sw/request/1/chunk/0', 'ten').toBe(0x99);
    await refused('v2/sw/request/1/chunk/0', '9'.repeat(11)).toBe(0x99);
    await refused('v2/sw/request/9999999999/chunk/0', '1').toBe(0x99);
    expect(other.closed).toBe(false);
  });

  it('of one download are of one package, although another is assigned in the middle; a new download is of the new one', async () => {
    const [one, two] = [aPack(90_000), aPack(90_000)];
    await assigned(one);
    const edge = await edgeHere();
    const box = await aBox(edge.token);
    await box.publish('v2/sw/request/1/chunk/0', '30000');
    await sent(box, 'v2/sw/response/1/chunk/0');
    const next = await assigned(two);
    await box.publish('v2/sw/request/1/chunk/1', '');
    expect((await sent(box, 'v2/sw/response/1/chunk/1')).equals(one.subarray(30_000, 60_000))).toBe(true);
    expect((await download(box, 30_000)).equals(two)).toBe(true);
    // The same id from the beginning is a new download, too.
    box.messages.length = 0;
    await box.publish('v2/sw/request/1/chunk/0', '');
    expect((await sent(box, 'v2/sw/response/1/chunk/0')).equals(two.subarray(0, 30_000))).toBe(true);
    await call('DELETE', '/software/assignment');
    await call('DELETE', `/software/packages/${next.id}`);
    await until(async () => !(await stored()).some((name) => name.includes(next.id)));
    void box.client.publish('v2/sw/request/1/chunk/1', '', { qos: 0 });
    expect((await sent(box, 'v2/fw/error')).toString()).toBe('NOT_FOUND');
  });

  it('asked for by the hundred are all sent, and telemetry does not wait for them', async () => {
    const bytes = aPack(640_000);
    await assigned(bytes);
    const edge = await edgeHere();
    const box = await aBox(edge.token);
    for (let n = 0; n < 300; n++) void box.client.publish(`v2/sw/request/1/chunk/${n % 100}`, '6400', { qos: 0 });
    await tell(box, Date.now(), { alive: true });
    await until(() => box.messages.length === 300);
    expect(Buffer.concat(box.messages.slice(200).map((each) => each.body as Buffer)).equals(bytes)).toBe(true);
  });

  it('that storage cannot give are left out; the session goes on', async () => {
    const made = await assigned(aPack(1000));
    const edge = await edgeHere();
    let failing = true;
    const other = await world.devices({
      objects: {
        ...world.objects,
        getRange: (...range) => (failing ? Promise.reject(new Error('storage is away')) : world.objects.getRange(...range)),
      },
    });
    const box = await Device.connect(other.port, { username: edge.token });
    boxes.push(box);
    await box.publish('v2/sw/request/1/chunk/0', '500');
    await pause(200);
    expect([box.closed, box.messages.length]).toEqual([false, 0]);
    failing = false;
    await box.publish('v2/sw/request/1/chunk/1', '');
    expect(await sent(box, 'v2/sw/response/1/chunk/1')).toHaveLength(500);
    expect(made.sizeBytes).toBe(1000);
    await other.stop();
  });
});
