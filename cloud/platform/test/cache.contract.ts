import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cache } from '../src';
import type { CacheEngine } from './cache.child';

export interface CacheUnderTest {
  /** One more replica; `nowMs` moves the clock of TTLs. */
  open(options: { now: () => number; maxEntries?: number }): Promise<Cache>;
  /** How a process of its own opens the same. */
  readonly engine: () => CacheEngine;
}

/** What every adapter of the cache promises. */
export function cacheContract(name: string, { open, engine }: CacheUnderTest): void {
  describe(`the cache: ${name}`, () => {
    let nowMs = performance.now();
    const opened: Cache[] = [];
    const replica = async (maxEntries?: number) => {
      const cache = await open({ now: () => nowMs, ...(maxEntries === undefined ? {} : { maxEntries }) });
      opened.push(cache);
      return cache;
    };
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((each) => each.close()));
    });
    const tenant = () => randomUUID();
    /** A loader that counts, of a value that can change. */
    const source = (value: unknown) => {
      const it = {
        value,
        loads: 0,
        load: async () => {
          it.loads += 1;
          return structuredClone(it.value);
        },
      };
      return it;
    };

    it('loads a value once and answers it until its time is over', async () => {
      const [cache, id, names] = [await replica(), tenant(), source({ name: '园区' })];
      expect(await cache.get(id, 'name', 60_000, names.load)).toEqual({ name: '园区' });
      names.value = { name: 'another' };
      nowMs += 59_000;
      expect(await cache.get(id, 'name', 60_000, names.load)).toEqual({ name: '园区' });
      nowMs += 1_001;
      // Redis' own clock cannot be moved; what it still has is no older than its TTL.
      expect(names.loads).toBe(1);
    });

    it('loads once for many who ask at once, and again after a failure', async () => {
      const [cache, id] = [await replica(), tenant()];
      let loads = 0;
      const slow = async () => {
        loads += 1;
        await sleep(20);
        return loads;
      };
      expect(await Promise.all(Array.from({ length: 50 }, () => cache.get(id, 'slow', 60_000, slow)))).toEqual(Array(50).fill(1));
      const broken = () => Promise.reject(new Error('no database'));
      await expect(cache.get(id, 'broken', 60_000, broken)).rejects.toThrow('no database');
      expect(await cache.get(id, 'broken', 60_000, async () => 'healed')).toBe('healed');
    });

    it('keeps falsy values, and not undefined', async () => {
      const [cache, id] = [await replica(), tenant()];
      for (const value of [null, 0, '', false]) {
        const it = source(value);
        const key = `falsy.${JSON.stringify(value).replaceAll('"', 'q')}`;
        await cache.get(id, key, 60_000, it.load);
        expect(await cache.get(id, key, 60_000, it.load)).toBe(value);
        expect(it.loads).toBe(1);
      }
      const none = source(undefined);
      await cache.get(id, 'none', 60_000, none.load);
      await cache.get(id, 'none', 60_000, none.load);
      expect(none.loads).toBe(2);
    });

    it('keeps tenants apart, and refuses a key that could name another’s', async () => {
      const [cache, one, other] = [await replica(), tenant(), tenant()];
      await cache.get(one, 'k', 60_000, async () => 'one');
      expect(await cache.get(other, 'k', 60_000, async () => 'other')).toBe('other');
      for (const key of ['', 'a b', 'a\nb', 'x'.repeat(201)])
        await expect(cache.get(one, key, 1, async () => 1)).rejects.toThrow(RangeError);
    });

    it('is bounded in memory', async () => {
      const [cache, id] = [await replica(10), tenant()];
      for (let i = 0; i < 1000; i++) await cache.get(id, `k${i}`, 60_000, async () => 'x'.repeat(1000));
      const last = source('anew');
      expect(await cache.get(id, 'k999', 60_000, last.load)).toBe('x'.repeat(1000));
      expect(last.loads).toBe(0);
    });

    it('invalidated in one replica is read anew in both; one key, or all of the tenant’s', async () => {
      const [here, there, id, other] = [await replica(), await replica(), tenant(), tenant()];
      const [plan, name, foreign] = [source(1), source('a'), source('f')];
      const ask = (cache: Cache) =>
        Promise.all([
          cache.get(id, 'plan', 60_000, plan.load),
          cache.get(id, 'name', 60_000, name.load),
          cache.get(other, 'plan', 60_000, foreign.load),
        ]);
      await ask(here);
      await ask(there);
      [plan.value, name.value, foreign.value] = [2, 'b', 'g'];
      await here.invalidate(id, 'plan');
      expect(await ask(here)).toEqual([2, 'a', 'f']);
      await until(async () => (await ask(there))[0] === 2);
      expect(await ask(there)).toEqual([2, 'a', 'f']);
      await there.invalidate(id);
      expect(await ask(there)).toEqual([2, 'b', 'f']);
      await until(async () => (await ask(here))[1] === 'b');
    });

    it('does not keep what was loading while it was invalidated', async () => {
      const [here, there, id] = [await replica(), await replica(), tenant()];
      let value = 'old';
      let letGo = () => {};
      let entered = () => {};
      const reading = new Promise<void>((resolve) => {
        entered = resolve;
      });
      const slow = here.get(id, 'k', 60_000, async () => {
        const read = value;
        entered();
        await new Promise<void>((resolve) => {
          letGo = resolve;
        });
        return read;
      });
      await reading;
      value = 'new';
      await there.invalidate(id, 'k');
      await here.invalidate(id, 'k');
      letGo();
      expect(await slow).toBe('old');
      for (const cache of [here, there]) expect(await cache.get(id, 'k', 60_000, async () => value)).toBe('new');
    });

    it('is one for two processes', async () => {
      const id = tenant();
      const here = await replica();
      const value = source('first');
      await here.get(id, 'k', 3_600_000, value.load);
      const child = fork(join(__dirname, 'cache.child.ts'), [], {
        execArgv: ['-r', join(__dirname, 'run-sources.cjs')],
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      child.send({ engine: engine(), tenantId: id, key: 'k' });
      const [ready] = (await once(child, 'message')) as [{ invalidated: boolean }];
      expect(ready).toEqual({ invalidated: true });
      value.value = 'second';
      // Its own loader's value, or with a level in between the child's.
      await until(async () => (await here.get(id, 'k', 3_600_000, value.load)) !== 'first');
      // And the other way round: the child tells when it has heard.
      const heard = once(child, 'message');
      await here.invalidate(id, 'k');
      expect((await heard)[0]).toEqual({ saw: 'child 2' });
      child.kill('SIGTERM');
      await once(child, 'exit');
    });
  });
}

/** Looks again until it is so; the test's own time limit ends it. */
export async function until(is: () => Promise<boolean>): Promise<void> {
  while (!(await is())) await sleep(10);
}
