import { AgentError } from '@dipper/platform';
import { persist } from './patience';

const patience = { retryMs: 200, attempts: 3 };
const away = new AgentError('agent.unavailable', 'unavailable');
const busy = new AgentError('spool.full', 'limited');
const broken = new AgentError('recorder.bad_answer', 'unavailable');

/** Work that fails with each error in turn, having taken some time, on a clock that only waiting moves. */
async function run(failures: readonly (readonly [error: AgentError, tookMs: number])[]) {
  let now = 0;
  let tries = 0;
  const clock = {
    now: () => now,
    sleep: async (ms: number) => {
      now += ms;
    },
  };
  const work = async () => {
    const failure = failures[tries];
    tries += 1;
    if (!failure) return 'done';
    now += failure[1];
    throw failure[0];
  };
  const outcome = await persist(work, patience, { clock, signal: new AbortController().signal, random: () => 0.5 }).catch(
    (error: AgentError) => error.code,
  );
  return { outcome, tries };
}

describe('patience', () => {
  it('does not count the time that work took before its agent went away', async () => {
    expect(await run([[away, 3_600_000]])).toEqual({ outcome: 'done', tries: 2 });
  });

  it('bears several outages of an agent, and not one that lasts', async () => {
    expect(
      await run([
        [away, 0],
        [broken, 299_000],
        [away, 0],
        [away, 1000],
      ]),
    ).toEqual({ outcome: 'done', tries: 5 });
    const { outcome, tries } = await run(Array.from({ length: 10_000 }, () => [away, 0] as const));
    expect(outcome).toBe('agent.unavailable');
    expect(tries).toBeGreaterThan(1000);
  });

  it('asks again an agent that was told to stop in the middle', async () => {
    expect(await run([[new AgentError('mizar.cancelled', 'cancelled'), 0]])).toEqual({ outcome: 'done', tries: 2 });
  });

  it('waits longer for room than for a recorder that fails', async () => {
    expect(
      await run([
        [busy, 599_000],
        [busy, 0],
        [busy, 0],
      ]),
    ).toEqual({ outcome: 'done', tries: 4 });
    expect(
      await run([
        [broken, 0],
        [broken, 0],
        [broken, 0],
      ]),
    ).toEqual({ outcome: 'recorder.bad_answer', tries: 3 });
  });

  it('does not try again what cannot help', async () => {
    expect(await run([[new AgentError('task.invalid', 'invalid'), 0]])).toEqual({ outcome: 'task.invalid', tries: 1 });
  });
});
