/** Tenants and their settings over REST. Real: PostgreSQL, bus, objects, HTTP, tokens, two replicas. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { createTokenIssuer, createTokenVerifier, loadSigningKey, openLocalCache, SecretBox, type TokenIssuer } from '@star/platform';
import { createHttpApp, type HttpApp } from '@star/platform/nest';
import { defaultTenantSettings, platformTenantId } from '@stardipper/proto';
import { admitCaller, createTenantLife, settingsOf, type TenantLife, TenantLifeModule } from '../src';
import { measureStorage } from '../src/storage/measure-storage';
import { aCustomer, type LifeWorld, lifeWorld } from './life-world';

const realm = { issuer: 'http://star.test', audience: 'star' };
let world: LifeWorld;
let tokens: TokenIssuer;
let life: TenantLife;
let app: HttpApp;
let base: string;
let provider: string;
let nowMs = Date.now();
let beforePut: (key: string) => Promise<void> = async () => undefined;

beforeAll(async () => {
  world = await lifeWorld();
  tokens = createTokenIssuer({ ...realm, key: await loadSigningKey(join(world.folder, 'key.json')) });
  life = createTenantLife({
    ...world.deps,
    objects: {
      ...world.objects,
      put: async (...object) => {
        await beforePut(object[1]);
        await world.objects.put(...object);
      },
    },
    now: () => new Date(nowMs),
    secrets: new SecretBox(world.key),
    pace: { firstPauseMs: 10 },
    sweepEveryMs: 100,
  });
  app = await createHttpApp(TenantLifeModule.forRoot(life), {
    verifier: createTokenVerifier({ ...realm, keys: tokens.jwks }),
    admit: admitCaller({ database: world.database.db, cache: world.cache }),
    objects: world.objects,
  });
  base = await app.listen();
  for (let start = 0; start < 2; start++) await life.openPlatformTenant({ username: 'provider', password: 'long enough' });
  provider = await tokenOf(platformTenantId, 'platform-operator');
});

afterAll(async () => {
  await app?.close();
  await world?.close();
});

const tokenOf = async (tenantId: string, ...roles: string[]) =>
  (await tokens.issue({ tenantId, userId: randomUUID(), username: roles[0] ?? 'nobody', roles })).token;

async function request(method: string, path: string, options: { token?: string; body?: unknown; headers?: Record<string, string> } = {}) {
  const answer = await fetch(`${base}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${options.token ?? provider}`,
      ...(options.body !== undefined && { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at with toMatchObject
  return { status: answer.status, body: (await answer.json()) as any };
}

async function until<T>(look: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found) return found;
    await sleep(20);
  }
}

async function anOpenTenant(name?: string) {
  const customer = aCustomer(name);
  expect(await request('POST', '/tenants', { body: customer })).toMatchObject({ status: 202, body: { id: customer.id } });
  await until(async () => (await request('GET', `/tenants/${customer.id}`)).body.state === 'enabled');
  return { ...customer, token: await tokenOf(customer.id, 'tenant-admin') };
}

describe('tenants over REST', () => {
  it('are opened, listed page by page, found by name and state', async () => {
    const opened = [await anOpenTenant('Zhonghai 1'), await anOpenTenant('Zhonghai 2'), await anOpenTenant('Zhonghai 3')];
    const first = await request('GET', '/tenants?name=zhonghai&limit=2');
    const second = await request('GET', `/tenants?name=zhonghai&limit=2&cursor=${first.body.nextCursor}`);
    expect([...first.body.items, ...second.body.items].map((each) => each.id)).toEqual(opened.map((each) => each.id).reverse());
    expect((await request('GET', '/tenants?state=removed&name=zhonghai')).body.items).toEqual([]);
    expect((await request('GET', '/tenants?cursor=zzz')).status).toBe(400);
    expect((await request('GET', `/tenants/${randomUUID()}`)).body).toMatchObject({ code: 'tenant.not_found' });
  });

  it.each([
    ['nothing', {}],
    ['a short password', { name: 'x', admin: { username: 'x', displayName: 'x', password: 'short' } }],
    ['a name with a space', { name: 'x', admin: { username: 'a b', displayName: 'x', password: 'long enough' } }],
    ['something more', { ...aCustomer(), state: 'enabled' }],
    ['an enormous name', { ...aCustomer(), name: 'x'.repeat(10_000) }],
  ])('refuse %s', async (_, body) => {
    expect(await request('POST', '/tenants', { body })).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
  });

  it('are the platform operator’s alone', async () => {
    const { id, token } = await anOpenTenant();
    for (const [method, path] of [
      ['GET', '/tenants'],
      ['POST', '/tenants'],
      ['GET', `/tenants/${id}`],
      ['DELETE', `/tenants/${id}`],
      ['POST', `/tenants/${id}/disable`],
      ['GET', `/tenants/${id}/settings`],
      ['GET', `/tenants/${id}/export`],
    ] as const)
      expect(await request(method, path, { token, ...(method === 'POST' && { body: {} }) })).toMatchObject({
        status: 403,
        body: { code: 'auth.forbidden' },
      });
    const finance = await tokenOf(platformTenantId, 'platform-finance');
    expect((await request('GET', '/tenants', { token: finance })).status).toBe(200);
    expect((await request('POST', `/tenants/${id}/disable`, { token: finance, body: {} })).status).toBe(403);
  });

  it('disabled: its people are sent away at once and come in again when it is enabled', async () => {
    const { id, token } = await anOpenTenant();
    expect((await request('GET', '/settings', { token })).status).toBe(200);
    expect(await request('POST', `/tenants/${id}/disable`, { body: { reason: 'not paid' } })).toMatchObject({
      status: 200,
      body: { state: 'disabled', reason: 'not paid' },
    });
    expect(await request('GET', '/settings', { token })).toMatchObject({
      status: 403,
      body: { code: 'auth.tenant_disabled', params: { state: 'disabled' } },
    });
    // Again changes nothing.
    expect((await request('POST', `/tenants/${id}/disable`, { body: {} })).body).toMatchObject({ state: 'disabled', reason: 'not paid' });
    expect((await request('POST', `/tenants/${id}/enable`)).body).toMatchObject({ state: 'enabled', reason: null });
    expect((await request('GET', '/settings', { token })).status).toBe(200);
    const log = await world.database.db.tenant(id, (tx) =>
      tx.query<{ action: string }>('SELECT action FROM tenants.audit_log ORDER BY id'),
    );
    expect(log.map((line) => line.action)).toEqual(['tenant.created', 'tenant.disabled', 'tenant.enabled']);
  });

  it('of the provider itself can be neither disabled nor deleted, and nobody gets in for a tenant that is none', async () => {
    expect(await request('POST', `/tenants/${platformTenantId}/disable`, { body: {} })).toMatchObject({
      status: 409,
      body: { code: 'tenant.is_platform' },
    });
    expect((await request('DELETE', `/tenants/${platformTenantId}`)).status).toBe(409);
    expect((await request('GET', '/settings', { token: await tokenOf(randomUUID(), 'tenant-admin') })).status).toBe(403);
  });

  it('deleted: closed at once, to be restored within the grace period, then removed with a report', async () => {
    const { id, token, admin } = await anOpenTenant();
    const deleted = await request('DELETE', `/tenants/${id}?graceDays=30`);
    expect(deleted.body).toMatchObject({ state: 'deleting' });
    expect(Date.parse(deleted.body.deleteAfter) - nowMs).toBe(30 * 86_400_000);
    expect((await request('GET', '/settings', { token })).status).toBe(403);
    expect((await request('POST', `/tenants/${id}/enable`)).body).toMatchObject({
      code: 'tenant.wrong_state',
      params: { state: 'deleting' },
    });
    expect((await request('POST', `/tenants/${id}/restore`)).body).toMatchObject({ state: 'disabled', deleteAfter: null });
    await request('POST', `/tenants/${id}/enable`);
    expect((await request('GET', '/settings', { token })).status).toBe(200);
    await request('DELETE', `/tenants/${id}`);
    nowMs += 31 * 86_400_000;
    const removed = await until(async () => {
      const { body } = await request('GET', `/tenants/${id}`);
      return body.state === 'removed' && body;
    });
    expect(removed.report).toMatchObject({
      rows: { 'tenants.areas': 1, 'tenants.settings': 1, 'tenants.settings_history': 1 },
      analytics: { devices_rows: 3, search_rows: 3 },
      objects: 1,
      users: 1,
      kept: ['tenants.tenants', 'tenants.audit_log'],
    });
    expect(await world.left(id)).toEqual(['1 in tenants.tenants']);
    expect(await world.deps.identity.findUser({ username: admin.username })).toBeUndefined();
    expect((await request('POST', `/tenants/${id}/restore`)).body).toMatchObject({ code: 'tenant.wrong_state' });
    // Whoever was counting its objects meanwhile writes down nothing.
    await measureStorage({ ...world.deps, now: () => new Date(nowMs) })(id, randomUUID(), new AbortController().signal);
    expect(await world.left(id)).toEqual(['1 in tenants.tenants']);
  });

  it('exported: every row but secrets, as JSON lines in a tar.gz behind a signed address', async () => {
    const { id } = await anOpenTenant();
    expect((await request('GET', `/tenants/${id}/export`)).body).toMatchObject({ code: 'tenant.not_exported' });
    expect((await request('POST', `/tenants/${id}/export`)).status).toBe(202);
    const done = await until(async () => {
      const { body } = await request('GET', `/tenants/${id}/export`);
      return body.url && body;
    });
    const { pathname, search } = new URL(done.url);
    const answer = await fetch(`${base}${pathname}${search}`);
    const tar = gunzipSync(Buffer.from(await answer.arrayBuffer()));
    const files = filesOf(tar);
    expect(Object.keys(files)).toEqual(['devices.jsonl', 'search.jsonl', 'tenants.jsonl', 'users.jsonl']);
    const lines = (files['tenants.jsonl'] as string)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { table: string; row: Record<string, unknown> });
    expect(new Set(lines.map((line) => line.row.tenant_id))).toEqual(new Set([id]));
    const users = (files['users.jsonl'] as string).trim().split('\n');
    expect(users.map((line) => JSON.parse(line))).toMatchObject([{ table: 'users', row: { tenantId: id, displayName: 'Guo Lin' } }]);
    expect(users[0]).not.toContain('$scrypt');
    expect(users[0]).not.toMatch(/"password\w*":"/);
    expect(done.rows).toMatchObject({ users: 1, 'tenants.areas': 1 });
    const looks = await world.database.db.tenant(id, (tx) =>
      tx.query("SELECT username, details FROM tenants.audit_log WHERE tenant_id = $1 AND action = 'export.viewed'", [id]),
    );
    expect(looks).toEqual([{ username: expect.any(String), details: { exportId: done.job.id } }]);
  });
});

describe('an export', () => {
  it('is begun once, however many ask at once', async () => {
    const { id } = await anOpenTenant();
    const jobs = await Promise.all([1, 2, 3, 4, 5].map(async () => (await request('POST', `/tenants/${id}/export`)).body.job.id));
    expect(new Set(jobs).size).toBe(1);
  });

  it('that is being written when its tenant is removed leaves nothing, whichever ends first', async () => {
    const { id } = await anOpenTenant();
    let goOn = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const writing = new Promise<void>((resolve) => {
      beforePut = async (key) => {
        if (!key.startsWith(id) || !key.endsWith('.tar.gz')) return;
        resolve();
        await held;
      };
    });
    await request('POST', `/tenants/${id}/export`);
    await writing;
    await request('DELETE', `/tenants/${id}?graceDays=1`);
    nowMs += 2 * 86_400_000;
    const stateOf = async () => (await request('GET', `/tenants/${id}`)).body.state as string;
    for (let looks = 0; looks < 50 && (await stateOf()) !== 'removed'; looks++) await sleep(20);
    goOn();
    await until(async () => (await stateOf()) === 'removed');
    // Nor of those it was opened by and for.
    const sagas = await world.database.db.tenant(id, (tx) => tx.query('SELECT kind FROM platform.sagas'));
    expect(sagas).toEqual([{ kind: 'tenant.removal' }]);
    const stored = [];
    for await (const { key } of world.objects.list(id)) stored.push(key);
    expect(stored).toEqual([]);
    expect(await world.left(id)).toEqual(['1 in tenants.tenants']);
  });
});

it('a removal without a grace period waits for whoever was let in before it', async () => {
  const { id } = await anOpenTenant();
  const { body } = await request('DELETE', `/tenants/${id}?graceDays=0`);
  const stateOf = async () => (await request('GET', `/tenants/${id}`)).body.state as string;
  for (let looks = 0; looks < 50 && (await stateOf()) !== 'removed'; looks++) await sleep(20);
  // A picture that a box had an address for, and somebody's slow request.
  await world.objects.put(id, `${id}/crops/a/b.jpg`, Buffer.alloc(10), 'image/jpeg');
  const settings = JSON.stringify(defaultTenantSettings);
  await world.database.db.tenant(id, (tx) =>
    tx.execute("INSERT INTO tenants.settings_history (tenant_id, version, settings, changed_by) VALUES ($1, 9, $2, 'x')", [id, settings]),
  );
  nowMs += 21 * 60_000;
  const wake = () => world.database.db.tenant(id, (tx) => life.sagas.wake(tx, body.job.id));
  await until(async () => {
    await wake();
    return (await stateOf()) === 'removed';
  });
  const stored = [];
  for await (const { key } of world.objects.list(id)) stored.push(key);
  expect(stored).toEqual([]);
  expect(await world.left(id)).toEqual(['1 in tenants.tenants']);
});

it('what a tenant stores is counted, and told with its settings', async () => {
  const { id, token } = await anOpenTenant();
  await world.objects.put(id, `${id}/people/a/b`, Buffer.alloc(1000), 'image/jpeg');
  await world.objects.put(id, `${id}/crops/a/b.jpg`, Buffer.alloc(2000), 'image/jpeg');
  const stored = (await world.objects.head(id, `${id}/tenant.json`))?.sizeBytes ?? 0;
  await measureStorage({ ...world.deps, now: () => new Date(nowMs) })(id, randomUUID(), new AbortController().signal);
  expect((await request('GET', '/settings', { token })).body.storageUsed).toEqual({
    bytes: 3000 + stored,
    objects: 3,
    measuredAt: new Date(nowMs).toISOString(),
  });
});

describe('settings', () => {
  const changed = (part: object) => ({ ...defaultTenantSettings, ...part });

  it('start from the defaults, are versioned, keep their history, and are the tenant’s own', async () => {
    const { id, token } = await anOpenTenant();
    const other = await anOpenTenant();
    const own = await request('GET', '/settings', { token });
    expect(own.body).toMatchObject({ version: 1, settings: defaultTenantSettings, mayChange: ['retention', 'notifications', 'timeZone'] });
    const next = changed({ timeZone: 'Asia/Urumqi' });
    expect(await request('PUT', '/settings', { token, body: { version: 1, settings: next } })).toMatchObject({
      status: 200,
      body: { version: 2, settings: next, changedBy: 'tenant-admin' },
    });
    // The same again is no new version.
    expect((await request('PUT', '/settings', { token, body: { version: 2, settings: next } })).body.version).toBe(2);
    const history = await request('GET', '/settings/history', { token });
    expect(history.body.items.map((each: { version: number }) => each.version)).toEqual([2, 1]);
    expect((await request('GET', '/settings', { token: other.token })).body.version).toBe(1);
    const [line] = await world.database.db.tenant(id, (tx) =>
      tx.query("SELECT before, after, details FROM tenants.audit_log WHERE action = 'settings.changed'"),
    );
    expect(line).toEqual({ before: { timeZone: 'Asia/Shanghai' }, after: { timeZone: 'Asia/Urumqi' }, details: { version: 2 } });
  });

  it('changed by two at once: one wins, the other hears which version there is', async () => {
    const { token } = await anOpenTenant();
    const answers = await Promise.all(
      ['Asia/Tokyo', 'Europe/Paris', 'UTC'].map((timeZone) =>
        request('PUT', '/settings', { token, body: { settings: changed({ timeZone }) }, headers: { 'if-match': '"1"' } }),
      ),
    );
    expect(answers.filter((each) => each.status === 200)).toHaveLength(1);
    for (const lost of answers.filter((each) => each.status !== 200))
      expect(lost).toMatchObject({ status: 409, body: { code: 'settings.changed', params: { version: 2 } } });
  });

  it('a tenant changes only what the provider lets it; the provider changes all', async () => {
    const { id, token } = await anOpenTenant();
    const limits = { ...defaultTenantSettings.limits, edges: 99 };
    expect(await request('PUT', '/settings', { token, body: { version: 1, settings: changed({ limits }) } })).toMatchObject({
      status: 403,
      body: { code: 'settings.not_yours', params: { parts: ['limits'] } },
    });
    expect((await request('PUT', `/tenants/${id}/settings`, { body: { version: 1, settings: changed({ limits }) } })).body).toMatchObject({
      version: 2,
      settings: { limits: { edges: 99 } },
    });
    expect((await request('GET', `/tenants/${randomUUID()}/settings`)).status).toBe(404);
  });

  it.each([
    ['no version', { settings: defaultTenantSettings }, 'settings.version_missing'],
    ['a time zone that is none', { version: 1, settings: changed({ timeZone: 'Mars/Olympus' }) }, 'request.invalid'],
    ['an audit log forgotten too soon', { version: 1, settings: changed({ retention: { audit: 30 } }) }, 'request.invalid'],
    ['a negative limit', { version: 1, settings: changed({ limits: { edges: -1 } }) }, 'request.invalid'],
    ['a part that does not exist', { version: 1, settings: changed({ colour: 'red' }) }, 'request.invalid'],
    [
      'a webhook to a file',
      { version: 1, settings: changed({ notifications: { channels: [{ kind: 'webhook', name: 'x', url: 'file:///etc/passwd' }] } }) },
      'request.invalid',
    ],
  ])('refuse %s', async (_, body, code) => {
    const { token } = await anOpenTenant();
    expect(await request('PUT', '/settings', { token, body })).toMatchObject({ status: 400, body: { code } });
  });

  it('are not changed while the tenant is opened, which may be undone', async () => {
    const id = randomUUID();
    await world.database.db.tenant(id, (tx) =>
      tx.execute("INSERT INTO tenants.tenants (tenant_id, name, state) VALUES ($1, 'T', 'opening')", [id]),
    );
    const body = { version: 0, settings: changed({ timeZone: 'UTC' }) };
    expect(await request('PUT', `/tenants/${id}/settings`, { body })).toMatchObject({ status: 409, body: { code: 'tenant.wrong_state' } });
  });

  it('that an older Star stored are read without the parts that there are no more', async () => {
    const { id, token } = await anOpenTenant();
    await world.database.db.tenant(id, (tx) =>
      tx.execute(`UPDATE tenants.settings SET settings = settings || '{"storage": {"quotaGb": 7, "coldAfterDays": 30}, "colour": "red"}'`),
    );
    const settings = changed({ storage: { quotaGb: 7 } });
    expect((await request('GET', '/settings', { token })).body).toMatchObject({ version: 1, settings });
    const next = { ...settings, timeZone: 'UTC' };
    expect((await request('PUT', '/settings', { token, body: { version: 1, settings: next } })).body).toMatchObject({
      version: 2,
      settings: next,
    });
  });

  it('reach another replica’s cache', async () => {
    const { id, token } = await anOpenTenant();
    const cache = await openLocalCache({ db: world.database.db });
    const there = settingsOf({ database: world.database.db, cache });
    expect(await there(id)).toMatchObject({ version: 1 });
    await request('PUT', '/settings', { token, body: { version: 1, settings: changed({ timeZone: 'UTC' }) } });
    await until(async () => (await there(id)).settings.timeZone === 'UTC');
    await cache.close();
  });
});

/** Name to text, read as `tar` would: header, size in octal, blocks of 512. */
function filesOf(tar: Buffer): Record<string, string> {
  const files: Record<string, string> = {};
  for (let at = 0; tar[at] !== 0; ) {
    const text = (from: number, bytes: number) => tar.toString('latin1', at + from, at + from + bytes).replace(/\0.*$/s, '');
    const header = Buffer.from(tar.subarray(at, at + 512)).fill(' ', 148, 156);
    expect(Number.parseInt(text(148, 8), 8)).toBe(header.reduce((sum, byte) => sum + byte, 0));
    const bytes = Number.parseInt(text(124, 12), 8);
    files[text(0, 100)] = tar.toString('utf8', at + 512, at + 512 + bytes);
    at += 512 + Math.ceil(bytes / 512) * 512;
  }
  return files;
}
