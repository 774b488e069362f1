/** Real: PostgreSQL, HTTP, signatures, files. The clock is moved, and lines are made older than they are by the database's owner. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createTokenIssuer,
  createTokenVerifier,
  type Database,
  keptFrom,
  loadSigningKey,
  openDiskObjects,
  type Removal,
  type SigningKey,
  type TokenIssuer,
} from '@star/platform';
import { createHttpApp, type HttpApp } from '@star/platform/nest';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';
import type { Page, ShownRemoval } from '@stardipper/proto';
import { defaultTenantSettings, objectKeys } from '@stardipper/proto';
import { Client } from 'pg';
import {
  type AuditLog,
  AuditModule,
  createAudit,
  createRetention,
  createSeal,
  readHeadFiles,
  recordAudit,
  tenantsMigrations,
  verifyAudit,
} from '../src';

const realm = { issuer: 'http://star.test', audience: 'star' };
const east = '0a000000-0000-4000-8000-000000000001';
const west = '0a000000-0000-4000-8000-000000000002';
const dayMs = 86_400_000;

let database: TestDatabase;
let folder: string;
let key: SigningKey;
let tokens: TokenIssuer;
let audit: AuditLog;
let app: HttpApp;
let base: string;
let owner: Client;
let now = new Date();
const going = new AbortController().signal;

const openObjects = () => openDiskObjects({ folder: join(folder, 'objects'), secret: 'x'.repeat(32), publicUrl: 'http://star.test' });

const createOwn = async (): Promise<AuditLog> => {
  const objects = await openObjects();
  return createAudit({ database: database.db, objects, key, headsFolder: join(folder, 'heads'), now: () => now });
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-retention-'));
  database = await testDatabase([{ service: 'tenants', folder: tenantsMigrations }]);
  tokens = createTokenIssuer({ ...realm, key: await loadSigningKey(join(folder, 'tokens.json')) });
  key = await loadSigningKey(join(folder, 'audit.json'));
  audit = await createOwn();
  app = await createHttpApp(AuditModule.forRoot(audit), { verifier: createTokenVerifier({ ...realm, keys: tokens.jwks }) });
  base = await app.listen();
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
  await owner.query("SET app.system = 'on'");
  for (const [id, name] of [
    [east, 'East'],
    [west, 'West'],
  ])
    await owner.query('INSERT INTO tenants.tenants (tenant_id, name) VALUES ($1, $2)', [id, name]);
});

afterAll(async () => {
  await app?.close();
  await owner?.end();
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  now = new Date();
  await owner.query(
    'TRUNCATE tenants.audit_log, tenants.audit_chain, tenants.audit_unlinked, tenants.audit_checks, tenants.audit_cuts, tenants.removals, tenants.settings RESTART IDENTITY',
  );
  await rm(join(folder, 'heads'), { recursive: true, force: true });
});

const midnight = (daysAgo: number) => keptFrom(now, daysAgo).getTime();

/** Lines written at these moments, linked one batch each unless they are to share one. */
async function writeAt(tenantId: string, moments: readonly number[], apart = true): Promise<void> {
  for (const ms of moments) {
    await database.db.tenant(tenantId, (tx) => recordAudit(tx, { tenantId, username: 'guo', action: 'thing.done', subject: 'thing' }));
    await owner.query('UPDATE tenants.audit_log SET at = $1 WHERE id = (SELECT max(id) FROM tenants.audit_log)', [new Date(ms)]);
    if (apart) await linkAll();
  }
  await linkAll();
}

const linkAll = async () => {
  while ((await audit.linkAudit()) > 0);
};

const keepAudit = (tenantId: string, days: number) =>
  owner.query(
    `INSERT INTO tenants.settings (tenant_id, version, settings, changed_by) VALUES ($1, 1, $2, 'ann')
     ON CONFLICT ON CONSTRAINT settings_pkey DO UPDATE SET version = settings.version + 1, settings = excluded.settings`,
    [tenantId, JSON.stringify({ ...defaultTenantSettings, retention: { ...defaultTenantSettings.retention, audit: days } })],
  );

