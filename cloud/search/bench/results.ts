/**
 * The answers of 1,000 boxes to one search, from the bus to tasks that are shown as accepted: in batches, and one record
 * at a time beside it, in turns. `node cloud/search/bench/results.ts [boxes]`, after a build.
 */
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BusRecord,
  firstTime,
  firstTimes,
  migrate,
  openDatabase,
  openPostgresBus,
  platformMigrations,
  startEmbeddedPostgres,
  startRelay,
  writeEvent,
  writeEvents,
} from '@star/platform';
import { createSearch, searchGroup, searchMigrations } from '@star/search';
import pg from 'pg';

const boxes = Number(process.argv[2] ?? 1000);
const [turns, waitMs] = [3, 300_000];
const sizes = [1, 50];

const folder = mkdtempSync(join(tmpdir(), 'star-bench-'));
// As root, PostgreSQL runs as another user; one who cannot come in here would get a folder elsewhere that stays.
chmodSync(folder, 0o755);
const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres'), durable: true });
await migrate(postgres.ownerUrl, 'platform', platformMigrations);
await migrate(postgres.ownerUrl, 'search', searchMigrations);
const db = openDatabase({ url: postgres.appUrl, poolSize: 20 });
const owner = new pg.Client({ connectionString: postgres.ownerUrl });
await owner.connect();
await owner.query("SELECT set_config('app.system', 'on', false)");
const warn = (details: object, message: string) => console.error(message, details);
const bus = await openPostgresBus({ db, log: { debug: () => {}, info: () => {}, warn, error: warn } });
const relay = await startRelay({ db, bus });
const tenantId = randomUUID();
const unused = {} as never;
const search = createSearch({
  database: db,
  analytics: unused,
  objects: unused,
  tenantKeys: unused,
  writeEvent,
  writeEvents,
  firstTime,
  firstTimes,
  edges: unused,
  embedders: unused,
  audit: async () => undefined,
  areasVisibleTo: async () => 'all',
  retention: unused,
});

/** A running search with a task of one camera for each box, as if it had just been asked for. */
async function aSearch(): Promise<{ searchId: string; answers: BusRecord[] }> {
  const searchId = randomUUID();
  await owner.query(
    `INSERT INTO search.searches (tenant_id, id, name, purpose, state, person_ids, camera_ids, from_ms, to_ms, threshold, priority,
       pack_id, created_by, request_sha256)
     VALUES ($1, $2, '', '', 'running', '{}', '{}', 0, 3600000, 0.5, 3, 'bench', $1, '')`,
    [tenantId, searchId],
  );
  const { rows } = await owner.query<{ id: string; edge_id: string }>(
    `INSERT INTO search.tasks (tenant_id, id, search_id, ordinal, edge_id, edge_name, camera_ids, from_ms, to_ms, expires_at)
     SELECT $1, gen_random_uuid(), $2, n, gen_random_uuid(), 'box', ARRAY[gen_random_uuid()], 0, 3600000, now() + interval '1 day'
     FROM generate_series(1, $3::int) n RETURNING id, edge_id`,
    [tenantId, searchId, boxes],
  );
  const answers = rows.map(
    ({ id: taskId, edge_id: edgeId }): BusRecord<'device.rpc.finished.v1'> => ({
      topic: 'device.rpc.finished.v1',
      key: edgeId,
      id: randomUUID(),
      tenantId,
      occurredAt: new Date(),
      message: {
        rpcId: randomUUID(),
        edgeId,
        method: 'createTask',
        correlationId: taskId,
        state: 'SUCCESSFUL',
        replyJson: JSON.stringify({ accepted: true, taskId }),
        roundTripMs: 5,
      },
    }),
  );
  return { searchId, answers };
}

/** Milliseconds until every task is accepted. */
async function take(maxBatch: number): Promise<number> {
  const { searchId, answers } = await aSearch();
  const subscription = await bus.subscribeBatches({
    group: searchGroup,
    topics: ['device.rpc.finished.v1'],
    maxBatch,
    handleBatch: (records) => search.takeRpcResults(records as BusRecord<'device.rpc.finished.v1'>[]),
  });
  const startedAtMs = performance.now();
  await bus.append(answers);
  for (;;) {
    const { rows } = await owner.query<{ open: number }>(
      "SELECT count(*)::int AS open FROM search.tasks WHERE search_id = $1 AND state <> 'accepted'",
      [searchId],
    );
    if (rows[0]?.open === 0) break;
    if (performance.now() - startedAtMs > waitMs) throw new Error(`${rows[0]?.open} of ${boxes} answers were not taken`);
    await sleep(10);
  }
  const tookMs = performance.now() - startedAtMs;
  await subscription.stop();
  return tookMs;
}

try {
  const took = new Map<number, number[]>(sizes.map((size) => [size, []]));
  for (let turn = 0; turn < turns; turn++) for (const size of sizes) took.get(size)?.push(await take(size));
  const seconds = (size: number) => (took.get(size) ?? []).map((ms) => (ms / 1000).toFixed(2)).join(', ');
  const sum = (size: number) => (took.get(size) ?? []).reduce((total, ms) => total + ms, 0);
  console.log(`${boxes} answers to one search, bus to accepted: ${seconds(50)} s in batches; ${seconds(1)} s one at a time:`);
  console.log(`${(sum(50) / sum(1)).toFixed(3)} of it`);
} finally {
  await relay.stop();
  await bus.close();
  await db.close();
  await owner.end();
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
}
