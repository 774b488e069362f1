/** Real: PostgreSQL, HTTP, tokens, keys, two verifiers as two replicas have them. Only the clock is ours. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createUserAdmin, endTokens, identityMigrations } from '@star/identity';
import { createTokenIssuer, createTokenVerifier, loadSigningKey, openLocalCache, type TokenIssuer, withApiKeys } from '@star/platform';
import { createHttpApp, type HttpApp } from '@star/platform/nest';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';
import type { ApiKey, CreatedApiKey, Page, Problem } from '@stardipper/proto';
import { checkApiKeys, createTenants, tenantsMigrations } from '../src';
import { aTenantWith } from './support/a-tenant';
import { withAudit } from './support/with-audit';

const realm = { issuer: 'http://star.test', audience: 'star' };
let database: TestDatabase;
let folder: string;
let tokens: TokenIssuer;
let replicas: HttpApp[];
let nowMs = Date.now();
let east: string;
let west: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-keys-'));
  database = await testDatabase([
    { service: 'identity', folder: identityMigrations },
    { service: 'tenants', folder: tenantsMigrations },
  ]);
  tokens = createTokenIssuer({ ...realm, key: await loadSigningKey(join(folder, 'key.json')) });
  const now = () => new Date(nowMs);
  const identity = createUserAdmin({ database: database.db });
  const tenants = createTenants({
    database: database.db,
    identity,
    endTokens: endTokens({ cache: await openLocalCache() }),
    now,
  });
  const replica = async () =>
    createHttpApp(await withAudit(tenants, database.db, folder), {
      verifier: withApiKeys(createTokenVerifier({ ...realm, keys: tokens.jwks }), checkApiKeys({ database: database.db, now })),
    });
  replicas = [await replica(), await replica()];
  const open = (name: string) => aTenantWith({ database: database.db, identity }, { name, username: name });
  east = (await open('east')).tenantId;
  west = (await open('west')).tenantId;
});
afterAll(async () => {
  await Promise.all(replicas.map((each) => each.close()));
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

interface Answer<T> {
  readonly status: number;
  readonly body: T;
}
async function call<T = Problem>(
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: unknown,
  replica = 0,
): Promise<Answer<T>> {
  const { nest } = replicas[replica] as HttpApp;
  const answer = await nest.inject({
    method: method as 'GET',
    url: `/api/v1${path}`,
    headers,
    ...(body !== undefined && { payload: body as object }),
  });
  return { status: answer.statusCode, body: (answer.body ? answer.json() : undefined) as T };
}
const by = async (tenantId: string, ...roles: string[]) => {
  const { token } = await tokens.issue({ tenantId, userId: randomUUID(), username: `somebody of ${tenantId}`, roles });
  return { authorization: `Bearer ${token}` };
};
const make = async (input: object, tenantId = east) =>
  call<CreatedApiKey>('POST', '/api-keys', await by(tenantId, 'tenant-admin', 'operator'), {
    name: 'exporter',
    permissions: ['areas.read'],
    ...input,
  });

it('is shown once, kept as a hash, and opens exactly what it was given', async () => {
  const { status, body } = await make({ permissions: ['areas.read', 'areas.read'] });
  expect([status, body.permissions, body.key]).toEqual([201, ['areas.read'], expect.stringMatching(/^sdk_[\w-]{43}$/)]);
  const list = await call<Page<ApiKey>>('GET', '/api-keys', await by(east, 'auditor'));
  expect(list.body.items[0]).toMatchObject({
    id: body.id,
    name: 'exporter',
    prefix: body.key.slice(0, 10),
    lastUsedAt: null,
    revokedAt: null,
  });
  expect(JSON.stringify(list.body)).not.toContain(body.key.slice(0, 20));
  const stored = await database.db.system('test', (tx) => tx.query<{ all: string }>('SELECT k::text AS all FROM tenants.api_keys k'));
  expect(JSON.stringify(stored)).not.toContain(body.key.slice(0, 20));

  for (const headers of [{ authorization: `Bearer ${body.key}` }, { 'x-api-key': body.key }] as Record<string, string>[]) {
    expect((await call('GET', '/areas', headers)).status).toBe(200);
    expect(await call('POST', '/areas', headers, { kind: 'community', name: 'x' })).toMatchObject({
      status: 403,
      body: { code: 'auth.forbidden' },
    });
    expect((await call('GET', '/audit', headers)).status).toBe(403);
    // About a person who is logged in, which a key is not.
    expect((await call('GET', '/me', headers)).status).toBe(403);
  }
});

it('acts for its tenant and no other, and what it does is in the audit log under its name', async () => {
  const { body } = await make({ name: 'builder', permissions: ['areas.read', 'areas.write', 'audit.read'] });
  const headers = { 'x-api-key': body.key, 'x-tenant-id': west };
  const caller = await checkApiKeys({ database: database.db, now: () => new Date(nowMs) }).verify(body.key);
  expect(caller).toMatchObject({ userId: body.id, keyMadeBy: `somebody of ${east}` });
  expect((await call('POST', '/areas', headers, { kind: 'community', name: 'By a program' })).status).toBe(201);
  const [mine, theirs] = [
    await call<Page<unknown>>('GET', '/areas', headers),
    await call<Page<unknown>>('GET', '/areas', await by(west, 'viewer')),
  ];
  expect([mine.body.items.length, theirs.body.items.length]).toEqual([1, 0]);
  const audit = await call<Page<unknown>>('GET', '/audit?limit=2', headers);
  expect(audit.body.items).toMatchObject([
    { action: 'area.created', userId: body.id, username: 'api-key:builder' },
    { action: 'api_key.created', subject: body.id, details: { permissions: ['areas.read', 'areas.write', 'audit.read'] } },
  ]);
});

it('works until it is revoked, then nowhere after two seconds; the end is audited once', async () => {
  const { body } = await make({});
  const headers = { 'x-api-key': body.key };
  const statuses = async () =>
    [await call('GET', '/areas', headers, undefined, 0), await call('GET', '/areas', headers, undefined, 1)].map((a) => a.status);
  expect(await statuses()).toEqual([200, 200]);
  const admin = await by(east, 'tenant-admin');
  expect(await call('DELETE', `/api-keys/${body.id}`, await by(west, 'tenant-admin'))).toMatchObject({
    status: 404,
    body: { code: 'api_key.not_found' },
  });
  expect(await statuses()).toEqual([200, 200]);
  expect((await call('DELETE', `/api-keys/${body.id}`, admin)).status).toBe(204);
  expect((await call('DELETE', `/api-keys/${body.id}`, admin)).status).toBe(204);
  nowMs += 2001;
  expect(await statuses()).toEqual([401, 401]);
  const audit = await call<Page<{ subject: string }>>('GET', '/audit?action=api_key.revoked', admin);
  expect(audit.body.items.filter((line) => line.subject === body.id)).toHaveLength(1);
});

it('ends at its time, even for who asked a moment ago', async () => {
  const { body } = await make({ expiresAt: new Date(nowMs + 1000).toISOString() });
  const headers = { 'x-api-key': body.key };
  expect((await call('GET', '/areas', headers)).status).toBe(200);
  nowMs += 1001;
  expect(await call('GET', '/areas', headers)).toMatchObject({ status: 401, body: { code: 'auth.token_expired' } });
});

it('notes its use once a minute, however much it is used and by however many replicas', async () => {
  const { body } = await make({});
  const admin = await by(east, 'tenant-admin');
  const seen = new Set<unknown>();
  const first = nowMs;
  for (let second = 0; second < 90; second += 3) {
    await call('GET', '/areas', { 'x-api-key': body.key }, undefined, second % 2);
    const list = await call<Page<ApiKey>>('GET', '/api-keys', admin);
    seen.add(list.body.items.find((key) => key.id === body.id)?.lastUsedAt);
    nowMs += 3000;
  }
  expect([...seen]).toEqual([new Date(first).toISOString(), new Date(first + 63_000).toISOString()]);
});

it.each([
  ['a permission its maker does not hold', { permissions: ['people.read'] }, 403, 'api_key.not_held'],
  ['one that only people have', { permissions: ['keys.write'] }, 400, 'request.invalid'],
  ['the provider’s', { permissions: ['tenants.read'] }, 400, 'request.invalid'],
  ['none at all', { permissions: [] }, 400, 'request.invalid'],
  ['no such permission', { permissions: ['everything'] }, 400, 'request.invalid'],
  ['an end in the past', { expiresAt: '2001-01-01T00:00:00Z' }, 422, 'api_key.expired'],
  ['an empty name', { name: ' ' }, 400, 'request.invalid'],
  ['something more', { roles: ['tenant-admin'] }, 400, 'request.invalid'],
])('is refused with %s', async (_, input, status, code) => {
  const admin = await by(east, 'tenant-admin');
  expect(await call('POST', '/api-keys', admin, { name: 'x', permissions: ['areas.read'], ...input })).toMatchObject({
    status,
    body: { code },
  });
});

it('is looked for only where it could be one', async () => {
  const { body } = await make({});
  const token = (await by(east, 'tenant-admin')).authorization;
  const wrong: Record<string, string>[] = [
    { 'x-api-key': `${body.key.slice(0, -1)}${body.key.endsWith('A') ? 'B' : 'A'}` },
    { 'x-api-key': `${body.key}x` },
    { 'x-api-key': body.key.slice(4) },
    { 'x-api-key': '' },
    { 'x-api-key': "sdk_' OR true --" },
    { 'x-api-key': `sdk_${'x'.repeat(5000)}` },
    { authorization: body.key },
    { 'x-api-key': body.key, authorization: token },
    { 'x-api-key': token.slice(7) },
  ];
  for (const headers of wrong)
    expect(await call('GET', '/areas', headers)).toMatchObject({ status: 401, body: { code: 'auth.token_invalid' } });
});

it('is one of at most a hundred, however many are made at once', async () => {
  const made = await Promise.all(Array.from({ length: 104 }, () => make({}, west)));
  expect(made.filter((each) => each.status === 201)).toHaveLength(100);
  expect(made.find((each) => each.status !== 201)).toMatchObject({ status: 409, body: { code: 'api_key.too_many' } });
  const first = await call<Page<ApiKey>>('GET', '/api-keys?limit=60', await by(west, 'tenant-admin'));
  const second = await call<Page<ApiKey>>('GET', `/api-keys?limit=60&cursor=${first.body.nextCursor}`, await by(west, 'tenant-admin'));
  expect(new Set([...first.body.items, ...second.body.items].map((key) => key.id)).size).toBe(100);
  expect(second.body.nextCursor).toBeNull();
  // Another tenant's cursor is a place in time, and shows nothing of that tenant.
  const east2 = await call<Page<ApiKey>>('GET', `/api-keys?limit=60&cursor=${first.body.nextCursor}`, await by(east, 'tenant-admin'));
  expect(east2.body.items.some((key) => first.body.items.some((other) => other.id === key.id))).toBe(false);
  expect((await call('GET', '/api-keys?cursor=zzz', await by(west, 'tenant-admin'))).status).toBe(400);
});
