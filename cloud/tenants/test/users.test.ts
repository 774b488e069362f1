/** Users over REST. Real: PostgreSQL, HTTP, tokens, the embedded identity provider's users. */
import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createUserAdmin, endTokens, identityMigrations } from '@star/identity';
import {
  createTokenIssuer,
  createTokenVerifier,
  type IdentityAdmin,
  loadSigningKey,
  migrate,
  openLocalCache,
  type TokenIssuer,
} from '@star/platform';
import { createHttpApp, type HttpApp } from '@star/platform/nest';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';
import { createTenants, type Tenants, tenantsMigrations } from '../src';
import { writeSettings } from '../src/settings/settings.store';
import { aTenantWith } from './support/a-tenant';
import { withAudit } from './support/with-audit';

const realm = { issuer: 'http://star.test', audience: 'star' };
let database: TestDatabase;
let folder: string;
let tokens: TokenIssuer;
let identity: IdentityAdmin;
let tenants: Tenants;
let app: HttpApp;
let base: string;
let east: Tenant;
let west: Tenant;

interface Tenant {
  tenantId: string;
  adminId: string;
  token: string;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-users-'));
  database = await testDatabase([
    { service: 'identity', folder: identityMigrations },
    { service: 'tenants', folder: tenantsMigrations },
  ]);
  tokens = createTokenIssuer({ ...realm, key: await loadSigningKey(join(folder, 'key.json')) });
  identity = createUserAdmin({ database: database.db });
  tenants = createTenants({ database: database.db, identity, endTokens: endTokens({ cache: await openLocalCache() }) });
  app = await createHttpApp(await withAudit(tenants, database.db, folder), {
    verifier: createTokenVerifier({ ...realm, keys: tokens.jwks }),
  });
  base = await app.listen();
  east = await aTenant('East');
  west = await aTenant('West');
});

