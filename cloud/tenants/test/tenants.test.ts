/** Real: PostgreSQL, HTTP, tokens, scrypt. Nothing is simulated but the clock of the lock-out. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
let nowMs = Date.now();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-tenants-'));
  database = await testDatabase([{ service: 'tenants', folder: tenantsMigrations }]);
  const key = await loadSigningKey(join(folder, 'key.json'));
  tokens = createTokenIssuer({ ...realm, key });
  tenants = createTenants({ database: database.db, writeEvent, tokens, now: () => new Date(nowMs) });
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

const logIn = (username: string, password: string) => request('POST', '/session', { body: { username, password } });

async function aTenant(name: string, username: string): Promise<{ tenantId: string; token: string }> {
  const { tenantId } = await tenants.createTenant({ name, admin: { username, displayName: 'Admin', password: `${username}-secret` } });
  const session = await logIn(username, `${username}-secret`);
  return { tenantId, token: session.body.token as string };
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

describe('logging in', () => {
  it('answers a token that works', async () => {
    const session = await logIn('guo', 'first secret');
    expect(session).toMatchObject({
      status: 200,
      body: { user: { tenantName: 'Garden City', username: 'Guo', roles: ['tenant-admin', 'operator'] } },
    });
    const me = await request('GET', '/me', { token: session.body.token as string });
    expect(me).toMatchObject({ status: 200, body: { displayName: 'Guo Lin' } });
  });

  it('does not tell an unknown name from a wrong password', async () => {
    const [unknown, wrong] = [await logIn('nobody', 'x'), await logIn('guo', 'x')];
    const { traceId: _, ...answer } = unknown.body;
    expect(unknown.status).toBe(401);
    expect(wrong.body).toMatchObject(answer);
    expect(answer).toMatchObject({ code: 'session.wrong_credentials', params: {} });
  });

  it.each([
    ['no body', undefined],
    ['a list', []],
    ['no password', { username: 'guo' }],
    ['a number', { username: 1, password: 'x' }],
    ['an enormous password', { username: 'guo', password: 'x'.repeat(10_000) }],
    ['something more', { username: 'guo', password: 'x', admin: true }],
  ])('refuses %s', async (_, body) => {
    expect(await request('POST', '/session', { body })).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
  });

  it.each(['lee', 'never-registered'])(
    'locks %s out after five failures, even tried all at once, and lets in again later',
    async (username) => {
      if (username === 'lee') await aTenant('Lee', 'lee');
      const tries = await Promise.all(Array.from({ length: 9 }, () => logIn(username, 'guess')));
      expect(tries.filter((each) => each.status === 401)).toHaveLength(5);
      expect(tries.filter((each) => each.status === 429)).toHaveLength(4);
      const locked = await logIn(username, 'lee-secret');
      expect(locked).toMatchObject({ status: 429, body: { code: 'session.locked', params: { retryAfterS: 15 } } });
      expect(locked.headers.get('retry-after')).toBe('15');
      nowMs += 15_001;
      expect((await logIn(username, 'guess')).status).toBe(401);
      expect(await logIn(username, 'guess')).toMatchObject({ status: 429, body: { params: { retryAfterS: 30 } } });
      nowMs += 30_001;
      expect((await logIn(username, 'lee-secret')).status).toBe(username === 'lee' ? 200 : 401);
      if (username === 'lee') expect((await logIn(username, 'guess')).status).toBe(401);
    },
  );

  it('forgets the failures of a day ago, so that strangers cannot fill the table', async () => {
    nowMs += 2 * 86_400_000;
    await logIn('guo', 'first secret');
    const rows = await database.db.system('test', (tx) => tx.query('SELECT 1 FROM tenants.log_in_failures'));
    expect(rows).toHaveLength(0);
  });
});

describe('communities and audit', () => {
  let east: { tenantId: string; token: string };
  let west: { tenantId: string; token: string };

  beforeAll(async () => {
    east = await aTenant('East', 'east');
    west = await aTenant('West', 'west');
  });

  it('are the own tenant’s only, page by page', async () => {
    for (const name of ['A', 'B', 'C'])
      expect((await request('POST', '/communities', { token: east.token, body: { name } })).status).toBe(201);
    await request('POST', '/communities', { token: west.token, body: { name: 'A' } });
    const first = await request('GET', '/communities?limit=2', { token: east.token });
    const second = await request('GET', `/communities?limit=2&cursor=${first.body.nextCursor}`, { token: east.token });
    expect([...first.body.items, ...second.body.items].map((each) => each.name)).toEqual(['C', 'B', 'A']);
    expect(second.body.nextCursor).toBeNull();
    expect(await tenants.hasCommunity(west.tenantId, first.body.items[0]?.id as string)).toBe(false);
    expect(await tenants.hasCommunity(east.tenantId, first.body.items[0]?.id as string)).toBe(true);
  });

  it('refuses a name twice, an empty one, and a cursor that is none', async () => {
    expect(await request('POST', '/communities', { token: east.token, body: { name: ' A ' } })).toMatchObject({
      status: 409,
      body: { code: 'community.name_taken' },
    });
    expect(await request('POST', '/communities', { token: east.token, body: { name: '  ' } })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/name' }] },
    });
    expect((await request('GET', '/communities?cursor=zzz', { token: east.token })).status).toBe(400);
    expect((await request('GET', '/communities')).status).toBe(401);
  });

  it('shows who did what, to administrators of the tenant only', async () => {
    const log = await request('GET', '/audit', { token: west.token });
    expect(log.body.items.map((line) => line.action)).toEqual(['community.created', 'session.opened', 'tenant.created']);
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
