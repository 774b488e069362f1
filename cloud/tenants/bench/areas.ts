/**
 * Who may see what among 1,000 tenants of 20 areas and 100 users, each with a role on one area: permission checks, asked of
 * the database and remembered, and lists; then the same queries on copies of the tables without row-level security. Prints
 * figures and ratios. `node cloud/tenants/bench/areas.ts [tenants]`, after a build.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Caller, migrate, openDatabase, startEmbeddedPostgres, type Tx } from '@star/platform';
import { createTenants, tenantsMigrations } from '@star/tenants';
import pg from 'pg';

const tenantCount = Number(process.argv[2] ?? 1000);
const [usersEach, checks, lists] = [100, 4000, 1000];

const folder = mkdtempSync(join(tmpdir(), 'star-bench-'));
// As root, PostgreSQL runs as another user; one who cannot come in here would get a folder elsewhere that stays.
chmodSync(folder, 0o755);
const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres'), durable: true });
await migrate(postgres.ownerUrl, 'tenants', tenantsMigrations);
const db = openDatabase({ url: postgres.appUrl, poolSize: 8 });

/** Two regions of three communities of two buildings, and a role of every user on one of the 20 areas. */
const seed = `
  SELECT set_config('app.system', 'on', false);
  INSERT INTO tenants.tenants (tenant_id, name) SELECT gen_random_uuid(), 'T' || n FROM generate_series(1, ${tenantCount}) n;
  INSERT INTO tenants.areas (tenant_id, id, kind, name, path)
    SELECT tenant_id, id, 'region', n::text, id || '/' FROM
      (SELECT tenant_id, gen_random_uuid() AS id, n FROM tenants.tenants, generate_series(1, 2) n OFFSET 0) r;
  INSERT INTO tenants.areas (tenant_id, id, parent_id, kind, name, path)
    SELECT tenant_id, id, parent, 'community', n::text, path || id || '/' FROM
      (SELECT tenant_id, gen_random_uuid() AS id, id AS parent, path, n FROM tenants.areas, generate_series(1, 3) n WHERE kind = 'region' OFFSET 0) c;
  INSERT INTO tenants.areas (tenant_id, id, parent_id, kind, name, path)
    SELECT tenant_id, id, parent, 'building', n::text, path || id || '/' FROM
      (SELECT tenant_id, gen_random_uuid() AS id, id AS parent, path, n FROM tenants.areas, generate_series(1, 2) n WHERE kind = 'community' OFFSET 0) b;
  INSERT INTO tenants.grants (tenant_id, id, user_id, username, area_id, role)
    SELECT t.tenant_id, gen_random_uuid(), gen_random_uuid(), 'user ' || n, a.ids[1 + n % 20], (ARRAY['operator', 'viewer', 'auditor'])[1 + n % 3]
    FROM tenants.tenants t JOIN (SELECT tenant_id, array_agg(id) AS ids FROM tenants.areas GROUP BY 1) a USING (tenant_id),
      generate_series(1, ${usersEach}) n;
  CREATE SCHEMA bare;
  CREATE TABLE bare.areas (LIKE tenants.areas INCLUDING ALL);
  CREATE TABLE bare.grants (LIKE tenants.grants INCLUDING ALL);
  INSERT INTO bare.areas SELECT * FROM tenants.areas;
  INSERT INTO bare.grants SELECT * FROM tenants.grants;
  GRANT USAGE ON SCHEMA bare TO star_app;
  GRANT SELECT ON ALL TABLES IN SCHEMA bare TO star_app;`;
const owner = new pg.Client({ connectionString: postgres.ownerUrl });
await owner.connect();
await owner.query(seed);
await owner.query('VACUUM ANALYZE');
const { rows: users } = await owner.query<{ tenant_id: string; user_id: string }>(
  'SELECT tenant_id, user_id FROM tenants.grants ORDER BY md5(id::text) LIMIT 20000',
);
await owner.end();

const caller = (n: number): Caller => {
  const user = users[n % users.length] as (typeof users)[number];
  return { tenantId: user.tenant_id, userId: user.user_id, username: 'user', roles: [] };
};
const tenants = createTenants({ database: db, tokens: {} as never, now: () => new Date() });

