/**
 * Opening 1,000 tenants over REST, every step of the saga over real services, until the last is in use, beside what hashing
 * as many first passwords costs by itself, which is slow on purpose; then the list of 1,000 tenants. Asks for no more once
 * `askForS` are over and says how many it opened; the list is filled up with rows. `node cloud/star/bench/open-tenants.ts [tenants]`.
 */
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { devicesMigrations } from '@star/devices';
import { identityMigrations } from '@star/identity';
import {
  createTokenIssuer,
  loadSigningKey,
  migrate,
  platformMigrations,
  startEmbeddedAnalytics,
  startEmbeddedPostgres,
  tokenAudience,
} from '@star/platform';
import { connectBus } from '@star/platform/nest';
import { searchMigrations } from '@star/search';
import { tenantsMigrations } from '@star/tenants';
import pg from 'pg';
import base from '../dist/base.js';
import identity from '../dist/identity.js';
import http from '../dist/open-http.js';
import secrets from '../dist/secrets.js';
import services from '../dist/services.js';
import settings from '../dist/settings.js';
import { percentiles, shown, timed } from './support/timed.ts';

const tenants = Number(process.argv[2] ?? 1000);
const [askedAtOnce, aheadAtMost, askForS] = [8, 64, 120];
const folder = mkdtempSync(join(tmpdir(), 'open-tenants-'));
// As root, PostgreSQL runs as another user; one who cannot come in here would get a folder elsewhere that stays.
chmodSync(folder, 0o755);
const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres') });
const analytics = await startEmbeddedAnalytics({ dataDir: join(folder, 'analytics') });
try {
  for (const [service, migrations] of Object.entries({
    platform: platformMigrations,
    identity: identityMigrations,
    tenants: tenantsMigrations,
    devices: devicesMigrations,
    search: searchMigrations,
  }))
    await migrate(postgres.ownerUrl, service, migrations);
  const chosen = settings.appSettings.parse({
    STAR_ROLE: 'all',
    STAR_DATA: folder,
    STAR_HOST: '127.0.0.1',
    STAR_HTTP_HOST: '127.0.0.1',
    STAR_HTTP_PORT: 0,
    STAR_MQTT_PORT: 0,
    STAR_PUBLIC_URL: 'http://star.test',
    STAR_DATABASE_URL: postgres.appUrl,
    STAR_CLICKHOUSE_URL: analytics.url,
    STAR_CLICKHOUSE_USER: analytics.username,
    STAR_CLICKHOUSE_PASSWORD: analytics.password,
    STAR_MIZAR: `unix:${join(folder, 'absent.sock')}`,
    STAR_PACKS_ADDRESS: `unix:${join(folder, 'no-packs.sock')}`,
    STAR_PLATFORM_ADMIN: 'platform',
    STAR_PLATFORM_PASSWORD: 'platform secret',
    STAR_LOG_LEVEL: 'error',
  });
  const parts = await base.openBase(chosen);
  const composed = services.composeServices(parts, 'all');
  // Nobody is held back: everything comes from one address.
  const app = await http.openServicesHttp(parts, composed, {
    counters: { take: async () => ({ allowed: true, remaining: 1, waitMs: 0, fullInMs: 0 }), close: async () => undefined },
  });
  connectBus(app.nest, { bus: parts.bus, group: 'all' });
  await composed.start();
  await app.nest.startAllMicroservices();
  const url = await app.listen();
  const owner = new pg.Pool({ connectionString: postgres.ownerUrl, options: '-c app.system=on', max: 4 });
  const numbers = async (sql: string) => (await owner.query<{ ms: number }>(sql)).rows.map((row) => Number(row.ms));
  const key = await loadSigningKey(secrets.signingKeyPath(folder));
  const tokens = createTokenIssuer({ issuer: identity.issuerOf(chosen), audience: tokenAudience, key });
  const { rows: platform } = await owner.query<{ tenant_id: string }>("SELECT tenant_id FROM tenants.tenants WHERE kind = 'platform'");
  const operator = { tenantId: platform[0]?.tenant_id as string, userId: randomUUID(), username: 'bench', roles: ['platform-operator'] };
  const send = async (method: string, path: string, body?: unknown) => {
    const { token } = await tokens.issue(operator as Parameters<typeof tokens.issue>[0]);
    const answer = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`);
    return (await answer.json()) as { items: unknown[]; nextCursor: string | null };
  };

  const rssMb = [Math.round(process.memoryUsage().rss / 1e6)];
  const startedAt = performance.now();
  const waiting = async () => (await numbers('SELECT count(*) AS ms FROM platform.sagas WHERE ended_at IS NULL'))[0] as number;
  let asked = 0;
  const ask = async () => {
    while (asked < tenants && performance.now() - startedAt < askForS * 1000) {
      const n = ++asked;
      const admin = { username: `admin-${n}`, displayName: 'Admin', password: randomUUID() };
      await send('POST', '/tenants', { name: `Tenant ${n}`, admin });
      // So that when the time is over little is left to wait for.
      while ((await waiting()) >= aheadAtMost) await sleep(100);
    }
  };
  await Promise.all(Array.from({ length: askedAtOnce }, ask));
  while ((await waiting()) > 0) await sleep(100);
  const openS = (performance.now() - startedAt) / 1000;
  rssMb.push(Math.round(process.memoryUsage().rss / 1e6));
  const [enabled] = await numbers("SELECT count(*) AS ms FROM tenants.tenants WHERE kind = 'customer' AND state = 'enabled'");
  const took = percentiles(
    await numbers(`SELECT extract(epoch FROM s.ended_at - min(t.started_at)) * 1000 AS ms
      FROM platform.sagas s JOIN platform.saga_steps t ON t.saga_id = s.id GROUP BY s.id`),
  );
  const { rows: steps } = await owner.query<{ name: string; ms: string }>(`
    SELECT name, percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM ended_at - started_at) * 1000)::int AS ms
    FROM platform.saga_steps GROUP BY name, position ORDER BY position`);

  const hash = await hashingS(asked);
  console.log(`${asked} tenants asked for, ${enabled} of them in use after ${openS.toFixed(1)} s: ${(asked / openS).toFixed(1)} a second`);
  console.log(`hashing as many passwords, four at once: ${hash.toFixed(1)} s; opening takes ${(openS / hash).toFixed(2)} times that`);
  console.log(
    `one opening, first step to last: ${shown(took)}; medians of its steps, ms: ${steps.map((s) => `${s.name} ${s.ms}`).join(', ')}`,
  );
  console.log(`memory of Star before and after: ${rssMb.join(' and ')} MB`);

  await owner.query(
    `INSERT INTO tenants.tenants (tenant_id, name) SELECT gen_random_uuid(), 'Tenant ' || n FROM generate_series($1::int + 1, $2::int) n`,
    [asked, tenants],
  );
  await owner.query('ANALYZE tenants.tenants');
  let [last, next] = ['', '' as string | null];
  let listed = 0;
  while (next !== null) {
    last = next && `&cursor=${next}`;
    const page = await send('GET', `/tenants?limit=50${last}`);
    listed += page.items.length;
    next = page.nextCursor;
  }
  console.log(`a list of ${listed} tenants, over HTTP, token checked:`);
  for (const [what, query] of Object.entries({ 'first page of 50': '', 'last page': last, 'by name': `&name=enant ${tenants}` })) {
    await timed(20, () => send('GET', `/tenants?limit=50${query}`));
    console.log(`  ${what.padEnd(18)} ${shown(await timed(200, () => send('GET', `/tenants?limit=50${query}`)))}`);
  }
  await owner.end();
  await app.close();
  await composed.stop();
  await parts.close();
} catch (error) {
  // Star still runs and falls over when its database stops below: the reason must be told before.
  console.error(error);
  process.exitCode = 1;
} finally {
  await analytics.stop();
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** With the cost that passwords are kept with. */
async function hashingS(passwords: number): Promise<number> {
  const { scrypt } = await import('node:crypto');
  const once = () =>
    new Promise<void>((resolve, reject) => {
      scrypt('a password', randomUUID(), 32, { N: 32_768, r: 8, p: 3, maxmem: 2 ** 27 }, (error) => (error ? reject(error) : resolve()));
    });
  const sample = Math.min(passwords, 40);
  const startedAt = performance.now();
  let left = sample;
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      while (left-- > 0) await once();
    }),
  );
  return ((performance.now() - startedAt) / 1000) * (passwords / sample);
}