const verify = async (tenantId = east, by = key) =>
  verifyAudit({ database: database.db, seal: createSeal(by) }, tenantId, await readHeadFiles(key, join(folder, 'heads')));

const things = async (tenantId = east) =>
  Number(
    (await owner.query("SELECT count(*) AS n FROM tenants.audit_log WHERE tenant_id = $1 AND action = 'thing.done'", [tenantId])).rows[0]
      ?.n,
  );

const report = async (query = '', as: { tenantId?: string; roles?: string[] } = {}) => {
  const { token } = await tokens.issue({ tenantId: east, userId: east, username: 'ann', roles: ['tenant-admin'], ...as });
  const answer = await fetch(`${base}/api/v1/retention${query}`, { headers: { authorization: `Bearer ${token}` } });
  return { status: answer.status, body: (await answer.json()) as Page<ShownRemoval> };
};

it('removes a line when the whole day it was written on is past its time, tenant by tenant, and says so', async () => {
  await keepAudit(east, 400);
  await writeAt(east, [midnight(401), midnight(400) - 1, midnight(400), midnight(1)]);
  await writeAt(west, [midnight(1096), midnight(1095), midnight(401)]);
  await audit.exportHeads();
  expect(await audit.expire(going)).toBe(0);
  expect([await things(east), await things(west)]).toEqual([2, 2]);

  await linkAll();
  expect(await verify(east)).toMatchObject({
    problems: [],
    seq: 5,
    intactSeq: 5,
    cut: { seq: 2, settingsVersion: 1, before: new Date(midnight(400)) },
  });
  expect(await verify(west)).toMatchObject({ problems: [], cut: { seq: 1, settingsVersion: 0 } });

  const { body } = await report();
  expect(body).toMatchObject({
    items: [{ kind: 'audit', items: 2, settingsVersion: 1, before: new Date(midnight(400)).toISOString() }],
    nextCursor: null,
  });
  expect(body.items[0]?.bytes).toBeGreaterThan(0);
  const told = await owner.query(
    "SELECT username, subject, details FROM tenants.audit_log WHERE action = 'retention.removed' AND tenant_id = $1",
    [east],
  );
  expect(told.rows).toMatchObject([{ username: 'star', details: { kind: 'audit', settingsVersion: 1 } }]);

  // Again there is nothing to do, and nothing to tell.
  expect(await audit.expire(going)).toBe(0);
  expect((await report()).body.items).toHaveLength(1);
  expect((await report('', { roles: ['operator'] })).status).toBe(403);
});

it('keeps to the settings as they are now: raised, nothing more goes; lowered, the next sweep takes it; never less than a year', async () => {
  await keepAudit(east, 400);
  await keepAudit(east, 500);
  await writeAt(east, [midnight(450), midnight(410)]);
  await audit.expire(going);
  expect(await things()).toBe(2);
  await keepAudit(east, 420);
  await audit.expire(going);
  expect(await things()).toBe(1);
  // A clock that leaps ahead takes nothing that is younger than a year by the database's.
  await writeAt(east, [midnight(3)]);
  now = new Date(now.getTime() + 5000 * dayMs);
  expect(await audit.expire(going)).toBe(1);
  expect(await things()).toBe(2);
  expect(await verify()).toMatchObject({ problems: [], cut: { seq: 1 } });
});

it('two sweepers and a restart remove each line once', async () => {
  await keepAudit(east, 400);
  await writeAt(
    east,
    Array.from({ length: 20 }, () => midnight(410)),
  );
  const other = await createOwn();
  await Promise.all([audit.expire(going), other.expire(going)]);
  expect(await things()).toBe(0);
  await linkAll();
  expect(await verify()).toMatchObject({ problems: [], cut: { seq: 20 } });
  const { items } = (await report()).body;
  expect(items.reduce((sum, { items }) => sum + items, 0)).toBe(20);
  expect(await (await createOwn()).expire(going)).toBe(0);
  expect(await verify()).toMatchObject({ problems: [], cut: { seq: 20 } });
});

