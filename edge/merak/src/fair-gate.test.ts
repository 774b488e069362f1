import fc from 'fast-check';
import { FairGate, type Turn } from './fair-gate';

const never = new AbortController().signal;
const turn = (taskId: string, priority: number, order: number, camera = 'c'): Turn => ({ taskId, priority, order, camera });

/** A gate with one place, and work that asks again as soon as it was served: who is served, in order. */
async function serve(
  tasks: { turn: Turn; from: number; until: number }[],
  steps: number,
  ageMs: number,
): Promise<{ taskId: string; camera: string; at: number }[]> {
  let now = 0;
  const gate = new FairGate({ limit: () => 1, now: () => now, ageMs });
  const served: { taskId: string; camera: string; at: number }[] = [];
  const done = new AbortController();
  const inside: (() => void)[] = [];
  const work = async (task: (typeof tasks)[number]) => {
    while (now < task.until) {
      const leave = await gate.enter(task.turn, done.signal);
      served.push({ taskId: task.turn.taskId, camera: task.turn.camera, at: now });
      inside.push(leave);
      await Promise.resolve();
    }
  };
  const waiting = new Set(tasks);
  const working: Promise<void>[] = [];
  for (; now < steps; now += 1) {
    for (const task of waiting) {
      if (task.from > now) continue;
      waiting.delete(task);
      working.push(work(task).catch(() => undefined));
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(inside.length).toBeLessThanOrEqual(1);
    inside.shift()?.();
  }
  done.abort(new Error('end'));
  await new Promise((resolve) => setImmediate(resolve));
  inside.shift()?.();
  await Promise.all(working);
  return served;
}

test('urgent first, then who was accepted first; cameras of a task take turns', async () => {
  const served = await serve(
    [
      { turn: turn('later', 3, 2), from: 0, until: 6 },
      { turn: turn('sooner', 3, 1, 'a'), from: 0, until: 6 },
      { turn: turn('sooner', 3, 1, 'b'), from: 0, until: 6 },
      { turn: turn('urgent', 1, 3), from: 2, until: 4 },
    ],
    12,
    1_000,
  );
  // The first to ask finds the place free; after that order counts.
  expect(served.map((s) => s.taskId).slice(1, 8)).toEqual(['sooner', 'sooner', 'urgent', 'urgent', 'sooner', 'sooner', 'sooner']);
  const cameras = served.filter((s) => s.taskId === 'sooner').map((s) => s.camera);
  for (const [i, camera] of cameras.entries()) if (i > 0) expect(camera).not.toBe(cameras[i - 1]);
});

test('a waiting task gains a priority for each stretch: nobody starves, and urgent work keeps nearly everything', async () => {
  const ageMs = 10;
  const served = await serve(
    [1, 2, 3, 4, 5, 6].map((p) => ({ turn: turn(`p${p}`, p, p), from: 0, until: 2_000 })),
    2_000,
    ageMs,
  );
  const count = (p: number) => served.filter((s) => s.taskId === `p${p}`).length;
  for (const p of [1, 2, 3, 4, 5, 6]) {
    const times = served.filter((s) => s.taskId === `p${p}`).map((s) => s.at);
    const waits = times.map((at, i) => at - (times[i - 1] ?? 0));
    expect(Math.max(...waits)).toBeLessThanOrEqual(p * ageMs + 6);
    if (p > 1) expect(count(p)).toBeLessThanOrEqual(count(p - 1));
  }
  expect(count(1)).toBeGreaterThan(served.length / 2);
});

test('whoever comes, leaves or gives up, never more than the limit are inside and nobody is forgotten', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          task: fc.integer({ min: 0, max: 3 }),
          priority: fc.integer({ min: 1, max: 6 }),
          camera: fc.constantFrom('a', 'b'),
          gives: fc.boolean(),
          limit: fc.integer({ min: 1, max: 4 }),
        }),
        {
          minLength: 1,
          maxLength: 40,
        },
      ),
      async (visits) => {
        let now = 0;
        let limit = 1;
        const gate = new FairGate({ limit: () => limit, now: () => now, ageMs: 5 });
        const inside: (() => void)[] = [];
        let entered = 0;
        let gaveUp = 0;
        const all = visits.map((visit) => {
          now += 1;
          limit = visit.limit;
          const abort = new AbortController();
          const entering = gate.enter(turn(`t${visit.task}`, visit.priority, visit.task, visit.camera), abort.signal).then(
            (leave) => {
              entered += 1;
              inside.push(leave);
            },
            () => {
              gaveUp += 1;
            },
          );
          if (visit.gives) abort.abort(new Error('gives up'));
          expect(gate.busy).toBeLessThanOrEqual(4);
          return entering;
        });
        while (entered + gaveUp < visits.length) {
          await Promise.resolve();
          expect(gate.busy).toBeLessThanOrEqual(4);
          const leave = inside.shift();
          leave?.();
          leave?.();
        }
        await Promise.all(all);
        for (const leave of inside) leave();
        expect(gate.busy).toBe(0);
        expect(gate.waiting).toBe(0);
        await gate.enter(turn('t', 1, 1), never);
      },
    ),
  );
});
