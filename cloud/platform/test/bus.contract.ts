import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus, BusRecord, EncodedRecord } from '../src/bus/bus';
import { firstTime } from '../src/bus/inbox.store';
import { relayOnce, startRelay } from '../src/bus/outbox';
import { writeEvent, writeEvents } from '../src/bus/outbox.store';
import { AppError } from '../src/errors/app-error';
import type { Database } from '../src/postgres/database';
import type { ChildOrders } from './bus.child';

export interface BusEngine {
  readonly db: Database;
  readonly databaseUrl: string;
  readonly child: ChildOrders['engine'];
  /** One more replica; the suite closes it. */
  open(): Promise<Bus>;
  /** Puts bytes on the wire past the codec. */
  appendRaw(raw: EncodedRecord): Promise<void>;
  close(): Promise<void>;
}

type Telemetry = BusRecord<'device.telemetry.v1'>;
const topic = 'device.telemetry.v1';

export const telemetry = (tenantId: string, key: string, n: number): Telemetry => ({
  topic,
  key,
  id: `${key}:${n}:${tenantId}`,
  tenantId,
  occurredAt: new Date(1_760_000_000_000 + n),
  message: { edgeId: key, tsMs: n, valuesJson: JSON.stringify({ n }) },
});

export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 40_000; Date.now() < end; await sleep(20)) if (await condition()) return;
  throw new Error(`waited in vain until ${what}`);
}

