import fc from 'fast-check';
import { SessionGovernor } from './session-governor';

describe('SessionGovernor', () => {
  it('serves everybody, never more at once than the limit, and lets nobody starve behind urgent work', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 60 }),
        async (limit, priorities) => {
          let now = 0;
          const governor = new SessionGovernor(limit, { now: () => now }, 1000);
          let running = 0;
          const served: number[] = [];
          const job = async (priority: number, index: number): Promise<void> => {
            const leave = await governor.enter({ priority });
            running++;
            expect(running).toBeLessThanOrEqual(limit);
            await Promise.resolve();
            served.push(index);
            now += 100;
            running--;
            leave();
            leave();
          };
          // The least urgent comes first, then urgent work that never ends: it must be served before 6 s of it have passed.
          const patient = job(6, -1);
          await Promise.all([patient, ...priorities.map(job), ...Array.from({ length: 100 }, (_, i) => job(1, 1000 + i))]);
          expect(served).toHaveLength(priorities.length + 101);
          expect(served.indexOf(-1)).toBeLessThan(70);
          expect(governor.peak).toBeLessThanOrEqual(limit);
          expect(governor.inUse).toBe(0);
        },
      ),
      { numRuns: 50, seed: 4 },
    );
  });

  it('takes the more urgent first, equals in order, and drops who is cancelled', async () => {
    const governor = new SessionGovernor(1, { now: () => 0 }, 1000);
    const leave = await governor.enter({ priority: 1 });
    const order: string[] = [];
    const abort = new AbortController();
    const raised = { priority: 6 };
    const jobs = [
      [{ priority: 5 }, 'five'],
      [{ priority: 2 }, 'two'],
      [{ priority: 2 }, 'two again'],
      [raised, 'raised'],
    ] as const;
    const waits = jobs.map(async ([ticket, name]) => {
      const done = await governor.enter(ticket);
      order.push(name);
      done();
    });
    const gone = governor.enter({ priority: 1 }, abort.signal);
    abort.abort();
    await expect(gone).rejects.toMatchObject({ code: 'alioth.cancelled' });
    raised.priority = 1;
    leave();
    await Promise.all(waits);
    expect(order).toEqual(['raised', 'two', 'two again', 'five']);
  });
});
