import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rename, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type AuditEntry, createTenantKeys, openDiskObjects, rewrapTenantKeys } from '@star/platform';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';

let database: TestDatabase;
let folder: string;
const installationKey = randomBytes(32);
const secret = 'a secret of at least 32 characters';

beforeAll(async () => {
  database = await testDatabase();
  folder = await mkdtemp(join(tmpdir(), 'star-sealed-'));
});
afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true });
});

const audited: AuditEntry[] = [];
const audit = async (_: unknown, entry: AuditEntry) => void audited.push(entry);
const keys = (options = {}) => createTenantKeys({ database: database.db, installationKey, audit, ...options });
const code = (work: Promise<unknown>) => work.then(String, (error: { code?: string }) => error.code);

describe('keys of tenants', () => {
  it('are made once, also by many at once, and lie sealed in the database', async () => {
    const tenantId = randomUUID();
    const made = await Promise.all([keys(), keys(), keys()].map((each) => each.keyOf(tenantId)));
    expect(new Set(made.map((key) => key.toString('hex'))).size).toBe(1);
    expect(made[0]).toHaveLength(32);
    const [row] = await database.db.tenant(tenantId, (tx) =>
      tx.query<{ sealed_key: Buffer }>('SELECT sealed_key FROM platform.tenant_keys'),
    );
    expect(row?.sealed_key.includes(made[0] as Buffer)).toBe(false);
    await expect(createTenantKeys({ database: database.db, installationKey: randomBytes(32), audit }).keyOf(tenantId)).rejects.toThrow();
  });

  it('that are erased are gone at once here and soon everywhere, and none is made again', async () => {
    let now = 0;
    const [here, there] = [keys(), keys({ freshMs: 1000, nowMs: () => now })];
    const tenantId = randomUUID();
    const key = await there.keyOf(tenantId);
    await here.eraseTenantKey(tenantId);
    await here.eraseTenantKey(tenantId);
    expect(await code(here.keyOf(tenantId))).toBe('tenant.erased');
    expect(await there.keyOf(tenantId)).toEqual(key);
    now = 1001;
    expect(await code(there.keyOf(tenantId))).toBe('tenant.erased');
    const never = randomUUID();
    await Promise.all([here, there, keys()].map((each) => each.eraseTenantKey(never)));
    expect(await code(here.keyOf(never))).toBe('tenant.erased');
    expect(await code(here.boxOf(never, 'embeddings'))).toBe('tenant.erased');
    const erasures = audited.filter((entry) => entry.action === 'tenant.key_erased').map((entry) => entry.subject);
    expect(erasures).toEqual([tenantId, never]);
  });
});

describe('another installation key', () => {
  it('opens the keys of all tenants, and the one before none, also when the change is made twice', async () => {
    const [a, b, erased] = [randomUUID(), randomUUID(), randomUUID()];
    const own = keys();
    const before = await Promise.all([own.keyOf(a), own.keyOf(b)]);
    await own.eraseTenantKey(erased);
    const next = randomBytes(32);
    const changed = await rewrapTenantKeys(database.db, installationKey, next);
    expect(changed).toBeGreaterThanOrEqual(2);
    expect(await rewrapTenantKeys(database.db, installationKey, next)).toBe(changed);
    const later = keys({ installationKey: next });
    expect(await Promise.all([later.keyOf(a), later.keyOf(b)])).toEqual(before);
    expect(await code(later.keyOf(erased))).toBe('tenant.erased');
    await expect(keys().keyOf(a)).rejects.toThrow();
    await expect(rewrapTenantKeys(database.db, installationKey, randomBytes(32))).rejects.toThrow();
    expect(await keys({ installationKey: next }).keyOf(a)).toEqual(before[0]);
    await rewrapTenantKeys(database.db, next, installationKey);
  });
});