it('a transaction that fails in the middle leaves lines, cut and report as they were', async () => {
  await keepAudit(east, 400);
  await writeAt(east, [midnight(410)]);
  await writeAt(west, [midnight(2000)]);
  await owner.query(`ALTER TABLE tenants.removals ADD CONSTRAINT not_east CHECK (tenant_id <> '${east}')`);
  // One tenant's failure does not keep the other's lines.
  expect(await audit.expire(going)).toBe(1);
  expect([await things(east), await things(west)]).toEqual([1, 0]);
  expect(await verify(east)).toMatchObject({ problems: [], cut: null });
  await owner.query('ALTER TABLE tenants.removals DROP CONSTRAINT not_east');
  expect(await audit.expire(going)).toBe(0);
  expect(await things(east)).toBe(0);
});

it('cuts up to the first line that is to stay also where a batch has old and young ones', async () => {
  await keepAudit(east, 400);
  await writeAt(east, [midnight(500), midnight(450), midnight(2), midnight(600)], false);
  await audit.expire(going);
  expect(await things()).toBe(2);
  await linkAll();
  expect(await verify()).toMatchObject({ problems: [], cut: { seq: 2 } });
});

it('is no finding of a check that reads while it is cut', async () => {
  await keepAudit(east, 400);
  await writeAt(east, [midnight(500), midnight(450), midnight(2)]);
  let untouched = true;
  const meanwhile: Database = {
    ...database.db,
    tenant: async (tenantId, work) => {
      const read = await database.db.tenant(tenantId, work);
      if (untouched) {
        untouched = false;
        await audit.expire(going);
      }
      return read;
    },
  };
  expect(await verifyAudit({ database: meanwhile, seal: createSeal(key) }, east)).toMatchObject({ problems: [], cut: { seq: 2 } });
});

describe('what is no cut of Star’s', () => {
  beforeEach(async () => {
    await keepAudit(east, 400);
    await writeAt(east, [midnight(500), midnight(450), midnight(3), midnight(2)]);
    await audit.exportHeads();
  });

  it('is lines that were removed without one', async () => {
    await owner.query('DELETE FROM tenants.audit_log WHERE id <= 2');
    expect((await verify()).problems.map(({ kind }) => kind)).toEqual(['line_removed', 'line_removed']);
    // Evidence is not swept away: nothing behind it goes.
    await audit.expire(going);
    expect(await verify()).toMatchObject({ problemCount: 2, cut: null });
  });

  it('is links that were removed with one', async () => {
    await audit.expire(going);
    await owner.query('DELETE FROM tenants.audit_chain WHERE seq <= 2');
    expect((await verify()).problems).toContainEqual({ kind: 'links_removed', seq: 1, toSeq: 2 });
  });

  it.each([
    ['moved', 'UPDATE tenants.audit_cuts SET seq = 3, hash = (SELECT hash FROM tenants.audit_chain WHERE seq = 3)'],
    ['of another day', "UPDATE tenants.audit_cuts SET before_at = before_at + interval '1 day'"],
    ['somebody else’s', `UPDATE tenants.audit_cuts SET tenant_id = '${west}'`],
    ['forged', "UPDATE tenants.audit_cuts SET signature = decode(repeat('ab', 64), 'hex')"],
    ['taken away', 'DELETE FROM tenants.audit_cuts'],
  ])('is one that was %s', async (_, forge) => {
    await audit.expire(going);
    await linkAll();
    expect(await verify()).toMatchObject({ problems: [], cut: { seq: 2 } });
    await owner.query(forge);
    const verdict = await verify();
    expect(verdict.cut).toBeNull();
    expect(verdict.problems.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['line_removed', 'line_removed']));
    expect((await verify(west)).problems.map(({ kind }) => kind)).toEqual(
      forge.includes(west) ? expect.arrayContaining(['cut_invalid']) : [],
    );
  });

  it('is one that another key signed', async () => {
    await audit.expire(going);
    await linkAll();
    expect((await verify(east, await loadSigningKey(join(folder, 'other.json')))).problems.map(({ kind }) => kind)).toContain(
      'cut_invalid',
    );
  });

  it('the services’ role removes nothing past its rights', async () => {
    const asServices = (sql: string) => database.db.tenant(east, (tx) => tx.execute(sql));
    await expect(asServices('DELETE FROM tenants.audit_log')).rejects.toThrow(/permission denied/);
    await expect(asServices('DELETE FROM tenants.audit_cuts')).rejects.toThrow(/permission denied/);
    // Without a cut, beyond it, and of another tenant the function removes nothing either.
    await asServices(`SELECT tenants.remove_audit_lines('${east}', 0, 4)`);
    expect(await things()).toBe(4);
    await audit.expire(going);
    await asServices(`SELECT tenants.remove_audit_lines('${east}', 0, 4)`);
    await database.db.tenant(west, (tx) => tx.execute(`SELECT tenants.remove_audit_lines('${east}', 0, 2)`));
    expect(await things()).toBe(2);
  });
});

