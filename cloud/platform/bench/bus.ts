/**
 * Events through the bus into ClickHouse: appended in batches as the device hub does, to the log in a durable PostgreSQL,
 * read by one consumer group, inserted with fsync. Prints figures. `node cloud/platform/bench/bus.ts [events]`, after a build.
 */
import { createHash, randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BusRecord,
  migrate,
  openAnalytics,
  openDatabase,
  openPostgresBus,
  platformMigrations,
  startEmbeddedAnalytics,
  startEmbeddedPostgres,
} from '@star/platform';

const total = Number(process.argv[2] ?? 300_000);
const batch = 500;
const writers = 4;
const edges = Array.from({ length: 1000 }, () => randomUUID());
const tenantId = randomUUID();

const folder = mkdtempSync(join(tmpdir(), 'star-bench-'));
// As root, PostgreSQL runs as another user; one who cannot come in here would get a folder elsewhere that stays.
chmodSync(folder, 0o755);
const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres'), durable: true });
const clickhouse = await startEmbeddedAnalytics({ dataDir: join(folder, 'analytics') });
await migrate(postgres.ownerUrl, 'platform', platformMigrations);
const db = openDatabase({ url: postgres.appUrl });
const analytics = openAnalytics({ ...clickhouse, database: 'star' });
const migrations = mkdtempSync(join(folder, 'migrations-'));
writeFileSync(
  join(migrations, '0001_create_telemetry.sql'),
  `CREATE TABLE telemetry (tenant_id UUID, edge UUID, id String, at DateTime64(3, 'UTC'), body String) ENGINE = ReplacingMergeTree
   PARTITION BY toDate(at) ORDER BY (tenant_id, edge, id) SETTINGS non_replicated_deduplication_window = 1000;`,
);
await analytics.migrate('bench', migrations);
const warn = (details: object, message: string) => console.error(message, details);
const bus = await openPostgresBus({ db, log: { debug: () => {}, info: () => {}, warn, error: warn } });

const event = (n: number): BusRecord<'device.telemetry.v1'> => {
  const edgeId = edges[n % edges.length] as string;
  const valuesJson = JSON.stringify({ cpu: n % 100, temperature: 40 + (n % 30), disk: 0.5, cameras: 16, queue: n % 7 });
  return {
    topic: 'device.telemetry.v1',
    key: edgeId,
    id: `${edgeId}:${n}`,
    tenantId,
    occurredAt: new Date(),
    message: { edgeId, tsMs: Date.now(), valuesJson },
  };
};

async function append(): Promise<number> {
  let next = 0;
  const startedAt = performance.now();
  const write = async () => {
    while (next < total) {
      const from = next;
      next += batch;
      await bus.append(Array.from({ length: Math.min(batch, total - from) }, (_, i) => event(from + i)));
    }
  };
  await Promise.all(Array.from({ length: writers }, write));
  return (performance.now() - startedAt) / 1000;
}

let inserted = 0;
let inserts = 0;
const rss: number[] = [];
const consume = () =>
  bus.subscribeBatches({
    group: 'bench',
    topics: ['device.telemetry.v1'],
    handleBatch: async (records) => {
      const rows = (records as BusRecord<'device.telemetry.v1'>[]).map((record) => ({
        tenant_id: record.tenantId,
        edge: record.message.edgeId,
        id: record.id,
        at: new Date(record.message.tsMs),
        body: record.message.valuesJson,
      }));
      const token = createHash('sha256')
        .update(records.map((record) => record.id).join())
        .digest('hex');
      await analytics.ingest('telemetry', rows, token);
      inserted += rows.length;
      inserts += 1;
      if (inserted > (rss.length * total) / 4) rss.push(Math.round(process.memoryUsage().rss / 1e6));
    },
  });

const startedAt = performance.now();
const subscription = await consume();
const appendS = await append();
while (inserted < total) await sleep(10);
const totalS = (performance.now() - startedAt) / 1000;
const [counted] = await analytics
  .forTenant(tenantId)
  .query<{ n: number }>('SELECT uniqExact(id) AS n FROM telemetry WHERE tenant_id = {tenant:UUID}');
const perSecond = (seconds: number) => Math.round(total / seconds).toLocaleString('en');
console.log(`events                         ${total.toLocaleString('en')} (${counted?.n.toLocaleString('en')} in ClickHouse)`);
console.log(`appended, consumer running     ${perSecond(appendS)}/s`);
console.log(`through the bus to ClickHouse  ${perSecond(totalS)}/s in ${inserts} inserts`);
console.log(`memory of this process, MB     ${rss.join(' ')}`);

await subscription.stop();
await bus.close();
await db.close();
await analytics.close();
await clickhouse.stop();
await postgres.stop();
rmSync(folder, { recursive: true, force: true });
