/** Real: PostgreSQL, HTTP, tokens, signatures, files. The clock alone is moved. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AuditEntry,
  createTokenIssuer,
  createTokenVerifier,
  type DiskObjects,
  loadSigningKey,
  openDiskObjects,
  type SigningKey,
  type TokenIssuer,
  who,
} from '@star/platform';
import { createHttpApp, type HttpApp } from '@star/platform/nest';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';
import { type AuditChain, type AuditLine, objectKeys } from '@stardipper/proto';
import { Client } from 'pg';
import { type AuditLog, AuditModule, createAudit, createSeal, readHeadFiles, recordAudit, tenantsMigrations, verifyAudit } from '../src';

const realm = { issuer: 'http://star.test', audience: 'star' };
const east = '0a000000-0000-4000-8000-000000000001';
const west = '0a000000-0000-4000-8000-000000000002';
const auditor = { userId: '0b000000-0000-4000-8000-000000000001', username: 'auditor', roles: ['auditor'] };

let database: TestDatabase;
let folder: string;
let key: SigningKey;
let tokens: TokenIssuer;
let objects: DiskObjects;
let audit: AuditLog;
let app: HttpApp;
let base: string;
let owner: Client;
let now = new Date('2026-11-21T10:00:00Z');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-audit-'));
  database = await testDatabase([{ service: 'tenants', folder: tenantsMigrations }]);
  tokens = createTokenIssuer({ ...realm, key: await loadSigningKey(join(folder, 'tokens.json')) });
  key = await loadSigningKey(join(folder, 'audit.json'));
  objects = await openDiskObjects({
    folder: join(folder, 'objects'),
    secret: 'x'.repeat(32),
    publicUrl: 'http://star.test',
    maxBytes: 1e6,
  });
  audit = createAudit({ database: database.db, objects, key, headsFolder: join(folder, 'heads'), now: () => now });
  app = await createHttpApp(AuditModule.forRoot(audit), {
    verifier: createTokenVerifier({ ...realm, keys: tokens.jwks }),
    trustedProxies: ['loopback'],
  });
  base = await app.listen();
  owner = new Client({ connectionString: database.ownerUrl });
  await owner.connect();
  // The owner is bound by row-level security as everybody: this is how somebody with his password would look past it.
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
  await owner.query('TRUNCATE tenants.audit_log, tenants.audit_chain, tenants.audit_unlinked, tenants.audit_checks RESTART IDENTITY');
  await rm(join(folder, 'heads'), { recursive: true, force: true });
});

const write = (tenantId: string, entry: Partial<AuditEntry> = {}) =>
  database.db.tenant(tenantId, (tx) => recordAudit(tx, { tenantId, username: 'guo', action: 'thing.done', subject: 'thing', ...entry }));

async function writeMany(tenantId: string, count: number): Promise<void> {
  for (let i = 1; i <= count; i++)
    await write(tenantId, { subject: `thing-${i}`, details: { i, text: '案件 "1"', nested: { z: 1, a: [1.5, null] } } });
}

const linkAll = async () => {
  while ((await audit.linkAudit()) > 0);
};

const heads = () => readHeadFiles(key, join(folder, 'heads'));
const verify = async (tenantId = east) => verifyAudit({ database: database.db, seal: createSeal(key) }, tenantId, await heads());

const get = async (path: string, as: { tenantId?: string; roles?: string[] } = {}, headers: Record<string, string> = {}) => {
  const { token } = await tokens.issue({ tenantId: east, ...auditor, ...as });
  return fetch(`${base}/api/v1/audit${path}`, { headers: { authorization: `Bearer ${token}`, ...headers } });
};

const lines = async (path: string) => ((await (await get(path)).json()) as { items: AuditLine[] }).items;

describe('the chain', () => {
  it('links what was committed, tenant by tenant, once, however many linkers run', async () => {
    await writeMany(east, 30);
    await writeMany(west, 5);
    await Promise.all([1, 2, 3].map(linkAll));
    expect(await verify(east)).toMatchObject({ seq: 30, intactSeq: 30, waiting: 0, problems: [] });
    expect(await verify(west)).toMatchObject({ seq: 5, problems: [] });
  });

  it('passes over no line whose transaction commits late, and orders what writers interleave', async () => {
    let commit = () => {};
    const committed = new Promise<void>((resolve) => {
      commit = resolve;
    });
    let late: Promise<void> = Promise.resolve();
    await new Promise<void>((written, failed) => {
      late = database.db.tenant(east, async (tx) => {
        await recordAudit(tx, { tenantId: east, username: 'guo', action: 'late', subject: 'x' });
        written();
        await committed;
      });
      late.catch(failed);
    });
    await writeMany(east, 3);
    await linkAll();
    expect(await verify()).toMatchObject({ seq: 3, problems: [] });
    commit();
    await late;
    await Promise.all(Array.from({ length: 40 }, (_, i) => Promise.all([write(i % 2 ? east : west), audit.linkAudit()])));
    await linkAll();
    expect(await verify(east)).toMatchObject({ seq: 24, problems: [], waiting: 0 });
    expect(await verify(west)).toMatchObject({ seq: 20, problems: [] });
  });

  it('has no place for what was rolled back', async () => {
    await expect(
      database.db.tenant(east, async (tx) => {
        await recordAudit(tx, { tenantId: east, username: 'guo', action: 'x', subject: 'x' });
        throw new Error('undone');
      }),
    ).rejects.toThrow('undone');
    await linkAll();
    expect(await verify()).toMatchObject({ seq: 0, problems: [] });
  });

  it('is not held up by a note for a line that has its place', async () => {
    await writeMany(east, 2);
    await linkAll();
    await owner.query('INSERT INTO tenants.audit_unlinked (tenant_id, audit_id) VALUES ($1, 1), ($2, 2)', [east, west]);
    await writeMany(west, 2);
    await linkAll();
    expect(await verify(east)).toMatchObject({ seq: 2, waiting: 0, problems: [] });
    expect(await verify(west)).toMatchObject({ seq: 2, waiting: 0, problems: [] });
  });

  it('goes on over several batches', async () => {
    await owner.query(
      `WITH line AS (INSERT INTO tenants.audit_log (tenant_id, username, action, subject, details)
         SELECT $1, 'old', 'old.line', i::text, '{}' FROM generate_series(1, 4500) i RETURNING id)
       INSERT INTO tenants.audit_unlinked SELECT $1, id FROM line`,
      [east],
    );
    await linkAll();
    expect(await verify()).toMatchObject({ seq: 4500, links: 4500, problems: [] });
  });
});

describe('tampering by the owner of the database', () => {
  beforeEach(async () => {
    await writeMany(east, 6);
    await linkAll();
    await writeMany(east, 6);
    await linkAll();
    await writeMany(west, 3);
    await audit.exportHeads();
  });

  const kinds = async () => (await verify()).problems;

  it('finds nothing where nothing was done', async () => {
    expect(await kinds()).toEqual([]);
    expect(await heads()).toHaveLength(2);
  });

  it('finds a removed line', async () => {
    await owner.query('DELETE FROM tenants.audit_log WHERE id = 4');
    expect(await kinds()).toEqual([{ kind: 'line_removed', seq: 4, auditId: 4 }]);
    expect((await verify()).intactSeq).toBe(3);
  });

  it.each([
    ['user', "username = 'nobody'"],
    ['time', "at = at - interval '1 microsecond'"],
    ['reason', "reason = 'because'"],
    ['detail beyond what JavaScript can count', `details = details || '{"i": 5.00000000000000000001}'`],
    ['tenant', `tenant_id = '${west}'`],
  ])('finds an altered %s', async (_, change) => {
    await owner.query(`UPDATE tenants.audit_log SET ${change} WHERE id = 5`);
    expect((await verify()).problems.map((problem) => [problem.kind, 'seq' in problem && problem.seq])).toEqual([
      [change.startsWith('tenant') ? 'line_removed' : 'line_altered', 5],
    ]);
  });

  it('finds two lines that changed places, in the log or in the chain', async () => {
    await owner.query(`UPDATE tenants.audit_log l SET details = o.details, subject = o.subject FROM tenants.audit_log o
      WHERE (l.id, o.id) IN ((4, 5), (5, 4))`);
    expect((await kinds()).map((problem) => problem.kind)).toEqual(['line_altered', 'line_altered']);
    await owner.query(`UPDATE tenants.audit_log l SET details = o.details, subject = o.subject FROM tenants.audit_log o
      WHERE (l.id, o.id) IN ((4, 5), (5, 4))`);
    expect(await kinds()).toEqual([]);
    await owner.query('UPDATE tenants.audit_chain SET seq = 100 WHERE seq = 4');
    await owner.query('UPDATE tenants.audit_chain SET seq = 4 WHERE seq = 5');
    await owner.query('UPDATE tenants.audit_chain SET seq = 5 WHERE seq = 100');
    expect((await kinds()).map((problem) => [problem.kind, 'seq' in problem && problem.seq])).toEqual([
      ['link_broken', 4],
      ['link_broken', 5],
      ['link_broken', 6],
    ]);
  });

  it('finds lines removed together with their links, in the middle and at the end', async () => {
    await owner.query('DELETE FROM tenants.audit_chain WHERE tenant_id = $1 AND seq IN (3, 4)', [east]);
    await owner.query('DELETE FROM tenants.audit_log WHERE id IN (3, 4)');
    expect(await kinds()).toEqual([{ kind: 'links_removed', seq: 3, toSeq: 4 }]);
    await owner.query('DELETE FROM tenants.audit_chain WHERE tenant_id = $1 AND seq > 10', [east]);
    await owner.query('DELETE FROM tenants.audit_log WHERE tenant_id = $1 AND id > 10', [east]);
    expect(await kinds()).toEqual([
      { kind: 'links_removed', seq: 3, toSeq: 4 },
      { kind: 'seal_invalid', seq: 10 },
      { kind: 'cut_off', seq: 11, toSeq: 12 },
    ]);
  });

  it('finds an end cut off exactly between two batches by an exported head alone', async () => {
    await owner.query('DELETE FROM tenants.audit_chain WHERE tenant_id = $1 AND seq > 6', [east]);
    await owner.query('DELETE FROM tenants.audit_log WHERE tenant_id = $1 AND id > 6', [east]);
    expect(await kinds()).toEqual([{ kind: 'cut_off', seq: 7, toSeq: 12 }]);
  });

  it('finds a log that is gone altogether, and one that was made anew', async () => {
    await owner.query('DELETE FROM tenants.audit_chain WHERE tenant_id = $1', [east]);
    expect((await kinds()).map((problem) => problem.kind)).toEqual(['cut_off', ...Array(12).fill('line_unlinked')]);
    await owner.query('INSERT INTO tenants.audit_unlinked SELECT tenant_id, id FROM tenants.audit_log WHERE tenant_id = $1', [east]);
    await owner.query("UPDATE tenants.audit_log SET subject = 'other' WHERE id = 2");
    const another = await loadSigningKey(join(folder, 'another.json'));
    const forger = createAudit({ database: database.db, objects, key: another, headsFolder: join(folder, 'forged') });
    await forger.linkAudit();
    expect((await kinds()).map((problem) => problem.kind)).toEqual(['seal_invalid', 'head_differs']);
  });

  it('finds lines that were added behind its back', async () => {
    await owner.query(`INSERT INTO tenants.audit_log (tenant_id, username, action, subject, details) VALUES ($1, 'x', 'x', 'x', '{}')`, [
      east,
    ]);
    expect(await kinds()).toEqual([{ kind: 'line_unlinked', auditId: 16 }]);
  });

  it('finds that Star is kept from linking', async () => {
    await owner.query("SELECT pg_advisory_lock(hashtextextended('star.audit', 0))");
    await write(east);
    await linkAll();
    expect(await verify()).toMatchObject({ waiting: 1, problems: [] });
    await owner.query("UPDATE tenants.audit_log SET at = at - interval '2 hours' WHERE id = 16");
    await write(east);
    expect(await verify()).toMatchObject({ waiting: 2, problems: [{ kind: 'lines_held_up', count: 2, since: expect.any(Date) }] });
    await owner.query("SELECT pg_advisory_unlock(hashtextextended('star.audit', 0))");
    await linkAll();
    expect(await verify()).toMatchObject({ seq: 14, waiting: 0, problems: [] });
  });

  it('does not take heads that Star did not sign', async () => {
    const [name] = await readdir(join(folder, 'heads'));
    const path = join(folder, 'heads', name as string);
    const [header, payload, signature] = (await readFile(path, 'utf8')).split('.') as [string, string, string];
    const shorter = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { heads: unknown[] };
    shorter.heads = [];
    await writeFile(path, [header, Buffer.from(JSON.stringify(shorter)).toString('base64url'), signature].join('.'));
    await expect(heads()).rejects.toThrow('no heads signed by this Star');
    expect(await audit.exportHeads()).toHaveLength(2);
  });

  it('does not take the heads of an earlier day for those of a later one', async () => {
    now = new Date(now.getTime() + 86_400_000);
    await audit.exportHeads();
    const [earlier, later] = (await readdir(join(folder, 'heads'))).sort().map((name) => join(folder, 'heads', name)) as [string, string];
    await writeFile(later, await readFile(earlier));
    await expect(heads()).rejects.toThrow(`${later} holds the heads of`);
    now = new Date('2026-11-21T10:00:00Z');
  });
});

describe('the daily export', () => {
  it('puts each tenant’s head into storage and all of them into a file, and tells what it found', async () => {
    await writeMany(east, 2);
    await audit.exportHeads();
    expect(await objects.head(east, objectKeys.auditHead(east, '2026-11-21'))).toBeDefined();
    expect((await readdir(join(folder, 'heads'))).sort()).toEqual(['2026-11-21.jws']);
    expect(await (await get('/chain')).json()).toMatchObject({
      seq: 2,
      checkedSeq: 2,
      problems: 0,
      exportedSeq: 2,
    } satisfies Partial<AuditChain>);
    now = new Date('2026-11-22T00:00:01Z');
    await writeMany(east, 1);
    await owner.query('UPDATE tenants.audit_log SET username = $1 WHERE id = 2', ['mallory']);
    const verdicts = await audit.exportHeads();
    expect(verdicts.find((verdict) => verdict.tenantId === east)).toMatchObject({ problemCount: 1, intactSeq: 1 });
    expect(await (await get('/chain')).json()).toMatchObject({ seq: 3, checkedSeq: 1, problems: 1, exportedSeq: 3, waiting: 0 });
    expect(await readdir(join(folder, 'heads'))).toHaveLength(2);
  });

  it('runs by itself once a day and links on the way', async () => {
    await writeMany(east, 2);
    const stop = new AbortController();
    const running = audit.run(stop.signal);
    for (let tries = 0; (await heads()).length === 0 && tries < 600; tries++) await new Promise((resolve) => setTimeout(resolve, 50));
    await write(east);
    for (let tries = 0; (await verify()).seq < 3 && tries < 600; tries++) await new Promise((resolve) => setTimeout(resolve, 50));
    stop.abort();
    await running;
    expect(await verify()).toMatchObject({ seq: 3, problems: [] });
  });
});

describe('looking at the log', () => {
  it('shows it to auditors and administrators of the tenant only', async () => {
    await write(west);
    await write(east, { before: { name: 'A' }, after: { name: 'B' }, reason: 'renamed' });
    expect(await lines('')).toMatchObject([{ username: 'guo', before: { name: 'A' }, after: { name: 'B' }, reason: 'renamed', ip: null }]);
    expect((await get('', { roles: ['tenant-admin'] })).status).toBe(200);
    for (const roles of [['operator'], ['viewer'], ['platform-operator'], []]) expect((await get('', { roles })).status).toBe(403);
    expect((await get('?cursor=1;')).status).toBe(400);
    expect((await get('?from=yesterday')).status).toBe(400);
    expect((await get('?other=1')).status).toBe(400);
  });

  it('filters by actor, action, subject and time, page by page', async () => {
    await owner.query("SELECT set_config('app.tenant_id', $1, false)", [east]);
    for (const [at, username, action, subject] of [
      ['2026-11-01T00:00:00Z', 'Guo', 'search.started', 's1'],
      ['2026-11-02T00:00:00Z', 'guo', 'search.deleted', 's1'],
      ['2026-11-03T00:00:00Z', 'lee', 'person.created', 'p1'],
      ['2026-11-04T00:00:00Z', 'lee', 'searches', 's1'],
    ])
      await owner.query(
        `INSERT INTO tenants.audit_log (tenant_id, at, username, action, subject, details) VALUES ($1, $2, $3, $4, $5, '{}')`,
        [east, at, username, action, subject],
      );
    const ids = async (query: string) => (await lines(`?${query}`)).map((line) => line.id);
    expect(await ids('actor=GUO')).toEqual([2, 1]);
    expect(await ids('action=search.')).toEqual([2, 1]);
    expect(await ids('action=search.started')).toEqual([1]);
    expect(await ids('subject=s1&actor=lee')).toEqual([4]);
    const personIds = [west, east];
    await write(east, { action: 'photos.viewed', details: { personIds } });
    expect(await ids(`subject=${west}`)).toEqual([5]);
    expect(await ids('from=2026-11-02T00:00:00Z&to=2026-11-04T00:00:00Z')).toEqual([3, 2]);
    const first = (await (await get('?limit=4')).json()) as { nextCursor: string };
    expect(await ids(`limit=4&cursor=${first.nextCursor}`)).toEqual([1]);
  });

  it('exports what the filter takes as JSON lines or CSV, and records that', async () => {
    await owner.query(
      `INSERT INTO tenants.audit_log (tenant_id, username, action, subject, details) SELECT $1, 'bulk', 'bulk.done', i::text, '{}' FROM generate_series(1, 2500) i`,
      [east],
    );
    await write(east, { username: '=cmd|calc', action: 'odd.name', subject: 'a,b"c', details: { note: 'line\nbreak' } });
    const answer = await get('/export?action=bulk.done', {}, { 'user-agent': 'curl/8', 'x-forwarded-for': '203.0.113.7' });
    expect(answer.headers.get('content-disposition')).toContain('audit.jsonl');
    const text = (await answer.text()).trim().split('\n');
    expect(text).toHaveLength(2500);
    expect(JSON.parse(text[0] as string)).toMatchObject({ subject: '2500' });
    const csv = await (await get('/export?format=csv&action=odd.name')).text();
    expect(csv.split('\r\n')[1]).toMatch(/^2501,.*,,'=cmd\|calc,odd\.name,"a,b""c",,,,,,,"\{""note"": ?""line\\nbreak""\}"$/);
    const [, recorded] = await lines('?action=audit.exported');
    // Our own gateway is on the loopback interface, so what it says of the client is believed.
    expect(recorded).toMatchObject({
      username: 'auditor',
      ip: '203.0.113.7',
      userAgent: 'curl/8',
      details: { action: 'bulk.done', format: 'jsonl' },
    });
    expect(recorded?.traceId).toMatch(/^[0-9a-f]{32}$/);
  });

  it('cannot be changed by the services, nor written for another tenant', async () => {
    await write(west);
    await linkAll();
    const change = (sql: string) => database.db.tenant(west, (tx) => tx.execute(sql));
    for (const table of ['audit_log', 'audit_chain']) {
      await expect(change(`UPDATE tenants.${table} SET tenant_id = '${east}'`)).rejects.toThrow('permission denied');
      await expect(change(`DELETE FROM tenants.${table}`)).rejects.toThrow('permission denied');
    }
    const forged = { ...who({ tenantId: east, ...auditor }), action: 'x', subject: 'x' };
    await expect(database.db.tenant(west, (tx) => recordAudit(tx, forged))).rejects.toThrow('row-level security');
  });
});