/** One after the other, milliseconds. */
async function timed(times: number, work: (n: number) => Promise<unknown>): Promise<{ p50: number; p99: number; text: string }> {
  const samples: number[] = [];
  for (let n = 0; n < times; n++) {
    const from = performance.now();
    await work(n);
    samples.push(performance.now() - from);
  }
  samples.sort((a, b) => a - b);
  const [p50 = 0, p99 = 0] = [samples[Math.floor(times / 2)], samples[Math.floor(times * 0.99)]];
  return { p50, p99, text: `p50 ${p50.toFixed(3)} ms, p99 ${p99.toFixed(3)} ms` };
}

const check = (n: number) => tenants.areasVisibleTo(caller(n), 'searches.read');
console.log(`${tenantCount} tenants, ${tenantCount * 20} areas, ${tenantCount * usersEach} users with a role on an area`);
await timed(200, (n) => check(n + 10_000));
const asked = await timed(checks, check);
console.log(`  permission check, asked of the database   ${asked.text}`);
const remembered = await timed(checks, () => check(checks - 1));
console.log(`  permission check, remembered              ${remembered.text}`);
const admin = (n: number): Caller => ({ ...caller(n), roles: ['tenant-admin'] });
console.log(
  `  role of the token, whole tenant           ${(await timed(checks, (n) => tenants.areasVisibleTo(admin(n), 'areas.read'))).text}`,
);
console.log(`  tree of 20 areas, whole                   ${(await timed(lists, (n) => tenants.readAreas(admin(n), { limit: 200 }))).text}`);
console.log(
  `  tree, as far as a role on an area shows   ${(await timed(lists, (n) => tenants.readAreas(caller(n), { limit: 200 }))).text}`,
);
console.log(`  a page of 50 of 100 grants                ${(await timed(lists, (n) => tenants.readGrants(admin(n), { limit: 50 }))).text}`);

const below = (schema: string) => `SELECT g.role, array_agg(DISTINCT a.id) AS area_ids
  FROM ${schema}.grants g JOIN ${schema}.areas top ON top.id = g.area_id
    JOIN ${schema}.areas a ON a.tenant_id = g.tenant_id AND a.path >= top.path AND a.path < left(top.path, -1) || '0'
  WHERE g.tenant_id = $1 AND g.user_id = $2 GROUP BY g.role`;
const page = (schema: string) => `SELECT id, user_id, username, area_id, role, created_at FROM ${schema}.grants
  WHERE tenant_id = $1 AND $2::uuid IS NOT NULL ORDER BY created_at, id LIMIT 50`;
const unnamed = (
  schema: string,
) => `SELECT count(*) FROM ${schema}.areas WHERE kind = 'building'${schema === 'bare' ? ' AND tenant_id = $1' : ' AND $1::uuid IS NOT NULL'}
  AND $2::uuid IS NOT NULL`;
console.log('row-level security beside the same query on a copy of the table without it, both in a transaction of the tenant:');
for (const [what, sql] of [
  ['areas below a user’s roles', below],
  ['a page of grants', page],
  ['a query that names no tenant (its twin does)', unnamed],
] as const) {
  const run = (schema: string) => (n: number) =>
    db.tenant(caller(n).tenantId, (tx: Tx) => tx.query(sql(schema), [caller(n).tenantId, caller(n).userId]));
  await timed(100, run('tenants'));
  await timed(100, run('bare'));
  // In turns, so that what else the machine does falls on both.
  const turns: { with: number; without: number }[] = [];
  for (let turn = 0; turn < 5; turn++)
    turns.push({ with: (await timed(lists / 5, run('tenants'))).p50, without: (await timed(lists / 5, run('bare'))).p50 });
  const median = (values: number[]) => values.sort((a, b) => a - b)[2] as number;
  const [guarded, bare] = [median(turns.map((each) => each.with)), median(turns.map((each) => each.without))];
  console.log(`  ${what}: ${guarded.toFixed(3)} ms with, ${bare.toFixed(3)} ms without, ratio ${(guarded / bare).toFixed(2)}`);
}
await db.close();
await postgres.stop();
rmSync(folder, { recursive: true, force: true });
