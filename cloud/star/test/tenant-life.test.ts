/** A tenant from its opening to its end over all services at once. Real: PostgreSQL, ClickHouse, bus, objects, HTTP, MQTT. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { devicesMigrations } from '@star/devices';
import { identityMigrations } from '@star/identity';
import { oidcClients } from '@star/platform';
import { connectBus, type HttpApp } from '@star/platform/nest';
import { type TestAnalytics, type TestDatabase, testAnalytics, testDatabase } from '@star/platform/test-kit';
import { searchAnalytics, searchMigrations } from '@star/search';
import { tenantsMigrations } from '@star/tenants';
import { firstTenantId, platformTenantId } from '@stardipper/proto';
import { connectAsync, type MqttClient } from 'mqtt';
import { type Base, openBase } from '../src/base';
import { UsageError } from '../src/commands/command';
import { tenantsCommand } from '../src/commands/tenants';
import { openServicesHttp } from '../src/open-http';
import { composeServices, type Services } from '../src/services';
import { appSettings } from '../src/settings';

let folder: string;
let database: TestDatabase;
let analytics: TestAnalytics;
let base: Base;
let services: Services;
let app: HttpApp;
let url: string;
let mqttPort: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-whole-life-'));
  database = await testDatabase([
    { service: 'identity', folder: identityMigrations },
    { service: 'tenants', folder: tenantsMigrations },
    { service: 'devices', folder: devicesMigrations },
    { service: 'search', folder: searchMigrations },
  ]);
  analytics = await testAnalytics([{ service: 'search', folder: searchAnalytics }]);
  const port = await freePort();
  base = await openBase(
    appSettings.parse({
      STAR_ROLE: 'all',
      STAR_DATA: folder,
      STAR_HOST: '127.0.0.1',
      STAR_HTTP_HOST: '127.0.0.1',
      STAR_HTTP_PORT: port,
      STAR_CONSOLE: folder,
      STAR_PACKS_ADDRESS: `unix:${join(folder, 'no-packs.sock')}`,
      STAR_MQTT_PORT: 0,
      STAR_PUBLIC_URL: `http://127.0.0.1:${port}`,
      STAR_DATABASE_URL: database.appUrl,
      STAR_CLICKHOUSE_URL: analytics.server.url,
      STAR_CLICKHOUSE_USER: analytics.server.username,
      STAR_CLICKHOUSE_PASSWORD: analytics.server.password,
      STAR_MIZAR: `unix:${join(folder, 'absent.sock')}`,
      STAR_RPC_KEEP_DAYS: 30,
      STAR_PLATFORM_ADMIN: 'platform',
      STAR_PLATFORM_PASSWORD: 'platform secret',
      STAR_FIRST_TENANT: 'Two Courts',
      STAR_FIRST_ADMIN: 'admin',
      STAR_FIRST_PASSWORD: 'a first password',
      STAR_LOG_LEVEL: 'silent',
    }),
  );
  services = composeServices(base, 'all');
  app = await openServicesHttp(base, services);
  connectBus(app.nest, { bus: base.bus, group: 'all' });
  ({ mqttPort } = (await services.start()) as { mqttPort: number });
  await app.nest.startAllMicroservices();
  url = await app.listen();
});

afterAll(async () => {
  await app?.close();
  await services?.stop();
  await base?.close();
  await analytics?.close();
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

async function request(token: string | undefined, method: string, path: string, body?: unknown) {
  const answer = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: { ...(token && { authorization: `Bearer ${token}` }), ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at with toMatchObject
  return { status: answer.status, body: (await answer.json()) as any };
}

async function logIn(username: string, password: string): Promise<string | undefined> {
  const answer = await fetch(`${url}/realms/star/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'password', client_id: oidcClients.cli, scope: 'openid', username, password }),
  });
  return ((await answer.json()) as { access_token?: string }).access_token;
}

async function until<T>(look: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found) return found;
    await sleep(20);
  }
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

/** A tenant with a box, a running search, a match and a crop. */
async function aLivingTenant(provider: string | undefined) {
  const id = randomUUID();
  const admin = { username: `admin-${id.slice(0, 8)}`, displayName: 'Guo', password: 'a first password' };
  await request(provider, 'POST', '/tenants', { id, name: 'East', admin });
  await until(async () => (await request(provider, 'GET', `/tenants/${id}`)).body.state === 'enabled');
  const token = await logIn(admin.username, admin.password);
  const { body: areas } = await request(token, 'GET', '/areas');
  const { body: key } = await request(token, 'POST', '/provisioning-keys', { areaId: areas.items[0].id });
  const device = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { username: 'provision', reconnectPeriod: 0 });
  await device.subscribeAsync('/provision/response', { qos: 1 });
  const answered = new Promise<Buffer>((resolve) => device.once('message', (_topic, payload) => resolve(payload)));
  const deviceName = `box ${id}`;
  await device.publishAsync(
    '/provision/request',
    JSON.stringify({ provisionDeviceKey: key.key, provisionDeviceSecret: key.secret, deviceName }),
    { qos: 1 },
  );
  const { credentialsValue } = JSON.parse(String(await answered)) as { credentialsValue: string };
  await device.endAsync();
  const searchId = randomUUID();
  await database.db.tenant(id, (tx) =>
    tx.execute(
      `INSERT INTO search.searches (tenant_id, id, name, purpose, state, person_ids, camera_ids, from_ms, to_ms, threshold, priority, pack_id, created_by, request_sha256)
       VALUES ($1, $2, 's', 'p', 'running', '{}', '{}', 0, 1, 0.5, 1, 'pack', $1, '')`,
      [id, searchId],
    ),
  );
  const ids = { search_id: searchId, task_id: randomUUID(), edge_id: randomUUID(), camera_id: randomUUID(), person_id: randomUUID() };
  const seen = {
    sighting_id: 's',
    at: '2026-11-01 00:00:00.000',
    score: 0.9,
    quality: 1,
    box: [0, 0, 1, 1],
    frame_width: 1,
    frame_height: 1,
  };
  await base.analytics.forTenant(id).insert('search_matches', [{ match_id: 'm', ...ids, ...seen }], searchId);
  await base.objects.put(id, `${id}/crops/${ids.edge_id}/s.jpg`, Buffer.from('x'), 'image/jpeg');
  return { id, token, admin, searchId, boxToken: credentialsValue };
}

