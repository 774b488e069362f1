/**
 * Opening 1,000 tenants over REST, every step of the saga over real services, until the last is in use; beside what
 * hashing 1,000 administrators' passwords costs by itself, which is slow on purpose.
 */
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { devicesMigrations } from '@star/devices';
import { migrate, platformMigrations, startEmbeddedAnalytics, startEmbeddedPostgres } from '@star/platform';
import { connectBus, createHttpApp } from '@star/platform/nest';
import { searchMigrations } from '@star/search';
import { tenantsMigrations } from '@star/tenants';
import base from '../dist/base.js';
import services from '../dist/services.js';
import settings from '../dist/settings.js';

const tenants = Number(process.argv[2] ?? 1000);
const askedAtOnce = 8;
const folder = mkdtempSync(join(tmpdir(), 'open-tenants-'));
// As root, PostgreSQL runs as another user; one who cannot come in here would get a folder elsewhere that stays.
chmodSync(folder, 0o755);
const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres') });
const analytics = await startEmbeddedAnalytics({ dataDir: join(folder, 'analytics') });
try {
  for (const [service, migrations] of Object.entries({
    platform: platformMigrations,
    tenants: tenantsMigrations,
    devices: devicesMigrations,
    search: searchMigrations,
  }))
    await migrate(postgres.ownerUrl, service, migrations);
  const parts = await base.openBase(
    settings.appSettings.parse({
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
      STAR_RPC_KEEP_DAYS: 30,
      STAR_PLATFORM_ADMIN: 'platform',
      STAR_PLATFORM_PASSWORD: 'platform secret',
      STAR_LOG_LEVEL: 'error',
    }),
  );
  const composed = services.composeServices(parts, 'all');
  const app = await createHttpApp(composed.module, { verifier: parts.verifier, admit: composed.admit });
  connectBus(app.nest, { bus: parts.bus, group: 'all' });
  await composed.start();
  await app.nest.startAllMicroservices();
  const url = await app.listen();
  const send = async (method: string, path: string, token?: string, body?: unknown) => {
    const answer = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`);
    return (await answer.json()) as { token: string; items: unknown[] };
  };
  const { token } = await send('POST', '/session', undefined, { username: 'platform', password: 'platform secret' });

  const startedAt = performance.now();
  let asked = 0;
  const ask = async () => {
    while (asked < tenants) {
      const n = ++asked;
      const admin = { username: `admin-${n}`, displayName: 'Admin', password: randomUUID() };
      await send('POST', '/tenants', token, { name: `Tenant ${n}`, admin });
    }
  };
  await Promise.all(Array.from({ length: askedAtOnce }, ask));
  const askedS = (performance.now() - startedAt) / 1000;
  while ((await send('GET', '/tenants?state=opening&limit=1', token)).items.length > 0) await sleep(100);
  const openS = (performance.now() - startedAt) / 1000;
  const enabled = await countEnabled(send, token);

  const hash = await hashingS();
  console.log(
    `${tenants} tenants asked for in ${askedS.toFixed(1)} s, ${enabled} of them in use after ${openS.toFixed(1)} s: ${(tenants / openS).toFixed(1)} a second`,
  );
  console.log(`hashing as many passwords, four at once: ${hash.toFixed(1)} s; opening takes ${(openS / hash).toFixed(2)} times that`);
  await app.close();
  await composed.stop();
  await parts.close();
} finally {
  await analytics.stop();
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function countEnabled(
  send: (method: string, path: string, token?: string) => Promise<{ items: unknown[]; nextCursor?: string | null }>,
  token: string,
) {
  let [count, cursor] = [0, '' as string | null | undefined];
  while (cursor !== null && cursor !== undefined) {
    const page = await send('GET', `/tenants?state=enabled&name=Tenant&limit=200${cursor && `&cursor=${cursor}`}`, token);
    count += page.items.length;
    cursor = page.nextCursor;
  }
  return count;
}

/** With the cost that passwords are kept with. */
async function hashingS(): Promise<number> {
  const { scrypt } = await import('node:crypto');
  const once = () =>
    new Promise<void>((resolve, reject) => {
      scrypt('a password', randomUUID(), 32, { N: 32_768, r: 8, p: 3, maxmem: 2 ** 27 }, (error) => (error ? reject(error) : resolve()));
    });
  const sample = Math.min(tenants, 100);
  const startedAt = performance.now();
  let left = sample;
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      while (left-- > 0) await once();
    }),
  );
  return ((performance.now() - startedAt) / 1000) * (tenants / sample);
}
