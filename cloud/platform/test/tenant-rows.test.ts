/** What a service keeps of a tenant, read and removed. Real: PostgreSQL, objects on disk. */
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { type DiskObjects, exportRows, openDatabase, openDiskObjects, removeTenantRows, writeExport } from '../src';
import { type TestDatabase, testDatabase } from '../src/test-kit';

let database: TestDatabase;
let objects: DiskObjects;
let folder: string;
const tenantId = randomUUID();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-tenant-rows-'));
  objects = await openDiskObjects({ folder, secret: 's'.repeat(32), publicUrl: 'http://star.test' });
  const migrations = join(folder, 'migrations');
  await mkdir(migrations);
  await writeFile(
    join(migrations, '0001_create_things.sql'),
    `CREATE TABLE shop.things (tenant_id uuid NOT NULL, name text NOT NULL, key_sha256 text NOT NULL);
    SELECT platform.protect('shop.things');
    CREATE FUNCTION shop.slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.7); RETURN OLD; END';
    CREATE TRIGGER slowly BEFORE DELETE ON shop.things FOR EACH ROW EXECUTE FUNCTION shop.slowly();`,
  );
  database = await testDatabase([{ service: 'shop', folder: migrations }]);
  await database.db.tenant(tenantId, (tx) =>
    tx.execute("INSERT INTO shop.things SELECT $1, name, 'hidden' FROM unnest('{chair,table}'::text[]) AS name", [tenantId]),
  );
});

afterAll(async () => {
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

it('are exported with what lies outside, for which no transaction waits', async () => {
  const waiting: unknown[] = [];
  const readOutside = async function* () {
    // PostgreSQL ends a transaction that idles for a minute, and with it the export.
    const idle = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    waiting.push(...(await database.db.tenant(tenantId, (tx) => tx.query(idle))));
    yield { table: 'outside.sofas', rows: ['{"name":"sofa"}'] };
  };
  const jobId = randomUUID();
  const { key, bytes, rows } = await exportRows({ database: database.db, objects, service: 'shop', readOutside }, tenantId, jobId);
  expect(waiting).toEqual([]);
  expect(rows).toEqual({ 'shop.things': 2, 'outside.sofas': 1 });
  const stored = await objects.get(tenantId, key);
  const text = gunzipSync(await buffer(stored?.body as NodeJS.ReadableStream)).toString();
  expect(text.length).toBe(bytes);
  expect(
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { table: 'shop.things', row: { tenant_id: tenantId, name: 'chair' } },
    { table: 'shop.things', row: { tenant_id: tenantId, name: 'table' } },
    { table: 'outside.sofas', row: { name: 'sofa' } },
  ]);
});

it('leave no object when they cannot be read to their end, or not be stored', async () => {
  const jobId = randomUUID();
  const broken = async function* () {
    yield { table: 't', rows: ['{}'] };
    throw new Error('the line is down');
  };
  await expect(writeExport(objects, tenantId, jobId, 'broken', (write) => write(broken()))).rejects.toThrow('the line is down');
  const full = {
    put: async () => {
      throw new Error('the disk is full');
    },
  };
  const endless = async function* () {
    for (;;) yield { table: 't', rows: ['{}'] };
  };
  await expect(writeExport(full, tenantId, jobId, 'full', (write) => write(endless()))).rejects.toThrow('the disk is full');
  const left = [];
  for await (const { key } of objects.list(tenantId)) if (key.includes(jobId)) left.push(key);
  expect(left).toEqual([]);
});

it('are removed, also when there are more than a statement may take time for', async () => {
  const hasty = openDatabase({ url: database.appUrl, statementTimeoutMs: 400 });
  await expect(hasty.tenant(tenantId, (tx) => tx.execute('DELETE FROM shop.things'))).rejects.toMatchObject({ code: 'database.timeout' });
  expect(await hasty.tenant(tenantId, (tx) => removeTenantRows(tx, 'shop'))).toEqual({ 'shop.things': 2 });
  await hasty.close();
});
