import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../src/bus/bus';
import { claimCursor, createCursors, movePosition, renewMember } from '../src/bus/group.store';
import { firstTime, firstTimes } from '../src/bus/inbox.store';
import { openPostgresBus, type PostgresBus } from '../src/bus/postgres-log';
import { appendRecords } from '../src/bus/postgres-log.store';
import { runUpkeep } from '../src/bus/upkeep';
import { type TestDatabase, testDatabase } from '../src/test-kit';
import { busContract, telemetry, until } from './bus.contract';

const topic = 'device.telemetry.v1';
const leaseMs = 1500;

busContract('PostgreSQL', async () => {
  const { db, appUrl, close } = await testDatabase();
  return {
    db,
    databaseUrl: appUrl,
    child: { postgres: { leaseMs } },
    open: () => openPostgresBus({ db, leaseMs, pollMs: 200 }),
    appendRaw: (raw) => db.system('test', (tx) => appendRecords(tx, [{ ...raw, partition: 0 }])),
    close,
  };
});

describe('only of the log in PostgreSQL', () => {
  let test_: TestDatabase;
  let bus: PostgresBus;
  let other: PostgresBus;
  beforeAll(async () => {
    test_ = await testDatabase();
    bus = await openPostgresBus({ db: test_.db, partitions: 2, leaseMs, pollMs: 200 });
    // Asks for another number of partitions and has to live with the first one's, or keys would change places.
    other = await openPostgresBus({ db: test_.db, partitions: 16, leaseMs, pollMs: 200 });
  });
  afterAll(async () => {
    await Promise.all([bus?.close(), other?.close()]);
    await test_?.close();
  });

  test('a reader never passes over a record of a transaction that commits late', async () => {
    const tenantId = randomUUID();
    const got: string[] = [];
    const subscription = await bus.subscribe({
      group: 'late',
      topics: [topic],
      handle: async (record) => {
        got.push(record.id);
      },
    });
    const appendTo = async (on: Bus, name: string) => {
      for (let n = 0; n < 40; n++) await on.append(Array.from({ length: 1 + (n % 7) }, (_, i) => telemetry(tenantId, `${name}${i}`, n)));
    };
    await Promise.all([appendTo(bus, 'a'), appendTo(other, 'b'), appendTo(bus, 'c'), appendTo(other, 'd')]);
    const total = 4 * Array.from({ length: 40 }, (_, n) => 1 + (n % 7)).reduce((a, b) => a + b, 0);
    await until(() => got.length >= total, 'all have come');
    expect(new Set(got).size).toBe(total);
    expect(got.length).toBe(total);
    const [gaps] = await test_.db.system('test', (tx) =>
      tx.query<{ count: number }>(
        `SELECT count(*) FROM (SELECT position - lag(position, 1, 0::bigint) OVER (PARTITION BY topic, partition ORDER BY position) AS step
         FROM platform.bus_records) steps WHERE step <> 1`,
      ),
    );
    expect(gaps?.count).toBe(0);
    await subscription.stop();
  });

  test('one tenant sees nothing of the log', async () => {
    const tenantId = randomUUID();
    await bus.append([telemetry(tenantId, 'k', 1)]);
    expect(await test_.db.tenant(tenantId, (tx) => tx.query('SELECT 1 FROM platform.bus_records'))).toEqual([]);
  });

  test('retention deletes what is old and passed by every group, and nothing else', async () => {
    const tenantId = randomUUID();
    let slow = true;
    const fast = await bus.subscribe({ group: 'late', topics: [topic], handle: async () => {} });
    const stuck = await bus.subscribe({
      group: 'stuck',
      topics: [topic],
      handle: async () => {
        while (slow) await sleep(20);
      },
    });
    await bus.append([telemetry(tenantId, 'k', 1)]);
    await sleep(300);
    const soon = () => new Date(Date.now() + 60_000);
    expect(await bus.deleteOlderThan(new Date(Date.now() - 60_000))).toBe(0);
    expect(await bus.deleteOlderThan(soon())).toBe(0);
    slow = false;
    await until(async () => (await bus.deleteOlderThan(soon())) > 0, 'the slow group has passed');
    await until(async () => {
      await bus.deleteOlderThan(soon());
      const [left] = await test_.db.system('test', (tx) => tx.query<{ count: number }>('SELECT count(*) FROM platform.bus_records'));
      return left?.count === 0;
    }, 'nothing is left');
    await Promise.all([fast.stop(), stuck.stop()]);
    // A group that starts after everything was deleted is not stuck at the gap.
    const got: string[] = [];
    const fresh = await bus.subscribe({ group: 'fresh', topics: [topic], handle: async (record) => void got.push(record.id) });
    await bus.append([telemetry(tenantId, 'k', 2)]);
    await until(() => got.length === 1, 'the new record has come');
    await fresh.stop();
    await bus.forgetGroup('fresh');
  });

  test('a member that was paused past its lease can neither move nor keep what another has taken', async () => {
    const inGroup = <T>(work: Parameters<typeof test_.db.system<T>>[1]) => test_.db.system('test', work);
    await inGroup((tx) => createCursors(tx, 'paused', [topic]));
    const place = { topic, partition: 0 };
    const before = await inGroup((tx) => claimCursor(tx, 'paused', 'one', place, 60_000));
    expect(before).toMatchObject({ position: 0, epoch: 1 });
    if (!before) return;
    expect(await inGroup((tx) => claimCursor(tx, 'paused', 'two', place, 60_000))).toBeUndefined();
    await inGroup((tx) =>
      tx.execute("UPDATE platform.bus_cursors SET owned_until = now() - interval '1 s' WHERE group_name = 'paused' AND partition = 0"),
    );
    const after = await inGroup((tx) => claimCursor(tx, 'paused', 'two', place, 60_000));
    expect(after).toMatchObject({ position: 0, epoch: 2 });
    expect(await inGroup((tx) => movePosition(tx, 'paused', 'one', { ...before, position: 7 }))).toBe(false);
    expect(await inGroup((tx) => renewMember(tx, 'paused', 'one', [topic], 60_000))).toEqual([]);
    expect(await inGroup((tx) => renewMember(tx, 'paused', 'two', [topic], 60_000))).toMatchObject([{ ...place, position: 0 }]);
    await bus.forgetGroup('paused');
  });

  test('the inbox knows an id per group, takes batches, survives a rollback and is swept', async () => {
    const tenantId = randomUUID();
    const inTenant = <T>(work: Parameters<typeof test_.db.tenant<T>>[1]) => test_.db.tenant(tenantId, work);
    expect(await inTenant((tx) => firstTime(tx, 'g', '1'))).toBe(true);
    expect(await inTenant((tx) => firstTime(tx, 'g', '1'))).toBe(false);
    expect(await inTenant((tx) => firstTime(tx, 'h', '1'))).toBe(true);
    await inTenant(async (tx) => {
      await firstTime(tx, 'g', '2');
      throw new Error('rolled back');
    }).catch(() => {});
    expect(await inTenant((tx) => firstTimes(tx, 'g', ['1', '2', '3', '3']))).toEqual(new Set(['2', '3']));
    await test_.db.system('test', (tx) =>
      tx.execute("UPDATE platform.inbox SET seen_at = now() - interval '31 days' WHERE group_name = 'g'"),
    );
    expect((await runUpkeep({ db: test_.db, bus })).inbox).toBe(3);
    expect(await inTenant((tx) => firstTime(tx, 'h', '1'))).toBe(false);
    await expect(runUpkeep({ db: test_.db, recordDays: 7, inboxDays: 7 })).rejects.toThrow(RangeError);
  });

  test('dead letters go after their time, unless somebody asked to replay them', async () => {
    const sql = `INSERT INTO platform.bus_dead_letters (id, group_name, topic, partition, position, key, headers, value, reason, failed_at, replay_requested_at)
      SELECT gen_random_uuid(), 'gone', 't', 0, n, 'k', '{}', '', 'r', now() - n * interval '1 day', CASE n WHEN 92 THEN now() END FROM unnest($1::int[]) AS n`;
    await test_.db.system('test', (tx) => tx.execute(sql, [[89, 91, 92, 400]]));
    expect((await runUpkeep({ db: test_.db, bus })).deadLetters).toBe(2);
    const left = await test_.db.system('test', (tx) =>
      tx.query("SELECT position FROM platform.bus_dead_letters WHERE group_name = 'gone' ORDER BY position"),
    );
    expect(left.map(({ position }) => position)).toEqual([89, 92]);
  });

  test('more than fits into memory is refused, not gathered', async () => {
    const tenantId = randomUUID();
    const big = (n: number) => ({ ...telemetry(tenantId, 'k', n), message: { edgeId: 'k', tsMs: n, valuesJson: 'x'.repeat(900_000) } });
    const results = await Promise.allSettled(Array.from({ length: 90 }, (_, n) => bus.append([big(n)])));
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused.length).toBeGreaterThan(5);
    expect(refused.length).toBeLessThan(30);
    expect(refused[0]).toMatchObject({ reason: { code: 'bus.overloaded', retry: true } });
  });
});