/** What every bus promises, whatever carries it. The records of all tests share a topic; each test is its own tenant. */
export function busContract(engineName: string, start: () => Promise<BusEngine>): void {
  describe(`bus on ${engineName}`, () => {
    let engine: BusEngine;
    let bus: Bus;
    const opened: Bus[] = [];
    const children: ChildProcess[] = [];
    const open = async () => {
      const another = await engine.open();
      opened.push(another);
      return another;
    };
    beforeAll(async () => {
      engine = await start();
      bus = await open();
    }, 120_000);
    afterAll(async () => {
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(opened.map((each) => each.close()));
      await engine?.close();
    }, 60_000);

    /** Subscribes and gathers one tenant's records in the order they come. */
    const gather = async (on: Bus, group: string, tenantId: string, work: (record: Telemetry) => Promise<void> | void = () => {}) => {
      const got: Telemetry[] = [];
      const subscription = await on.subscribe({
        group,
        topics: [topic],
        retryDelayMs: 5,
        maxAttempts: 3,
        handle: async (record) => {
          if (record.tenantId !== tenantId) return;
          await work(record as Telemetry);
          got.push(record as Telemetry);
        },
      });
      return {
        got,
        numbers: (key: string) => got.filter((record) => record.key === key).map((record) => record.message.tsMs),
        subscription,
      };
    };
    const startChild = async (orders: Omit<ChildOrders, 'databaseUrl' | 'engine' | 'topic'>) => {
      const child = fork(join(__dirname, 'bus.child.ts'), [], {
        execArgv: ['-r', join(__dirname, 'run-sources.cjs')],
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
      children.push(child);
      const said: { ready?: true; handled?: string; key?: string; first?: boolean }[] = [];
      child.on('message', (message) => said.push(message as (typeof said)[number]));
      child.send({ ...orders, topic, databaseUrl: engine.databaseUrl, engine: engine.child } satisfies ChildOrders);
      await until(() => said.some((each) => each.ready), 'the child is ready');
      return { child, handled: () => said.filter((each) => each.handled) };
    };
    const inTenant = () => ({ tenantId: randomUUID(), group: `g-${randomUUID().slice(0, 8)}` });

    test('delivers everything to every group, in order of a key, as it was written', async () => {
      const { tenantId, group } = inTenant();
      const keys = ['a', 'b', '摄像头-3', 'd', 'e'];
      const one = await gather(bus, group, tenantId);
      await Promise.all(
        keys.map(async (key) => {
          for (let n = 0; n < 60; n += 3) await bus.append([n, n + 1, n + 2].map((each) => telemetry(tenantId, key, each)));
        }),
      );
      const late = await gather(bus, `${group}-late`, tenantId);
      await until(() => one.got.length >= 300 && late.got.length >= 300, 'both groups have 300 records');
      for (const key of keys) {
        expect(one.numbers(key)).toEqual(Array.from({ length: 60 }, (_, n) => n));
        expect(late.numbers(key)).toEqual(one.numbers(key));
      }
      expect(one.got.find((record) => record.key === '摄像头-3' && record.message.tsMs === 7)).toEqual(telemetry(tenantId, '摄像头-3', 7));
      await Promise.all([one.subscription.stop(), late.subscription.stop()]);
    });

    test('appends a call whole or not at all, and refuses what no consumer could read', async () => {
      const { tenantId, group } = inTenant();
      const good = telemetry(tenantId, 'k', 1);
      const refused = async (bad: Partial<BusRecord>) =>
        bus.append([good, { ...good, ...bad } as BusRecord]).then(
          () => 'appended',
          (error: AppError) => error.code,
        );
      expect(await refused({ topic: 'nobody.knows.v1' as never })).toBe('bus.unknown_topic');
      expect(await refused({ tenantId: 'x' })).toBe('bus.record_invalid');
      expect(await refused({ id: '' })).toBe('bus.record_invalid');
      expect(await refused({ key: 'a\u0000b' })).toBe('bus.record_invalid');
      expect(await refused({ occurredAt: new Date(Number.NaN) })).toBe('bus.record_invalid');
      expect(await refused({ message: { edgeId: 'k', tsMs: 1, valuesJson: 'x'.repeat(1_100_000) } as never })).toBe('bus.record_too_large');
      await bus.append([{ ...good, id: 'end' }]);
      const { got, subscription } = await gather(bus, group, tenantId);
      await until(() => got.some((record) => record.id === 'end'), 'the last record is there');
      expect(got.map((record) => record.id)).toEqual(['end']);
      await subscription.stop();
    });

    test('goes on where a stopped member ended, without repeating', async () => {
      const { tenantId, group } = inTenant();
      await bus.append([0, 1, 2, 3, 4].map((n) => telemetry(tenantId, 'k', n)));
      const first = await gather(bus, group, tenantId, () => sleep(30));
      await until(() => first.got.length >= 1, 'one is handled');
      await first.subscription.stop();
      const second = await gather(bus, group, tenantId);
      await until(() => first.got.length + second.got.length >= 5, 'all are handled');
      await sleep(100);
      expect([...first.numbers('k'), ...second.numbers('k')]).toEqual([0, 1, 2, 3, 4]);
      await second.subscription.stop();
    });

    test('passes on both of two transactions that commit out of order, and not one that rolled back', async () => {
      const { tenantId, group } = inTenant();
      const relay = await startRelay({ db: engine.db, bus, pollMs: 200 });
      const { got, subscription } = await gather(bus, group, tenantId);
      let commitEarly = () => {};
      let earlyWritten = () => {};
      const written = new Promise<void>((resolve) => {
        earlyWritten = resolve;
      });
      const early = engine.db.tenant(tenantId, async (tx) => {
        await writeEvent(tx, { ...telemetry(tenantId, 'early', 1), id: undefined });
        earlyWritten();
        await new Promise<void>((resolve) => {
          commitEarly = resolve;
        });
      });
      await written;
      await engine.db.tenant(tenantId, (tx) => writeEvent(tx, telemetry(tenantId, 'late', 2)));
      await expect(
        engine.db.tenant(tenantId, async (tx) => {
          await writeEvent(tx, telemetry(tenantId, 'never', 3));
          throw new Error('no');
        }),
      ).rejects.toThrow('no');
      await until(() => got.length === 1, 'the later one is delivered while the earlier one is still open');
      commitEarly();
      await early;
      await until(() => got.length === 2, 'the earlier one is delivered');
      expect(got.map((record) => record.key)).toEqual(['late', 'early']);
      await Promise.all([relay.stop(), subscription.stop()]);
    });

    test('loses nothing when relays overlap or break off between appending and deleting', async () => {
      const { tenantId, group } = inTenant();
      const write = (from: number, to: number) =>
        engine.db.tenant(tenantId, async (tx) => {
          const records = Array.from({ length: to - from }, (_, i) => telemetry(tenantId, `k${(from + i) % 3}`, from + i));
          // One by one and all at once keep the same order.
          if (from % 20 === 0) await writeEvents(tx, records);
          else for (const record of records) await writeEvent(tx, record);
        });
      await write(0, 30);
      const breaking = {
        ...bus,
        appendEncoded: (records: readonly EncodedRecord[]) => bus.appendEncoded(records).then(() => Promise.reject(new Error('power cut'))),
      };
      await expect(relayOnce({ db: engine.db, bus: breaking as Bus })).rejects.toThrow('power cut');
      const relays = await Promise.all([
        startRelay({ db: engine.db, bus, pollMs: 50 }),
        startRelay({ db: engine.db, bus: await open(), pollMs: 50 }),
      ]);
      for (let n = 30; n < 120; n += 10) await write(n, n + 10);
      const seen: number[] = [];
      const { got, subscription } = await gather(bus, group, tenantId, async (record) => {
        const first = await engine.db.tenant(tenantId, (tx) => firstTime(tx, group, record.id));
        if (first) seen.push(record.message.tsMs);
      });
      await until(() => got.length >= 150, 'everything has come, the broken batch twice');
      for (const key of [0, 1, 2]) expect(seen.filter((n) => n % 3 === key)).toEqual(Array.from({ length: 40 }, (_, i) => i * 3 + key));
      await Promise.all([...relays.map((relay) => relay.stop()), subscription.stop()]);
    });

    test('delivers again what a killed process had handled and not acknowledged; the inbox keeps it from being handled twice', async () => {
      const { tenantId, group } = inTenant();
      const { child, handled } = await startChild({ group, tenantId, mode: 'hang' });
      await bus.append([telemetry(tenantId, 'k', 1)]);
      await until(() => handled().length === 1, 'the child has handled it');
      expect(handled()[0]?.first).toBe(true);
      child.kill('SIGKILL');
      const firsts: boolean[] = [];
      const { got, subscription } = await gather(bus, group, tenantId, async (record) => {
        firsts.push(await engine.db.tenant(tenantId, (tx) => firstTime(tx, group, record.id)));
      });
      await until(() => got.length === 1, 'it is delivered again');
      expect(firsts).toEqual([false]);
      await subscription.stop();
    });

    test('a poisonous record goes to the dead letters with its reason, its partition goes on, and it can be replayed', async () => {
      const { tenantId, group } = inTenant();
      let poisonous = true;
      let attempts = 0;
      const { numbers, subscription } = await gather(bus, group, tenantId, (record) => {
        if (record.message.tsMs !== 2 || !poisonous) return;
        attempts += 1;
        throw new Error(`camera k is odd, ${attempts}`);
      });
      await bus.append([1, 2, 3].map((n) => telemetry(tenantId, 'k', n)));
      await until(() => numbers('k').length === 2, 'the others are handled');
      expect(numbers('k')).toEqual([1, 3]);
      expect(attempts).toBe(3);
      const [letter, ...more] = await bus.deadLetters(group);
      expect(more).toEqual([]);
      expect(letter).toMatchObject({ group, topic, record: telemetry(tenantId, 'k', 2) });
      expect(letter?.reason).toContain('camera k is odd, 3');
      // Replayed too early it fails again, and stays with the new reason.
      await bus.replay(letter?.id ?? '');
      await until(async () => (await bus.deadLetters(group))[0]?.reason.includes('odd, 6') ?? false, 'the replay failed');
      poisonous = false;
      await bus.replay(letter?.id ?? '');
      await until(async () => (await bus.deadLetters(group)).length === 0, 'the list is empty');
      expect(numbers('k')).toEqual([1, 3, 2]);
      await expect(bus.replay(letter?.id ?? '')).rejects.toMatchObject({ code: 'bus.dead_letter_not_found' });
      await expect(bus.replay('nonsense')).rejects.toMatchObject({ code: 'bus.dead_letter_not_found' });
      await subscription.stop();
    });

    test('a record that its handler refuses for good is tried once', async () => {
      const { tenantId, group } = inTenant();
      let attempts = 0;
      const { numbers, subscription } = await gather(bus, group, tenantId, (record) => {
        if (record.message.tsMs !== 1) return;
        attempts += 1;
        throw new AppError('camera.unknown', 'unprocessable', { camera: 'k' });
      });
      await bus.append([1, 2].map((n) => telemetry(tenantId, 'k', n)));
      await until(() => numbers('k').length === 1, 'the other is handled');
      expect(attempts).toBe(1);
      expect((await bus.deadLetters(group)).map((letter) => letter.reason)).toEqual(['camera.unknown {"camera":"k"}']);
      await subscription.stop();
    });

    test('bytes that are no record go to the dead letters and never stop a consumer', async () => {
      const { tenantId, group } = inTenant();
      const headers = { id: 'x', tenant: tenantId, occurredAt: new Date().toISOString(), type: topic };
      await engine.appendRaw({ topic, key: 'k', headers, value: Buffer.from([0x0a, 0xff, 0xff, 0xff]) });
      await engine.appendRaw({ topic, key: 'k', headers: {}, value: Buffer.from('hello') });
      await engine.appendRaw({ topic, key: 'k', headers: { ...headers, type: 'tenant.created.v1' }, value: Buffer.alloc(0) });
      await bus.append([telemetry(tenantId, 'k', 1)]);
      const { got, subscription } = await gather(bus, group, tenantId);
      await until(() => got.length === 1, 'the good one is handled');
      await until(async () => (await bus.deadLetters(group)).length >= 3, 'the others are set aside');
      const letters = await bus.deadLetters(group);
      expect(letters.length).toBe(3);
      for (const letter of letters) {
        expect(letter.reason).toContain('bus.undecodable');
        expect(letter.record).toBeUndefined();
      }
      await subscription.stop();
    });

    test('temporary errors spend no attempt', async () => {
      const { tenantId, group } = inTenant();
      let failures = 0;
      const { got, subscription } = await gather(bus, group, tenantId, () => {
        if (failures < 6) {
          failures += 1;
          throw new AppError('database.unavailable', 'unavailable');
        }
      });
      await bus.append([telemetry(tenantId, 'k', 1)]);
      await until(() => got.length === 1, 'it is handled in the end');
      expect((await bus.deadLetters(group)).filter((letter) => letter.record?.tenantId === tenantId)).toEqual([]);
      await subscription.stop();
    });

    test('batches: in order, bounded by topic, and only the poisonous record of a batch is set aside', async () => {
      const { tenantId, group } = inTenant();
      const single = 'device.rpc.finished.v1';
      const ended = (n: number): BusRecord => ({
        ...telemetry(tenantId, 'k', n),
        topic: single,
        message: { rpcId: '', edgeId: '', method: '', correlationId: '', state: 'FAILED', replyJson: '', roundTripMs: n },
      });
      await bus.append([
        ...Array.from({ length: 200 }, (_, n) => telemetry(tenantId, 'k', n)),
        ...Array.from({ length: 20 }, (_, n) => ended(n)),
      ]);
      const handled: number[] = [];
      const one: number[] = [];
      let biggest = 0;
      const subscription = await bus.subscribeBatches({
        group,
        topics: [topic, single],
        maxBatch: (of) => (of === topic ? 50 : 1),
        maxAttempts: 2,
        retryDelayMs: 5,
        handleBatch: async (records) => {
          if (records[0]?.topic === single) {
            expect(records).toHaveLength(1);
            if (records[0].tenantId === tenantId) one.push((records as BusRecord<typeof single>[])[0]?.message.roundTripMs ?? -1);
            return;
          }
          biggest = Math.max(biggest, records.length);
          const mine = records.filter((record) => record.tenantId === tenantId) as Telemetry[];
          if (mine.some((record) => record.message.tsMs === 77)) throw new Error('row 77');
          handled.push(...mine.map((record) => record.message.tsMs));
        },
      });
      await until(() => handled.length === 199 && one.length === 20, 'the other 199 are handled, and those of the other topic');
      expect(one).toEqual(Array.from({ length: 20 }, (_, n) => n));
      expect(handled).toEqual(Array.from({ length: 200 }, (_, n) => n).filter((n) => n !== 77));
      expect(biggest).toBeGreaterThan(1);
      expect(biggest).toBeLessThanOrEqual(50);
      const letters = (await bus.deadLetters(group)).filter((letter) => letter.record?.tenantId === tenantId);
      expect(letters.map((letter) => letter.record?.id)).toEqual([`k:77:${tenantId}`]);
      await subscription.stop();
    });

    test('two members of a group share the work, and one takes over when the other is killed', async () => {
      const { tenantId, group } = inTenant();
      const here = await gather(bus, group, tenantId);
      const { child, handled } = await startChild({ group, tenantId, mode: 'work' });
      const keys = Array.from({ length: 16 }, (_, n) => `key-${n}`);
      let n = 0;
      await until(async () => {
        await bus.append(keys.map((key) => telemetry(tenantId, key, n)));
        n += 1;
        await sleep(100);
        return here.got.length > 0 && new Set(handled().map((each) => each.key)).size > 3;
      }, 'both have their part');
      child.kill('SIGKILL');
      await bus.append(keys.map((key) => telemetry(tenantId, key, n)));
      await until(() => keys.every((key) => here.numbers(key).includes(n)), 'the one that is left handles every key');
      const everything = new Set([...here.got.map((record) => record.id), ...handled().map((each) => each.handled)]);
      expect(everything.size).toBe(keys.length * (n + 1));
      await here.subscription.stop();
    });
  });
}