describe('the report', () => {
  const removal = (over: Partial<Removal>): Removal => ({
    tenantId: east,
    runId: '0c000000-0000-4000-8000-000000000001',
    kind: 'crops',
    at: now,
    before: keptFrom(now, 90),
    settingsVersion: 0,
    items: 3,
    bytes: 300,
    ...over,
  });
  const record = (over: Partial<Removal> = {}) => {
    const one = removal(over);
    return database.db.tenant(one.tenantId, (tx) => createRetention({ database: database.db }).record(tx, one));
  };

  it('adds up the batches of a run, has none of nothing, is paged, each tenant’s own, and kept for three years', async () => {
    await record();
    await record({ items: 2, bytes: 50 });
    await record({ kind: 'photos', items: 0 });
    await record({ tenantId: west, items: 7 });
    for (let i = 2; i <= 4; i++) await record({ runId: `0c000000-0000-4000-8000-00000000000${i}`, at: new Date(now.getTime() + i) });
    const first = (await report('?limit=3')).body;
    expect(first.items).toHaveLength(3);
    const rest = (await report(`?limit=3&cursor=${first.nextCursor}`)).body;
    expect(rest).toMatchObject({ items: [{ kind: 'crops', items: 5, bytes: 350 }], nextCursor: null });
    expect((await report('?cursor=x')).status).toBe(400);
    expect((await report('', { tenantId: west })).body.items).toMatchObject([{ items: 7 }]);
    now = new Date(now.getTime() + 1094 * dayMs);
    await audit.expire(going);
    expect((await report()).body.items).toHaveLength(4);
    now = new Date(now.getTime() + 2 * dayMs);
    await audit.expire(going);
    expect((await report()).body.items).toEqual([]);
  });
});

it('the archive of an export goes a day after it was made, and is in the report; its parts belong to who makes it', async () => {
  const objects = await openObjects();
  const [archive, part] = [objectKeys.exportArchive(east, randomUUID()), objectKeys.exported(east, randomUUID(), 'search.jsonl.gz')];
  for (const key of [archive, part]) await objects.put(east, key, Buffer.alloc(500), 'application/gzip');
  now = new Date(now.getTime() + dayMs - 60_000);
  await audit.expire(going);
  expect(await objects.head(east, archive)).toBeDefined();
  now = new Date(now.getTime() + 120_000);
  await audit.expire(going);
  expect([await objects.head(east, archive), await objects.head(east, part)]).toEqual([undefined, expect.anything()]);
  expect((await report()).body.items).toMatchObject([{ kind: 'exports', items: 1, bytes: 500, settingsVersion: null }]);
});
