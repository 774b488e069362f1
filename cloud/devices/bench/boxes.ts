/**
 * Searches over 1,000 boxes that are connected to one Star, through everything between search and box but Merak: outbox,
 * relay, bus, RPC, MQTT, the answer and its event. The boxes are a process of their own on 127.0.0.1. Prints how fast they
 * connect, what a connection costs the hub, how long acceptance takes, and what was lost or came twice.
 * `node cloud/devices/bench/boxes.ts [boxes]`, after a build.
 */
import { execSync, fork } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createDevices, devicesGroup, devicesMigrations } from '@star/devices';
import {
  firstTime,
  firstTimes,
  migrate,
  openDatabase,
  openDiskObjects,
  openPostgresBus,
  platformMigrations,
  startEmbeddedPostgres,
  startRelay,
  writeEvent,
  writeEvents,
} from '@star/platform';
import pg from 'pg';

const boxes = Number(process.argv[2] ?? 1000);
const [searches, singleCalls, waitMs] = [5, 200, 120_000];
/** PostgreSQL, the bus and Node itself want some, too. */
if (Number(execSync('ulimit -n').toString()) < boxes + 500) {
  console.log(`skipped: ${boxes} boxes want more open files than \`ulimit -n\` allows`);
  process.exit(0);
}
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const memory = () => {
  collect();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, used: heapUsed + external };
};

const folder = mkdtempSync(join(tmpdir(), 'star-bench-'));
// As root, PostgreSQL runs as another user; one who cannot come in here would get a folder elsewhere that stays.
chmodSync(folder, 0o755);
const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres'), durable: true });
await migrate(postgres.ownerUrl, 'platform', platformMigrations);
await migrate(postgres.ownerUrl, 'devices', devicesMigrations);
const db = openDatabase({ url: postgres.appUrl, poolSize: 20 });
const tenantId = randomUUID();
const owner = new pg.Client({ connectionString: postgres.ownerUrl });
await owner.connect();
await owner.query("SELECT set_config('app.system', 'on', false)");
const { rows: edges } = await owner.query<{ id: string }>(
  `INSERT INTO devices.edges (id, tenant_id, area_id, name)
   SELECT gen_random_uuid(), $1, gen_random_uuid(), 'box ' || n FROM generate_series(1, $2::int) n RETURNING id`,
  [tenantId, boxes],
);
await owner.query(`INSERT INTO devices.credentials (edge_id, tenant_id, kind, lookup_hash)
  SELECT id, tenant_id, 'ACCESS_TOKEN', sha256('name'::bytea || '\\x00'::bytea || id::text::bytea) FROM devices.edges`);
await owner.end();

const warn = (details: object, message: string) => console.error(message, details);
const log = { debug: () => {}, info: () => {}, warn, error: warn };
const bus = await openPostgresBus({ db, log });
const relay = await startRelay({ db, bus, log });
const devices = createDevices({
  db,
  bus,
  writeEvent,
  writeEvents,
  firstTime,
  firstTimes,
  log,
  secretKey: randomBytes(32),
  signCrops: async () => [],
  holdArea: async () => undefined,
  areasVisibleTo: async () => 'all',
  objects: await openDiskObjects({
    folder: join(folder, 'objects'),
    secret: 's'.repeat(32),
    publicUrl: 'http://star.bench',
    maxBytes: 1e6,
  }),
  audit: async () => undefined,
  hub: { port: 0 },
});
const port = await devices.start();
const accepts = await bus.subscribeBatches({
  group: devicesGroup,
  topics: ['search.task.requested.v1'],
  maxBatch: 50,
  handleBatch: devices.requestTasks,
});
/** By task: when its acceptance was on the bus, once for each time it was. */
const ends = new Map<string, { readonly atMs: number; readonly state: string; readonly roundTripMs: number }[]>();
const watches = await bus.subscribe({
  group: 'bench',
  topics: ['device.rpc.finished.v1'],
  handle: async ({ message }) => {
    const { correlationId, state, roundTripMs } = message as { correlationId: string; state: string; roundTripMs: number };
    ends.set(correlationId, [...(ends.get(correlationId) ?? []), { atMs: performance.now(), state, roundTripMs }]);
  },
});

