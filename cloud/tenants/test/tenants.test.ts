/** Real: PostgreSQL, HTTP, tokens, the embedded identity provider's users. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createUserAdmin, identityMigrations } from '@star/identity';
import { type Caller, createTokenIssuer, createTokenVerifier, loadSigningKey, type TokenIssuer, writeEvent } from '@star/platform';
import { createHttpApp, type HttpApp } from '@star/platform/nest';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';
import { createTenants, recordAudit, type Tenants, TenantsModule, tenantsMigrations } from '../src';

const realm = { issuer: 'http://star.test', audience: 'star' };
let database: TestDatabase;
let folder: string;
let tokens: TokenIssuer;
let tenants: Tenants;
let app: HttpApp;
let base: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-tenants-'));
  database = await testDatabase([
    { service: 'identity', folder: identityMigrations },
    { service: 'tenants', folder: tenantsMigrations },
  ]);
  const key = await loadSigningKey(join(folder, 'key.json'));
  tokens = createTokenIssuer({ ...realm, key });
  tenants = createTenants({ database: database.db, writeEvent, identity: createUserAdmin({ database: database.db }) });
  app = await createHttpApp(TenantsModule.forRoot(tenants), { verifier: createTokenVerifier({ ...realm, keys: tokens.jwks }) });
  base = await app.listen();
});

afterAll(async () => {
  await app?.close();
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

const request = async (method: string, path: string, options: { token?: string; body?: unknown } = {}) => {
  const answer = await fetch(`${base}/api/v1${path}`, {
    method,
    headers: {
      ...(options.token && { authorization: `Bearer ${options.token}` }),
      ...(options.body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
  });
  return {
    status: answer.status,
    body: (await answer.json()) as Record<string, unknown> & { items: { [k: string]: unknown }[] },
    headers: answer.headers,
  };
};

async function aTenant(name: string, username: string): Promise<{ tenantId: string; token: string }> {
  const admin = { username, displayName: 'Admin', password: `${username}-secret` };
  const { tenantId, adminId } = await tenants.createTenant({ name, admin });
  const { token } = await tokens.issue({ tenantId, userId: adminId, username, roles: ['tenant-admin', 'operator'] });
  return { tenantId, token };
}

describe('opening a tenant', () => {
  const input = { name: 'Garden City', admin: { username: 'Guo', displayName: 'Guo Lin', password: 'first secret' } };

  it('makes tenant, administrator and event once, however many start at once', async () => {
    const opened = await Promise.all([1, 2, 3].map(() => tenants.createTenant(input, { ifAbsent: true })));
    expect(new Set(opened.map((each) => each.tenantId)).size).toBe(1);
    expect(opened.filter((each) => each.created)).toHaveLength(1);
    const events = await database.db.system('test', (tx) => tx.query<{ topic: string }>('SELECT topic FROM platform.outbox'));
    expect(events).toMatchObject([{ topic: 'tenant.created.v1' }]);
  });

  it('refuses a name that is taken, in any case of its letters', async () => {
    const again = { ...input, admin: { ...input.admin, username: 'GUO' } };
    await expect(tenants.createTenant(again)).rejects.toMatchObject({ code: 'user.username_taken' });
  });
});

describe('audit', () => {
  let east: { tenantId: string; token: string };
  let west: { tenantId: string; token: string };

  beforeAll(async () => {
    east = await aTenant('East', 'east');
    west = await aTenant('West', 'west');
  });

  it('shows who did what, to administrators of the tenant only', async () => {
    await request('POST', '/areas', { token: west.token, body: { kind: 'community', name: 'A' } });
    const log = await request('GET', '/audit', { token: west.token });
    expect(log.body.items.map((line) => line.action)).toEqual(['area.created', 'tenant.created']);
    expect(log.body.items[0]).toMatchObject({ username: 'west' });
    const guard: Caller = {
      tenantId: west.tenantId,
      userId: '00000000-0000-4000-8000-000000000001',
      username: 'guard',
      roles: ['operator'],
    };
    const { token } = await tokens.issue(guard);
    expect(await request('GET', '/audit', { token })).toMatchObject({ status: 403, body: { code: 'auth.forbidden' } });
    expect(await request('GET', '/audit?cursor=1;', { token: west.token })).toMatchObject({
      status: 400,
      body: { code: 'audit.cursor_invalid' },
    });
  });

  it('cannot be changed afterwards, nor written for another tenant', async () => {
    const change = (sql: string) => database.db.tenant(west.tenantId, (tx) => tx.execute(sql));
    await expect(change("UPDATE tenants.audit_log SET action = 'x'")).rejects.toThrow('permission denied');
    await expect(change('DELETE FROM tenants.audit_log')).rejects.toThrow('permission denied');
    const forged = { tenantId: east.tenantId, username: 'west', action: 'x', subject: 'x' };
    await expect(database.db.tenant(west.tenantId, (tx) => recordAudit(tx, forged))).rejects.toThrow('row-level security');
  });
});