afterAll(async () => {
  await app?.close();
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

let made = 0;
const aName = () => `user${++made}`;

async function aTenant(name: string): Promise<Tenant> {
  const username = aName();
  const { tenantId, adminId } = await aTenantWith({ database: database.db, identity }, { name, username });
  return { tenantId, adminId, token: await tokenOf(tenantId, adminId, ['tenant-admin', 'operator']) };
}

const tokenOf = async (tenantId: string, userId: string, roles: string[]) =>
  (await tokens.issue({ tenantId, userId, username: 'caller', roles })).token;

const request = async (token: string, method: string, path: string, body?: unknown) => {
  const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
  const answer = await fetch(`${base}/api/v1${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await answer.text();
  return { status: answer.status, body: (text ? JSON.parse(text) : {}) as Record<string, unknown> & { items: Record<string, unknown>[] } };
};

const create = async (tenant: Tenant, changed: object = {}) => {
  const answer = await request(tenant.token, 'POST', '/users', { username: aName(), displayName: 'Li', roles: ['viewer'], ...changed });
  return { ...answer, id: answer.body.id as string };
};
const actions = async (tenant: Tenant) => (await request(tenant.token, 'GET', '/audit?limit=200')).body.items.map(({ action }) => action);

it('are made with a temporary password that is told once, and listed', async () => {
  const { status, body, id } = await create(east, { email: 'li@example.org', secondFactorRequired: true });
  expect(status).toBe(201);
  expect(body).toMatchObject({
    roles: ['viewer'],
    enabled: true,
    temporaryPassword: true,
    secondFactor: 'required',
    email: 'li@example.org',
  });
  expect(body.password).toMatch(/^[a-z2-9]{5}(-[a-z2-9]{5}){2}$/);
  const { password: _, ...shown } = body;
  expect((await request(east.token, 'GET', `/users/${id}`)).body).toEqual(shown);
  const first = await request(east.token, 'GET', '/users?limit=1');
  const rest = await request(east.token, 'GET', `/users?limit=200&cursor=${first.body.nextCursor}`);
  expect([...first.body.items, ...rest.body.items].map((each) => each.id)).toEqual(expect.arrayContaining([east.adminId, id]));
  const log = await request(east.token, 'GET', '/audit?action=user.created');
  expect(log.body.items[0]).toMatchObject({ subject: id, details: { roles: ['viewer'] } });
  expect(JSON.stringify(log.body)).not.toContain(body.password);
});

it('are told of no permission that the guards would not let them use, whatever a provider was made to say of their roles', async () => {
  const roles = ['platform-operator', 'viewer'];
  const { userId } = await identity.createUser({ tenantId: east.tenantId, username: aName(), displayName: 'x', roles });
  const me = (await request(await tokenOf(east.tenantId, userId, roles), 'GET', '/me')).body;
  expect(me.permissions).toContain('searches.read');
  expect(me.permissions).not.toContain('tenants.read');
  expect(me.roles).toEqual(['viewer']);
});

it('have names that nobody else has', async () => {
  const { body } = await create(west);
  const username = String(body.username).toUpperCase();
  for (const tenant of [east, west])
    expect(await create(tenant, { username })).toMatchObject({ status: 409, body: { code: 'user.username_taken' } });
  expect((await actions(east)).filter((action) => action === 'user.created')).toHaveLength(1);
});

it('change: name, roles, second factor, disabled and enabled again', async () => {
  const { id } = await create(east);
  const changed = { displayName: '王丽', email: null, roles: ['operator', 'auditor'], enabled: false, secondFactorRequired: true };
  expect((await request(east.token, 'PATCH', `/users/${id}`, changed)).body).toMatchObject({ displayName: '王丽', enabled: false });
  const back = await request(east.token, 'PATCH', `/users/${id}`, { enabled: true, secondFactorRequired: false });
  expect(back.body).toMatchObject({ roles: ['operator', 'auditor'], enabled: true, secondFactor: 'off' });
  const log = await request(east.token, 'GET', '/audit?action=user.changed');
  expect(log.body.items[1]).toMatchObject({
    subject: id,
    before: { roles: ['viewer'] },
    after: { roles: ['operator', 'auditor'] },
  });
});

it('get a new temporary password, lose second factor and sessions, and are deleted, each told to the audit', async () => {
  const { id, body } = await create(east);
  const reset = await request(east.token, 'POST', `/users/${id}/password`);
  expect(reset).toMatchObject({ status: 200, body: { password: expect.any(String) } });
  expect(reset.body.password).not.toBe(body.password);
  expect((await request(east.token, 'DELETE', `/users/${id}/second-factor`)).status).toBe(204);
  expect((await request(east.token, 'DELETE', `/users/${id}/sessions`)).status).toBe(204);
  expect((await request(east.token, 'DELETE', `/users/${id}`)).status).toBe(204);
  expect((await request(east.token, 'GET', `/users/${id}`)).status).toBe(404);
  expect((await request(east.token, 'DELETE', `/users/${id}`)).status).toBe(404);
  expect((await actions(east)).slice(0, 4)).toEqual([
    'user.deleted',
    'user.sessions_ended',
    'user.second_factor_reset',
    'user.password_reset',
  ]);
});

it('of another tenant are not there', async () => {
  const { id } = await create(west);
  for (const [method, path, body] of [
    ['GET', '', undefined],
    ['PATCH', '', { enabled: false }],
    ['DELETE', '', undefined],
    ['POST', '/password', undefined],
    ['DELETE', '/second-factor', undefined],
    ['DELETE', '/sessions', undefined],
  ] as const)
    expect(await request(east.token, method, `/users/${id}${path}`, body)).toMatchObject({ status: 404, body: { code: 'user.not_found' } });
  expect((await request(west.token, 'GET', `/users/${id}`)).body).toMatchObject({ enabled: true });
  const list = await request(east.token, 'GET', '/users?limit=200');
  expect(list.body.items.map((each) => each.id)).not.toContain(id);
});

describe('the last administrator', () => {
  it('stays: she cannot be deleted, disabled or lose the role', async () => {
    const tenant = await aTenant('North');
    const at = `/users/${tenant.adminId}`;
    for (const [method, body] of [
      ['DELETE', undefined],
      ['PATCH', { enabled: false }],
      ['PATCH', { roles: ['operator'] }],
    ] as const)
      expect(await request(tenant.token, method, at, body)).toMatchObject({ status: 409, body: { code: 'user.last_admin' } });
    const disabled = await create(tenant, { roles: ['tenant-admin'] });
    await request(tenant.token, 'PATCH', `/users/${disabled.id}`, { enabled: false });
    expect((await request(tenant.token, 'DELETE', at)).status).toBe(409);
    await request(tenant.token, 'PATCH', `/users/${disabled.id}`, { enabled: true });
    expect((await request(tenant.token, 'DELETE', at)).status).toBe(204);
  });

  it('stays when two remove each other at once', async () => {
    for (let round = 0; round < 5; round++) {
      const tenant = await aTenant('Duel');
      const other = await create(tenant, { roles: ['tenant-admin'] });
      const theirs = await tokenOf(tenant.tenantId, other.id, ['tenant-admin']);
      const statuses = await Promise.all([
        request(tenant.token, 'PATCH', `/users/${other.id}`, { roles: [] }),
        request(theirs, 'PATCH', `/users/${tenant.adminId}`, { enabled: false }),
      ]);
      expect(statuses.map(({ status }) => status).sort()).toEqual([200, 409]);
    }
  });
});

it('get no role of the platform from a tenant, and such a user is out of its reach', async () => {
  expect(await create(east, { roles: ['platform-operator'] })).toMatchObject({ status: 403, body: { code: 'user.role_above_yours' } });
  const { id } = await create(east);
  for (const roles of [['platform-finance'], ['viewer', 'platform-operator']])
    expect((await request(east.token, 'PATCH', `/users/${id}`, { roles })).status).toBe(403);
  // By the provider's own means: no token of a tenant could.
  await identity.setRoles(id, ['platform-finance']);
  for (const [method, path, body] of [
    ['POST', '/password', undefined],
    ['PATCH', '', { enabled: false }],
    ['DELETE', '', undefined],
  ] as const)
    expect((await request(east.token, method, `/users/${id}${path}`, body)).status).toBe(403);
});

it('are nobody else’s business', async () => {
  for (const roles of [['operator'], ['viewer'], ['auditor'], []]) {
    const token = await tokenOf(east.tenantId, randomUUID(), roles);
    expect((await request(token, 'GET', '/users')).status).toBe(403);
    expect((await request(token, 'POST', '/users', { username: aName(), displayName: 'x', roles: [] })).status).toBe(403);
  }
});

it.each([
  ['no name', { displayName: 'x', roles: [] }],
  ['a name with a space', { username: 'a b', displayName: 'x', roles: [] }],
  ['a role that is none', { username: 'ab', displayName: 'x', roles: ['root'] }],
  ['an address that is none', { username: 'ab', displayName: 'x', roles: [], email: 'x' }],
  ['a password of his own', { username: 'ab', displayName: 'x', roles: [], password: 'correct horse' }],
  ['a huge name', { username: 'a'.repeat(10_000), displayName: 'x', roles: [] }],
])('are refused with %s', async (_, body) => {
  expect((await request(east.token, 'POST', '/users', body)).status).toBe(400);
});

it('refuses cursors and ids that are none', async () => {
  expect((await request(east.token, 'GET', '/users?cursor=%00')).status).toBe(400);
  expect((await request(east.token, 'GET', '/users/1')).status).toBe(400);
  expect((await request(east.token, 'PATCH', `/users/${east.adminId}`, { tenantId: west.tenantId })).status).toBe(400);
});

it('say who they are, and end their own sessions', async () => {
  expect((await request(east.token, 'GET', '/me')).body).toMatchObject({ id: east.adminId, tenantName: 'East', displayName: 'Admin' });
  expect((await request(east.token, 'DELETE', '/me/sessions')).status).toBe(204);
  const gone = await tokenOf(east.tenantId, randomUUID(), []);
  expect((await request(gone, 'GET', '/me')).status).toBe(404);
});

it('hear what is switched off for their tenant', async () => {
  const features = async (token: string) => (await request(token, 'GET', '/me')).body.features;
  expect(await features(east.token)).toEqual(['search', 'apiKeys', 'modelPacks']);
  const off = { features: { search: false, apiKeys: false } };
  await database.db.tenant(east.tenantId, (tx) => writeSettings(tx, east.tenantId, 0, off, 'test'));
  expect(await features(east.token)).toEqual(['modelPacks']);
  expect(await features(west.token)).toHaveLength(3);
});

it('of an installation from before there was an identity provider come along with their passwords, or nothing moves', async () => {
  const old = await testDatabase();
  const before = join(folder, 'before');
  await mkdir(before);
  for (const name of (await readdir(tenantsMigrations)).sort()) {
    if (name.includes('move_users')) break;
    await copyFile(join(tenantsMigrations, name), join(before, name));
  }
  try {
    await migrate(old.ownerUrl, 'tenants', before);
    const [tenantId, id] = [randomUUID(), randomUUID()];
    await old.db.tenant(tenantId, async (tx) => {
      await tx.execute("INSERT INTO tenants.tenants (tenant_id, name) VALUES ($1, 'Old')", [tenantId]);
      await tx.execute(
        `INSERT INTO tenants.users (tenant_id, id, username, display_name, password_hash, roles)
         VALUES ($1, $2, 'guo', 'Guo Lin', 'scrypt$1$1$1$a$b', '{admin,operator}')`,
        [tenantId, id],
      );
    });
    await expect(migrate(old.ownerUrl, 'tenants', tenantsMigrations)).rejects.toMatchObject({ code: 'migration.failed' });
    await migrate(old.ownerUrl, 'identity', identityMigrations);
    await migrate(old.ownerUrl, 'tenants', tenantsMigrations);
    const found = await createUserAdmin({ database: old.db }).findUser({ username: 'guo' });
    expect(found).toMatchObject({ userId: id, tenantId, displayName: 'Guo Lin', roles: ['tenant-admin', 'operator'], enabled: true });
    const hash = await old.db.system('test', (tx) => tx.query('SELECT password_hash FROM identity.users'));
    expect(hash).toEqual([{ password_hash: 'scrypt$1$1$1$a$b' }]);
  } finally {
    await old.close();
  }
});
