import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';

const tenantA = '11111111-1111-4111-8111-111111111111';
const tenantB = '22222222-2222-4222-8222-222222222222';

describe('row-level security', () => {
  let folder: string;
  let database: TestDatabase;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'star-migrations-'));
    await writeFile(
      join(folder, '0001_create_notes.sql'),
      `CREATE TABLE demo.notes (id serial PRIMARY KEY, tenant_id uuid NOT NULL DEFAULT platform.current_tenant(), text text NOT NULL,
         CONSTRAINT notes_text_unique UNIQUE (tenant_id, text));
       SELECT platform.protect('demo.notes');`,
    );
    database = await testDatabase([{ service: 'demo', folder }]);
  });
  afterAll(async () => {
    await database.close();
    await rm(folder, { recursive: true });
  });

  test('a tenant sees its own rows only', async () => {
    const { db } = database;
    await db.tenant(tenantA, (tx) => tx.execute("INSERT INTO demo.notes (text) VALUES ('a')"));
    await db.tenant(tenantB, (tx) => tx.execute("INSERT INTO demo.notes (text) VALUES ('b')"));
    expect(await db.tenant(tenantA, (tx) => tx.query('SELECT text FROM demo.notes'))).toEqual([{ text: 'a' }]);
    expect(await db.system('test', (tx) => tx.query('SELECT text FROM demo.notes ORDER BY 1'))).toEqual([{ text: 'a' }, { text: 'b' }]);
  });
});