const connect = (username: string): Promise<MqttClient> =>
  connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { username, reconnectPeriod: 0, clientId: randomUUID() });

/** What is left of a tenant in any schema, beside the audit log. */
async function rowsOf(tenantId: string): Promise<string[]> {
  const tables = await database.db.system('test', (tx) =>
    tx.query<{ name: string }>(
      `SELECT table_schema || '.' || table_name AS name FROM information_schema.columns WHERE column_name = 'tenant_id' AND table_schema <> 'platform' AND table_name NOT LIKE 'audit%' ORDER BY 1`,
    ),
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const rows = await database.db.system('test', (tx) => tx.query(`SELECT 1 FROM ${name} WHERE tenant_id = $1 LIMIT 1`, [tenantId]));
    if (rows.length > 0) found.push(name);
  }
  return found;
}

it('is opened at the first start, complete, and only then', async () => {
  for (let start = 0; start < 2; start++) await services.openFirstTenant();
  const token = await logIn('admin', 'a first password');
  expect((await request(token, 'GET', '/areas')).body.items).toMatchObject([{ kind: 'community', name: 'Two Courts' }]);
  expect((await request(token, 'GET', '/settings')).body).toMatchObject({ version: 1 });
  expect(await rowsOf(firstTenantId)).toEqual(expect.arrayContaining(['devices.customers', 'search.libraries', 'tenants.areas']));
  expect(await base.objects.head(firstTenantId, `${firstTenantId}/tenant.json`)).toBeDefined();
});

