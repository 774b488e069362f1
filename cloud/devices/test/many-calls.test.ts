/** Calls made and ended many at a time. Real: PostgreSQL, the bus in it, the hub. */
import { randomUUID } from 'node:crypto';
import { AppError, type Database, firstTimes, type Tx, type WriteEvents, writeEvents } from '@star/platform';
import { EndWriter } from '../src/rpc/end-writer';
import { requestTasks } from '../src/rpc/request-tasks';
import type { OpenRpc } from '../src/rpc/rpc';
import { endRpcs, insertRpcs, type RpcEnd, recordProgress } from '../src/rpc/rpc.store';
import { adminOf, anEdge, aWorld, type RegisteredEdge, silent, until, type World } from './world';

let world: World;
let main: Awaited<ReturnType<World['devices']>>;
let edges: RegisteredEdge[];
let foreign: RegisteredEdge;
let db: Database;
let tenantId: string;

beforeAll(async () => {
  world = await aWorld();
  main = await world.devices();
  db = world.database.db;
  tenantId = world.tenants[0];
  edges = [await anEdge(world, main.devices, main.port), await anEdge(world, main.devices, main.port)];
  foreign = await anEdge(world, main.devices, main.port, world.tenants[1]);
});
afterAll(() => world?.close());

const requested = (edgeId: string, tenant = tenantId, paramsJson = '{}') => ({
  topic: 'search.task.requested.v1' as const,
  key: edgeId,
  id: randomUUID(),
  tenantId: tenant,
  occurredAt: new Date(),
  message: { searchId: '', taskId: randomUUID(), edgeId, method: 'createTask', paramsJson, expiresAtMs: Date.now() + 60_000 },
});

/** Oldest first. */
const tasksOf = async (edge: RegisteredEdge, tenant = tenantId) => {
  const { items } = await main.devices.readEdgeRpcs(adminOf(tenant), edge.edgeId, { limit: 200 });
  return items.map(({ requestId, correlationId }) => ({ requestId, correlationId })).reverse();
};
const finished = (taskId: string) => world.record('device.rpc.finished.v1', (record) => record.message.correlationId === taskId);

/** A database that lets `before` look at every tenant's transaction, and fail it. */
const watched = (before: (tenant: string) => void): Database => ({
  ...db,
  tenant: async (tenant, work) => {
    before(tenant);
    return db.tenant(tenant, work);
  },
});

const queueing = (database: Database, offered: OpenRpc[] = []) =>
  requestTasks({
    db: database,
    firstTimes,
    writeEvents,
    log: silent,
    connectedHere: () => true,
    dispatcher: { offer: (rpc) => offered.push(rpc) > 0 },
  });