/** One task for each edge, all in one transaction, as `search` asks for them; resolves when all have ended. */
async function search(edgeIds: readonly string[]) {
  const tasks = edgeIds.map((edgeId) => ({ edgeId, taskId: randomUUID() }));
  const searchId = randomUUID();
  const startedAtMs = performance.now();
  await db.tenant(tenantId, (tx) =>
    writeEvents(
      tx,
      tasks.map(({ edgeId, taskId }) => ({
        topic: 'search.task.requested.v1',
        key: edgeId,
        tenantId,
        message: {
          searchId,
          taskId,
          edgeId,
          method: 'createTask',
          paramsJson: JSON.stringify({ taskId, searchId, cameras: Array.from({ length: 16 }, () => randomUUID()) }),
          expiresAtMs: Date.now() + 600_000,
        },
      })),
    ),
  );
  const ended = () => tasks.filter(({ taskId }) => ends.has(taskId)).length;
  while (ended() < tasks.length && performance.now() - startedAtMs < waitMs) await sleep(5);
  const answers = tasks.flatMap(({ taskId }) => ends.get(taskId) ?? []);
  return {
    roundTrips: answers.map((end) => end.roundTripMs),
    sinceStart: answers.map((end) => end.atMs - startedAtMs),
    lost: tasks.filter(({ taskId }) => ends.get(taskId)?.some((end) => end.state === 'SUCCESSFUL') !== true).length,
  };
}

function percentiles(samples: readonly number[]): string {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) => (sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN).toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}

const fleet = fork(join(import.meta.dirname, 'support/boxes.ts'), { execArgv: ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON'] });
try {
  const before = memory();
  const startedAtMs = performance.now();
  fleet.send({ port, tokens: edges.map((edge) => edge.id) });
  await once(fleet, 'message', { signal: AbortSignal.timeout(waitMs) });
  const connectS = (performance.now() - startedAtMs) / 1000;
  // The writing of who is online goes on for a moment.
  await sleep(2000);
  const after = memory();
  const kb = (bytes: number) => `${(bytes / 1024 / boxes).toFixed(1)} KB`;
  console.log(`${devices.sessionCount()} boxes connected in ${connectS.toFixed(1)} s: ${(boxes / connectS).toFixed(0)} a second`);
  console.log(`a connection costs the hub     ${kb(after.used - before.used)} in use, ${kb(after.rss - before.rss)} resident`);

  const edgeIds = edges.map((edge) => edge.id);
  const single = [];
  for (let n = 0; n < singleCalls; n++) single.push(await search([edgeIds[n % boxes] as string]));
  console.log(`one box asked, ${boxes} connected  call to answer ${percentiles(single.flatMap((each) => each.roundTrips))};`);
  console.log(`                               search to acceptance on the bus ${percentiles(single.flatMap((each) => each.sinceStart))}`);
  const all = [];
  for (let n = 0; n < searches; n++) all.push(await search(edgeIds));
  console.log(`all asked at once, ${searches} times     call to answer ${percentiles(all.flatMap((each) => each.roundTrips))};`);
  console.log(`                               search to acceptance on the bus ${percentiles(all.flatMap((each) => each.sinceStart))}`);
  fleet.send('count');
  const [{ calls, repeated, dropped }] = (await once(fleet, 'message', { signal: AbortSignal.timeout(waitMs) })) as [
    { calls: number; repeated: number; dropped: number },
  ];
  const lost = [...single, ...all].reduce((sum, each) => sum + each.lost, 0);
  const twice = [...ends.values()].filter((each) => each.length > 1).length;
  console.log(
    `of ${singleCalls + searches * boxes} calls ${calls} came; ${lost} lost, ${repeated} sent twice, ${twice} told twice, ${dropped} connections dropped`,
  );
  if (lost + repeated + twice + dropped > 0) process.exitCode = 1;
} finally {
  if (fleet.connected) fleet.disconnect();
  await accepts.stop();
  await watches.stop();
  await devices.stop();
  await relay.stop();
  await bus.close();
  await db.close();
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
}
