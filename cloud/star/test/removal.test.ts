/** That removing a tenant empties every table there is: those of the catalogue, and not those that somebody thought of. Real: PostgreSQL. */
import { randomUUID } from 'node:crypto';
import { devicesMigrations } from '@star/devices';
import { identityMigrations } from '@star/identity';
import { removeTenantRows } from '@star/platform';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';
import { searchMigrations } from '@star/search';
import { tenantsMigrations } from '@star/tenants';
import { Client } from 'pg';
import { partServices } from '../../tenants/src/life/ports';
import { keptTables } from '../../tenants/src/life/remove-tenant';

let database: TestDatabase;
let owner: Client;
beforeAll(async () => {
  database = await testDatabase([
    { service: 'identity', folder: identityMigrations },
    { service: 'tenants', folder: tenantsMigrations },
    { service: 'devices', folder: devicesMigrations },
    { service: 'search', folder: searchMigrations },
  ]);
  owner = new Client({ connectionString: database.ownerUrl, options: '-c app.system=on' });
  await owner.connect();
});
afterAll(async () => {
  await owner?.end();
  await database?.close();
});

/** The platform's own are the bus, sagas and keys: they end by age, or, a key, by being erased. */
async function tenantTables(): Promise<string[]> {
  const { rows } = await owner.query<{ name: string }>(
    `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
     WHERE c.relkind IN ('r', 'p') AND c.relnamespace NOT IN ('platform'::regnamespace, 'pg_catalog'::regnamespace) ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

/** What a column must have is made of the tenant's id or number, the same in every table: so all that refers to something refers to something. */
const values: Readonly<Record<string, string>> = {
  uuid: '$1::uuid',
  text: '$1::uuid::text',
  bytea: "convert_to($1::uuid::text, 'UTF8')",
  jsonb: "'{}'",
  bool: 'true',
  timestamptz: 'now()',
  date: 'current_date',
};

/** One row of the tenant in every table. What the tables check is left out, beside keys: a row of zeros is as much a row. */
async function fillAll(tables: readonly string[], tenantId: string, number: number): Promise<void> {
  let left = [...tables];
  while (left.length > 0) {
    const failed: string[] = [];
    for (const table of left) {
      const { rows } = await owner.query<{ name: string; type: string; needed: boolean }>(
        `SELECT quote_ident(attname) AS name, t.typname AS type FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
         WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = '' AND attgenerated = ''
           AND (attname = 'tenant_id' OR attnotnull AND NOT atthasdef)`,
        [table],
      );
      const filled = rows.map(({ type }) => values[type] ?? (type.startsWith('_') ? `'{}'::${type.slice(1)}[]` : `$2::int::${type}`));
      const columns = rows.map(({ name }) => name).join(', ');
      await owner
        .query(`INSERT INTO ${table} (${columns}) SELECT ${filled.join(', ')} WHERE $1::uuid IS NOT NULL AND $2::int > 0`, [
          tenantId,
          number,
        ])
        .catch((error: { code?: string }) => {
          // It refers to a row that is not there yet.
          if (error.code !== '23503') throw error;
          failed.push(table);
        });
    }
    expect(failed.length).toBeLessThan(left.length);
    left = failed;
  }
}

it('empties every table of every service but the log of what was done, of this tenant alone', async () => {
  const tables = await tenantTables();
  const { rows: checks } = await owner.query<{ alter: string }>(
    `SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS alter FROM pg_constraint
     WHERE contype = 'c' AND conrelid = ANY ($1::regclass[])`,
    [tables],
  );
  for (const { alter } of checks) await owner.query(alter);
  const [removed, neighbour] = [randomUUID(), randomUUID()];
  await fillAll(tables, removed, 1);
  await fillAll(tables, neighbour, 2);

  for (const service of partServices) await database.db.tenant(removed, (tx) => removeTenantRows(tx, service));
  await database.db.tenant(removed, (tx) => removeTenantRows(tx, 'identity'));
  await database.db.tenant(removed, (tx) => removeTenantRows(tx, 'tenants', keptTables));

  const left: string[] = [];
  for (const table of tables) {
    const { rows } = await owner.query<{ tenant_id: string }>(`SELECT tenant_id FROM ${table}`);
    const ids = rows.map((row) => row.tenant_id);
    expect([table, ids.filter((id) => id === neighbour).length]).toEqual([table, 1]);
    if (ids.includes(removed)) left.push(table);
  }
  expect(left).toEqual(keptTables.map((name) => `tenants.${name}`).sort());
});