describe('a batch of tasks', () => {
  it('becomes one call for each record, numbered in order, and what can go nowhere fails', async () => {
    const [a, b] = edges as [RegisteredEdge, RegisteredEdge];
    const good = [a, b, a, a, b].map((edge) => requested(edge.edgeId));
    const other = requested(foreign.edgeId, world.tenants[1]);
    const bad: [ReturnType<typeof requested>, string][] = [
      [requested(foreign.edgeId), 'edge.not_found'],
      [requested('no uuid'), 'edge.not_found'],
      [requested(a.edgeId, tenantId, '{'), 'rpc.params_invalid'],
    ];
    const [first, ...rest] = good as [ReturnType<typeof requested>, ...ReturnType<typeof requested>[]];
    const batch = [first, ...bad.map(([record]) => record), other, first, ...rest];
    const offered: OpenRpc[] = [];
    await queueing(db, offered)(batch);
    const expected = (edge: RegisteredEdge) =>
      good
        .filter(({ message }) => message.edgeId === edge.edgeId)
        .map(({ message }, at) => ({ requestId: at + 1, correlationId: message.taskId }));
    const all = [...expected(a), ...expected(b), { requestId: 1, correlationId: other.message.taskId }];
    const stored = async () => [...(await tasksOf(a)), ...(await tasksOf(b)), ...(await tasksOf(foreign, world.tenants[1]))];
    expect(await stored()).toEqual(all);
    expect(offered.map((rpc) => [rpc.edgeId, rpc.requestId])).toEqual(
      [a, b, a, a, b, foreign].map(({ edgeId }, at) => [edgeId, [1, 1, 2, 3, 2, 1][at]]),
    );
    for (const [record, code] of bad) {
      expect((await finished(record.message.taskId)).message).toMatchObject({
        state: 'FAILED',
        replyJson: JSON.stringify({ error: { code } }),
      });
    }
    // Two members of a group that work on the same records for a moment, cut differently.
    await Promise.all([queueing(db, offered)([...batch].reverse()), queueing(db, offered)(batch)]);
    expect(await stored()).toEqual(all);
    expect(offered).toHaveLength(all.length);
  });

  it('that was broken off between two tenants is finished by its repetition', async () => {
    const [edge] = edges as [RegisteredEdge];
    const [own, other] = [requested(edge.edgeId), requested(foreign.edgeId, world.tenants[1])];
    const [before, beforeOther] = [await tasksOf(edge), await tasksOf(foreign, world.tenants[1])];
    const dying = watched((tenant) => {
      if (tenant === world.tenants[1]) throw new Error('killed');
    });
    await expect(queueing(dying)([own, other])).rejects.toThrow('killed');
    expect([(await tasksOf(edge)).length, (await tasksOf(foreign, world.tenants[1])).length]).toEqual([
      before.length + 1,
      beforeOther.length,
    ]);
    await queueing(db)([own, other]);
    expect((await tasksOf(edge)).slice(before.length).map((rpc) => rpc.correlationId)).toEqual([own.message.taskId]);
    expect((await tasksOf(foreign, world.tenants[1])).slice(beforeOther.length).map((rpc) => rpc.correlationId)).toEqual([
      other.message.taskId,
    ]);
  });
});

/** Calls of the first edge that are open. */
const openCalls = async (count: number): Promise<OpenRpc[]> => {
  const edgeId = (edges[0] as RegisteredEdge).edgeId;
  const created = await db.tenant(tenantId, (tx) =>
    insertRpcs(
      tx,
      tenantId,
      Array.from({ length: count }, () => ({
        edgeId,
        method: 'createTask',
        paramsJson: '{}',
        correlationId: randomUUID(),
        expiresAtMs: Date.now() + 60_000,
        retries: 5,
        announced: true,
      })),
    ),
  );
  return created.filter((rpc) => rpc !== undefined);
};

const announced = (rpc: OpenRpc) => world.record('device.rpc.finished.v1', (record) => record.message.rpcId === rpc.id);

const replyTo = (rpc: OpenRpc, reply: unknown): RpcEnd => ({
  edgeId: rpc.edgeId,
  requestId: rpc.requestId,
  state: 'SUCCESSFUL',
  replyJson: JSON.stringify(reply),
  repliedAtMs: Date.now(),
  roundTripMs: 1.5,
});