it('is opened, disabled, enabled and removed everywhere, and its neighbour does not notice', async () => {
  const provider = await logIn('platform', 'platform secret');
  const [east, west] = [await aLivingTenant(provider), await aLivingTenant(provider)];
  const stateOf = async (tenant: typeof east) =>
    (await database.db.tenant(tenant.id, (tx) => tx.query<{ state: string }>('SELECT state FROM search.searches')))[0]?.state;

  const box = await connect(east.boxToken);
  const neighbour = await connect(west.boxToken);
  let neighbourLeft = false;
  neighbour.once('close', () => {
    neighbourLeft = true;
  });
  const sentAway = new Promise<void>((resolve) => box.once('close', () => resolve()));
  await request(provider, 'POST', `/tenants/${east.id}/disable`, { reason: 'not paid' });
  await sentAway;
  // As a server that is not there, so that the box keeps its credentials and what it has to report.
  await expect(connect(east.boxToken)).rejects.toMatchObject({ code: 3 });
  await until(async () => (await stateOf(east)) === 'cancelled');
  expect(await request(east.token, 'GET', '/edges')).toMatchObject({ status: 403, body: { code: 'auth.tenant_disabled' } });

  await request(provider, 'POST', `/tenants/${east.id}/enable`);
  const back = await until(() => connect(east.boxToken).catch(() => undefined));
  await back.endAsync();
  expect((await request(east.token, 'GET', '/edges')).body.items).toHaveLength(1);

  await request(provider, 'DELETE', `/tenants/${east.id}`);
  // As if its grace period were over.
  await database.db.tenant(east.id, (tx) =>
    tx.execute("UPDATE tenants.tenants SET state_since = now() - interval '30 days', delete_after = now() WHERE tenant_id = $1", [east.id]),
  );
  await request(provider, 'DELETE', `/tenants/${east.id}?graceDays=0`);
  const { report } = await until(async () => {
    const { body } = await request(provider, 'GET', `/tenants/${east.id}`);
    return body.state === 'removed' && body;
  });
  expect(report).toMatchObject({
    rows: { 'devices.edges': 1, 'devices.credentials': 1, 'devices.provisioning_keys': 1, 'search.searches': 1, 'tenants.areas': 1 },
    analytics: { search_matches: 1 },
    objects: 2,
    users: 1,
  });
  await until(async () => (await rowsOf(east.id)).length === 1);
  expect(await rowsOf(east.id)).toEqual(['tenants.tenants']);
  expect(await base.analytics.forTenant(east.id).query('SELECT 1 FROM search_matches WHERE tenant_id = {tenant:UUID}')).toEqual([]);
  // The provider's own has its audit log's head there.
  const others: readonly string[] = [platformTenantId, firstTenantId];
  expect((await readdir(join(folder, 'objects', 'stored'))).filter((id) => !others.includes(id))).toEqual([west.id]);
  expect(await logIn(east.admin.username, east.admin.password)).toBeUndefined();
  await expect(connect(east.boxToken)).rejects.toThrow();
  await expect(base.tenantKeys.keyOf(east.id)).rejects.toMatchObject({ code: 'tenant.erased' });
  await expect(base.tenantKeys.keyOf(west.id)).resolves.toHaveLength(32);

  expect(neighbourLeft).toBe(false);
  expect(await stateOf(west)).toBe('running');
  expect((await request(west.token, 'GET', '/edges')).body.items).toHaveLength(1);
  expect(await base.analytics.forTenant(west.id).query('SELECT 1 FROM search_matches WHERE tenant_id = {tenant:UUID}')).toHaveLength(1);
  await neighbour.endAsync();
});

it('is exported with its matches and pictures', async () => {
  const provider = await logIn('platform', 'platform secret');
  const { id, searchId } = await aLivingTenant(provider);
  await request(provider, 'POST', `/tenants/${id}/export`);
  const { url: archive, rows } = await until(async () => {
    const { body } = await request(provider, 'GET', `/tenants/${id}/export`);
    return body.url && body;
  });
  expect(rows).toMatchObject({ files: 1, 'search.matches': 1, 'search.searches': 1, 'devices.edges': 1, users: 1 });
  const listed = gunzipSync(Buffer.from(await (await fetch(archive)).arrayBuffer())).toString('latin1');
  expect(listed).toContain(`{"table":"search.matches","row":{"tenant_id":"${id}","search_id":"${searchId}"`);
  expect(listed).toMatch(/crops\/[0-9a-f-]{36}/);
});

describe('star tenants', () => {
  const star = async (...args: string[]) => {
    const said: string[] = [];
    const settings = { STAR_DATA: folder, STAR_URL: url, STAR_USER: 'platform', STAR_PASSWORD: 'platform secret' };
    const code = await tenantsCommand.run(args, { settings, say: (line) => said.push(line) });
    return { code, said };
  };

  it('opens, lists, disables, exports, deletes and restores', async () => {
    const created = await star('create', 'North', '--admin', 'north');
    expect(created).toMatchObject({ code: 0 });
    expect(created.said.slice(2, -1).map((line) => line.trim())).toEqual([
      'tenant',
      'administrator',
      'settings',
      'storage',
      'iot-customer',
      'face-library',
      'first-area',
      'enable',
    ]);
    const id = created.said[0]?.split(' ')[0] as string;
    expect((await star('list', '--name', 'north')).said).toEqual([`${id}  enabled   North`]);
    expect((await star('disable', id, '--reason', 'late')).said).toEqual([`${id}  disabled  North  (late)`]);
    const file = join(folder, 'north.tar.gz');
    expect((await star('export', id, '--to', file)).said[0]).toMatch(/north\.tar\.gz: \d+ rows of \d+ tables, 0 files/);
    expect((await star('delete', id, '--grace-days', '3')).said[0]).toMatch(/deleting {2}North {2}removed after/);
    expect((await star('restore', id)).said).toEqual([`${id}  disabled  North`]);
    expect((await star('status', id)).said.slice(0, 2)).toEqual([`${id}  disabled  North`, 'tenant.opening: done']);
  });

  it('says what Star refuses, and what was asked wrongly', async () => {
    expect(await star('create', 'Again', '--admin', 'north')).toEqual({
      code: 1,
      said: ['Star refused: user.username_taken {"username":"north"}'],
    });
    expect(await star('enable', randomUUID())).toMatchObject({ code: 1 });
    for (const wrong of [[], ['fly'], ['create', 'X'], ['enable'], ['constructor']])
      await expect(star(...wrong)).rejects.toBeInstanceOf(UsageError);
  });
});