describe('objects sealed by them', () => {
  const open = (own = keys()) =>
    openDiskObjects({ folder, secret, publicUrl: 'http://star.test', sealing: { keyOf: own.keyOf, unsealedFolders: ['software'] } });
  const filesOf = async (tenantId: string) =>
    (await readdir(join(folder, 'stored', tenantId), { recursive: true })).filter((name) => name.endsWith('.object')).sort();
  const read = async (objects: Awaited<ReturnType<typeof open>>, tenantId: string, key: string) =>
    (await buffer((await objects.get(tenantId, key))?.body as never)).toString();

  it('show nothing on disk, and nothing once the key is erased', async () => {
    const own = keys();
    const objects = await open(own);
    const tenantId = randomUUID();
    await objects.put(tenantId, `${tenantId}/people/a.jpg`, Buffer.from('the face of Wang Li'), 'image/jpeg');
    const [name = ''] = await filesOf(tenantId);
    expect((await readFile(join(folder, 'stored', tenantId, name))).includes('Wang')).toBe(false);
    expect(await read(objects, tenantId, `${tenantId}/people/a.jpg`)).toBe('the face of Wang Li');
    await own.eraseTenantKey(tenantId);
    expect(await code(objects.get(tenantId, `${tenantId}/people/a.jpg`))).toBe('tenant.erased');
    expect(await code(objects.put(tenantId, `${tenantId}/people/b.jpg`, Buffer.from('x'), 'image/jpeg'))).toBe('tenant.erased');
    await objects.delete(tenantId, `${tenantId}/people/a.jpg`);
    expect(await filesOf(tenantId)).toEqual([]);
  });

  it('cannot be put in one another’s place, not even within a tenant', async () => {
    const objects = await open();
    const tenantId = randomUUID();
    for (const name of ['a', 'b']) await objects.put(tenantId, `${tenantId}/people/${name}`, Buffer.from(name), 'image/jpeg');
    const at = join(folder, 'stored', tenantId, 'people');
    await rename(join(at, 'a.object'), join(at, 'b.object'));
    await expect(read(objects, tenantId, `${tenantId}/people/b`)).rejects.toThrow();
  });

  it('cannot be cut off, not even to nothing', async () => {
    const objects = await open();
    const tenantId = randomUUID();
    const [key, at] = [`${tenantId}/people/a`, join(folder, 'stored', tenantId, 'people', 'a.object')];
    for (const content of ['x'.repeat(200_000), '']) {
      await objects.put(tenantId, key, Buffer.from(content), 'image/jpeg');
      expect(await read(objects, tenantId, key)).toBe(content);
      const { size } = await stat(at);
      for (const less of [1, 16, size - 256 - 16, size - 256].filter((each) => each > 0)) {
        await truncate(at, size - less);
        await expect(read(objects, tenantId, key)).rejects.toThrow();
        await objects.put(tenantId, key, Buffer.from(content), 'image/jpeg');
      }
    }
  });

  it('may be described and deleted without a key, which no page needs to list them', async () => {
    const own = keys();
    const objects = await open(own);
    const tenantId = randomUUID();
    await objects.put(tenantId, `${tenantId}/crops/a.jpg`, Buffer.alloc(70_000), 'image/jpeg');
    await own.eraseTenantKey(tenantId);
    expect(await objects.head(tenantId, `${tenantId}/crops/a.jpg`)).toMatchObject({ sizeBytes: 70_000, contentType: 'image/jpeg' });
  });

  it('are read beside those from before there were keys, which are sealed once, and lost with an erased key', async () => {
    const [tenantId, gone] = [randomUUID(), randomUUID()];
    const before = await openDiskObjects({ folder, secret, publicUrl: 'http://star.test' });
    for (const name of ['people/old', 'people/empty', 'software/pack'])
      await before.put(tenantId, `${tenantId}/${name}`, Buffer.from(name === 'people/empty' ? '' : name), 'image/jpeg');
    await before.put(gone, `${gone}/people/old`, Buffer.from('old'), 'image/jpeg');
    const own = keys();
    await own.eraseTenantKey(gone);
    const objects = await open(own);
    expect(await read(objects, tenantId, `${tenantId}/people/old`)).toBe('people/old');
    await objects.put(tenantId, `${tenantId}/people/new`, Buffer.from('new'), 'image/jpeg');
    await expect(before.get(tenantId, `${tenantId}/people/new`)).rejects.toThrow('sealed');
    expect([await objects.sealOld(), await objects.sealOld()]).toEqual([3, 0]);
    expect(await filesOf(gone)).toEqual([]);
    for (const name of ['old', 'empty', 'new']) await expect(before.get(tenantId, `${tenantId}/people/${name}`)).rejects.toThrow('sealed');
    expect(await read(objects, tenantId, `${tenantId}/people/old`)).toBe('people/old');
    expect(await read(objects, tenantId, `${tenantId}/people/empty`)).toBe('');
    // No person's: read by whoever has no keys.
    expect(await read(before, tenantId, `${tenantId}/software/pack`)).toBe('software/pack');
  });
});