describe('calls that end together', () => {
  it('share a few transactions, and are announced once each', async () => {
    const calls = await openCalls(300);
    let transactions = 0;
    const writer = new EndWriter(
      watched(() => {
        transactions += 1;
      }),
      writeEvents,
    );
    const ends = await Promise.all(calls.map((rpc, n) => writer.end(tenantId, replyTo(rpc, n))));
    expect(ends.map((end) => [end?.id, end?.replyJson])).toEqual(calls.map((rpc, n) => [rpc.id, String(n)]));
    // The first does not wait for company; 200 fit into one.
    expect(transactions).toBe(3);
    await Promise.all(calls.map(announced));
    const ids = new Set(calls.map((rpc) => rpc.id));
    const told = world.seen.filter(({ message }) => ids.has((message as { rpcId: string }).rpcId));
    expect(told).toHaveLength(calls.length);
  });

  it('end by their first reply, whoever repeats or invents one', async () => {
    const [rpc, other] = (await openCalls(2)) as [OpenRpc, OpenRpc];
    const writer = new EndWriter(db, writeEvents);
    const invented = { ...replyTo(rpc, 'invented'), requestId: 1_000_000 };
    const replies = [replyTo(other, 0), replyTo(rpc, 1), replyTo(rpc, 2), invented, { ...replyTo(rpc, 3), edgeId: foreign.edgeId }];
    const ends = await Promise.all(replies.map((reply) => writer.end(tenantId, reply)));
    expect(ends.map((end) => end?.replyJson)).toEqual(['0', '1', undefined, undefined, undefined]);
    expect(await writer.end(tenantId, replyTo(rpc, 4))).toBeUndefined();
    expect((await announced(rpc)).message.replyJson).toBe('1');
  });

  it('end also when one among them is refused, which stays open', async () => {
    const calls = await openCalls(5);
    const [, , poison] = calls as [OpenRpc, OpenRpc, OpenRpc];
    const refusing: WriteEvents = async (tx, records) => {
      if (records.some(({ message }) => (message as { rpcId: string }).rpcId === poison.id)) throw new Error('refused');
      await writeEvents(tx, records);
    };
    const writer = new EndWriter(db, refusing);
    const ends = await Promise.allSettled(calls.map((rpc, n) => writer.end(tenantId, replyTo(rpc, n))));
    expect(ends.map((end) => end.status)).toEqual(calls.map((rpc) => (rpc === poison ? 'rejected' : 'fulfilled')));
    expect((await new EndWriter(db, writeEvents).end(tenantId, replyTo(poison, 'late')))?.replyJson).toBe('"late"');
  });

  it('are all given up at once while the database is away', async () => {
    const calls = await openCalls(5);
    let tries = 0;
    const away = watched(() => {
      tries += 1;
      throw new AppError('database.unavailable', 'unavailable');
    });
    const writer = new EndWriter(away, writeEvents);
    const ends = await Promise.allSettled(calls.map((rpc) => writer.end(tenantId, replyTo(rpc, 0))));
    expect(ends.map((end) => end.status)).toEqual(calls.map(() => 'rejected'));
    expect(tries).toBe(2);
  });

  it('end once, also when somebody else ends one at the same moment', async () => {
    const calls = await openCalls(3);
    const [, taken] = calls as [OpenRpc, OpenRpc];
    let writing: Promise<unknown[]> = Promise.resolve([]);
    await db.tenant(tenantId, async (tx) => {
      expect((await endRpcs(tx, [replyTo(taken, 'first')]))[0]?.id).toBe(taken.id);
      const writer = new EndWriter(db, writeEvents);
      writing = Promise.all(calls.map((rpc) => writer.end(tenantId, replyTo(rpc, 'second'))));
      await until(async () => (await tx.query('SELECT 1 FROM pg_locks WHERE NOT granted')).length > 0);
    });
    expect((await writing).map((end) => (end as { replyJson: string } | undefined)?.replyJson)).toEqual([
      '"second"',
      undefined,
      '"second"',
    ]);
  });

  it.each<[string, (tx: Tx, calls: readonly OpenRpc[]) => Promise<unknown>]>([
    [
      'ends',
      (tx, calls) =>
        endRpcs(
          tx,
          calls.map((rpc) => replyTo(rpc, 0)),
        ),
    ],
    [
      'progress',
      (tx, calls) =>
        recordProgress(
          tx,
          calls.map((rpc) => [rpc.id, { state: 'SENT', timeouts: 0 }] as const),
        ),
    ],
  ])('have their rows locked in the order of the ids by their %s, so that two batches never deadlock', async (_, write) => {
    const calls = await openCalls(50);
    const ids = calls.map((rpc) => rpc.id).sort();
    const half = ids[25] as string;
    let writing: Promise<unknown> = Promise.resolve();
    await db.tenant(tenantId, async (tx) => {
      await tx.query('SELECT 1 FROM devices.rpcs WHERE id = $1 FOR UPDATE', [half]);
      writing = db.tenant(tenantId, (other) => write(other, calls));
      await until(async () => (await tx.query('SELECT 1 FROM pg_locks WHERE NOT granted')).length > 0);
      const free = await tx.query<{ id: string }>('SELECT id FROM devices.rpcs WHERE id = ANY ($1::uuid[]) FOR UPDATE SKIP LOCKED', [ids]);
      expect(free.map((row) => row.id).sort()).toEqual(ids.slice(25));
    });
    await writing;
  });
});
