/** One contract for the counters in memory and those in a real Redis (skipped where there is no redis-server). */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { countInMemory, countInRedis, type RateCounters } from '../src';
import { takeFrom } from '../src/rate-limits';

const hasRedis = (() => {
  try {
    execFileSync('redis-server', ['--version']);
    return true;
  } catch {
    return false;
  }
})();

let port: number;
let redis: ChildProcess | undefined;
async function startRedis(): Promise<void> {
  redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', tmpdir()], {
    stdio: 'ignore',
  });
}
async function stopRedis(): Promise<void> {
  if (!redis || redis.exitCode !== null) return;
  const ended = once(redis, 'exit');
  redis.kill('SIGKILL');
  await ended;
}

beforeAll(async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as { port: number });
  server.close();
  if (hasRedis) await startRedis();
});
afterAll(stopRedis);

/** Until a counter shares with another: Redis is there and connected. */
async function together(one: RateCounters, other: RateCounters): Promise<void> {
  for (;;) {
    const bucket = { key: `tenant:${randomUUID()}:rate:all`, perMinute: 1 };
    const [first, second] = [await one.take(bucket), await other.take(bucket)];
    if (first.allowed && !second.allowed) return;
    await sleep(20);
  }
}

const kinds = {
  memory: () => countInMemory(),
  ...(hasRedis ? { Redis: () => countInRedis({ url: `redis://127.0.0.1:${port}`, timeoutMs: 2000 }) } : {}),
};

describe.each(Object.entries(kinds))('calls counted in %s', (kind, make) => {
  let counters: RateCounters;
  beforeAll(async () => {
    counters = make();
    if (kind === 'memory') return;
    const other = make();
    await together(counters, other);
    await other.close();
  });
  afterAll(() => counters.close());
  const bucket = (perMinute: number) => ({ key: `tenant:${randomUUID()}:rate:all`, perMinute });

  it('are allowed as often as the bucket holds, also when all come at once, and not once more', async () => {
    // One comes back every ten seconds, which is longer than this takes.
    const many = bucket(6);
    const taken = await Promise.all(Array.from({ length: 40 }, () => counters.take(many)));
    expect(taken.filter((each) => each.allowed)).toHaveLength(6);
    expect(taken[0]).toMatchObject({ allowed: true, remaining: 5, waitMs: 0 });
    const refused = taken.at(-1);
    expect(refused).toMatchObject({ allowed: false, remaining: 0 });
    expect(refused?.waitMs).toBeGreaterThan(0);
    expect(refused?.waitMs).toBeLessThanOrEqual(10_000);
  });

  it('come back one by one, and a refusal costs nothing', async () => {
    const quick = bucket(6000);
    const all = await Promise.all(Array.from({ length: 6100 }, () => counters.take(quick)));
    expect(all.filter((each) => each.allowed).length).toBeGreaterThanOrEqual(6000);
    await sleep(50);
    expect(await counters.take(quick)).toMatchObject({ allowed: true });
  });

  it('are counted for each bucket by itself', async () => {
    const [one, other] = [bucket(1), bucket(1)];
    expect([(await counters.take(one)).allowed, (await counters.take(one)).allowed, (await counters.take(other)).allowed]).toEqual([
      true,
      false,
      true,
    ]);
  });
});

(hasRedis ? describe : describe.skip)('replicas', () => {
  const replica = () => countInRedis({ url: `redis://127.0.0.1:${port}`, timeoutMs: 2000 });

  it('share one limit, and each goes on by itself while Redis is away', async () => {
    const [one, other] = [replica(), replica()];
    await together(one, other);
    const shared = { key: `tenant:${randomUUID()}:rate:all`, perMinute: 5 };
    const taken = await Promise.all(Array.from({ length: 20 }, (_, n) => (n % 2 ? one : other).take(shared)));
    expect(taken.filter((each) => each.allowed)).toHaveLength(5);
    await stopRedis();
    expect([(await one.take(shared)).allowed, (await other.take(shared)).allowed]).toEqual([true, true]);
    await startRedis();
    await together(one, other);
    await Promise.all([one.close(), other.close()]);
  });
});

it('never allow more than a minute’s calls at once plus what time has brought, whatever comes when', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 400 }),
      (perMinute, pausesMs) => {
        let [nowMs, fullAtMs, allowed] = [0, 0, 0];
        for (const pauseMs of pausesMs) {
          nowMs += pauseMs;
          const { taken, fullAtMs: next } = takeFrom(fullAtMs, perMinute, nowMs);
          const possible = Math.floor(perMinute + (nowMs * perMinute) / 60_000 + 1e-6);
          if (taken.allowed) allowed++;
          else expect(next).toBe(Math.max(fullAtMs, nowMs));
          // Having waited as long as it says is enough.
          if (!taken.allowed) expect(takeFrom(next, perMinute, nowMs + taken.waitMs).taken.allowed).toBe(true);
          expect(allowed).toBeLessThanOrEqual(possible);
          fullAtMs = next;
        }
      },
    ),
  );
});

it('in memory are forgotten when they are full again, and never fill it', async () => {
  let nowMs = 1_000_000;
  const counters = countInMemory({ nowMs: () => nowMs, maxBuckets: 50 });
  for (let n = 0; n < 500; n++) await counters.take({ key: `rate:address:${n}`, perMinute: 60 });
  expect(counters.size()).toBe(50);
  nowMs += 60_000;
  await counters.take({ key: 'rate:address:x', perMinute: 60 });
  expect(counters.size()).toBe(1);
});
