/**
 * 1,000 tenants of 100 users: who sends a request (token, API key), `/me`, pages of users, the look-up of a log-in; then
 * queries under row-level security beside the same ones, naming their tenant, on copies of the tables without it. Prints
 * figures, ratios and the plan of each guarded query. `node cloud/star/bench/users.ts [tenants]`, after a build.
 */
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createUserAdmin, identityMigrations } from '@star/identity';
import {
  type Caller,
  createTokenIssuer,
  createTokenVerifier,
  loadSigningKey,
  migrate,
  openDatabase,
  platformMigrations,
  startEmbeddedPostgres,
} from '@star/platform';
import { checkApiKeys, createTenants, tenantsMigrations } from '@star/tenants';
import pg from 'pg';
import { inTurns, shown, timed } from './support/timed.ts';

const tenantCount = Number(process.argv[2] ?? 1000);
const [usersEach, times] = [100, 500];

const folder = mkdtempSync(join(tmpdir(), 'star-bench-'));
// As root, PostgreSQL runs as another user; one who cannot come in here would get a folder elsewhere that stays.
chmodSync(folder, 0o755);
const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres') });
for (const [service, migrations] of Object.entries({
  platform: platformMigrations,
  identity: identityMigrations,
  tenants: tenantsMigrations,
}))
  await migrate(postgres.ownerUrl, service, migrations);
const db = openDatabase({ url: postgres.appUrl, poolSize: 8 });

const key = `sdk_${randomBytes(32).toString('base64url')}`;
const seed = `
  SELECT set_config('app.system', 'on', false);
  INSERT INTO tenants.tenants (tenant_id, name) SELECT gen_random_uuid(), 'Tenant ' || n FROM generate_series(1, ${tenantCount}) n;
  INSERT INTO identity.users (tenant_id, id, username, display_name, roles)
    SELECT tenant_id, gen_random_uuid(), replace(name, ' ', '-') || '-User-' || lpad(n::text, 3, '0'), 'User ' || n, '{operator}'
    FROM tenants.tenants, generate_series(1, ${usersEach}) n;
  INSERT INTO tenants.api_keys (tenant_id, id, name, key_sha256, prefix, permissions, created_by, last_used_at)
    SELECT tenant_id, gen_random_uuid(), 'key', CASE WHEN name = 'Tenant 1' THEN '\\x${createHash('sha256').update(key).digest('hex')}'::bytea
      ELSE sha256(tenant_id::text::bytea) END, 'sdk_', '{searches.read}', 'bench', now() FROM tenants.tenants;
  CREATE SCHEMA bare;
  CREATE TABLE bare.users (LIKE identity.users INCLUDING ALL);
  INSERT INTO bare.users
    SELECT tenant_id, id, username, display_name, email, roles, password_hash, temporary_password, enabled, second_factor_required,
    credentials_changed_at, created_at FROM identity.users;
  GRANT USAGE ON SCHEMA bare TO star_app;
  GRANT SELECT ON ALL TABLES IN SCHEMA bare TO star_app;`;
const owner = new pg.Client({ connectionString: postgres.ownerUrl });
await owner.connect();
await owner.query(seed);
await owner.query('VACUUM ANALYZE');
const { rows: users } = await owner.query<{ tenant_id: string; id: string; username: string }>(
  'SELECT tenant_id, id, username FROM identity.users ORDER BY md5(id::text) LIMIT 5000',
);
await owner.end();

const user = (n: number) => users[n % users.length] as (typeof users)[number];
const caller = (n: number): Caller => ({
  tenantId: user(n).tenant_id,
  userId: user(n).id,
  username: user(n).username,
  roles: ['operator'],
});
const identity = createUserAdmin({ database: db });
const tenants = createTenants({ database: db, identity } as Parameters<typeof createTenants>[0]);
const realm = { issuer: 'http://star.bench', audience: 'star' };
const tokens = createTokenIssuer({ ...realm, key: await loadSigningKey(join(folder, 'key.json')) });
const { token } = await tokens.issue(caller(0));
const verifier = createTokenVerifier({ ...realm, keys: tokens.jwks });
const keys = checkApiKeys({ database: db, now: () => new Date() });
const keysAsked = checkApiKeys({ database: db, now: () => new Date(), keepMs: 0 });
const deepest = Buffer.from(`tenant-1-user-${String(usersEach - 10).padStart(3, '0')}`).toString('base64url');
const first = users.find((each) => each.username.startsWith('Tenant-1-')) ?? user(0);
const firstCaller: Caller = { tenantId: first.tenant_id, userId: first.id, username: first.username, roles: ['tenant-admin'] };

console.log(`${tenantCount} tenants, ${tenantCount * usersEach} users`);
for (const [what, work] of Object.entries<(n: number) => Promise<unknown>>({
  'token of a request (signature)': () => verifier.verify(token),
  'API key, remembered': () => keys.verify(key),
  'API key, asked of the database': () => keysAsked.verify(key),
  '/me': (n) => tenants.whoAmI(caller(n)),
  'users of a tenant, first page of 50': (n) => tenants.readUsers(caller(n), { limit: 50 }),
  'the last ten of 100': () => tenants.readUsers(firstCaller, { limit: 50, cursor: deepest }),
  'a user by name, as for a log-in': (n) => identity.findUser({ username: user(n).username.toUpperCase() }),
})) {
  await timed(10, work);
  console.log(`  ${what.padEnd(40)} ${shown(await timed(times, work))}`);
}

console.log('row-level security beside the same query on a copy of the table without it, both in a transaction of the tenant:');
const queries = {
  'a user by id': (table: string) => `SELECT id, username FROM ${table} WHERE tenant_id = $1 AND id = $2`,
  'a page of 50 users': (table: string) =>
    `SELECT id, username FROM ${table} WHERE tenant_id = $1 AND login_name > '' AND $2::uuid IS NOT NULL ORDER BY login_name LIMIT 50`,
  'users counted by state': (table: string) =>
    `SELECT enabled, count(*) FROM ${table} WHERE tenant_id = $1 AND $2::uuid IS NOT NULL GROUP BY enabled`,
};
for (const [what, sql] of Object.entries(queries)) {
  const run = (table: string) => (n: number) => db.tenant(user(n).tenant_id, (tx) => tx.query(sql(table), [user(n).tenant_id, user(n).id]));
  const { one, other } = await inTurns(times, run('identity.users'), run('bare.users'));
  const plan = await db.tenant(first.tenant_id, (tx) =>
    tx.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${sql('identity.users')}`, [first.tenant_id, first.id]),
  );
  const scan = plan.map((line) => line['QUERY PLAN'].trim()).find((line) => line.includes('Scan'));
  console.log(
    `  ${what}: ${one.toFixed(3)} ms with, ${other.toFixed(3)} ms without, ratio ${(one / other).toFixed(2)}; ${scan?.replace(/^->\s+/, '').split('  ')[0]}`,
  );
}
await db.close();
await postgres.stop();
rmSync(folder, { recursive: true, force: true });
