/** Kills processes of a running installation in an order that a seed decides. */

import { setTimeout as sleep } from 'node:timers/promises';
import { untilDefined } from '../world/until-defined.ts';
import { type World } from '../world/world.ts';
import { isOurs, processesOf } from './processes.ts';

export interface KillOptions {
  readonly kills: number;
  readonly random: () => number;
  /** Asked before each kill; killing stops when it says no. */
  readonly goOn: () => Promise<boolean>;
  readonly onKill: (name: string, pid: number) => void;
}

/** So long a pause between two kills at most; the mean is a third. */
const longestPauseMs = 2000;

/** mulberry32: small, seedable, good enough to shuffle with. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Goes through all processes again and again, each time in another order, so that each has its turn. Answers how often each was killed. */
export async function killAtRandom(world: World, options: KillOptions): Promise<Map<string, number>> {
  const killed = new Map<string, number>();
  const names = [...(await processesOf(world)).keys()].sort();
  let deck: string[] = [];
  for (let count = 0; count < options.kills; ) {
    if (deck.length === 0) deck = shuffled(names, options.random);
    const name = deck.pop() as string;
    await sleep(longestPauseMs * options.random() ** 2);
    // Killed a moment ago, it may not be back: it is waited for, so that it is a running process that dies.
    const pid = await untilDefined(120_000, `${name} to run`, async () => {
      const found = (await processesOf(world)).get(name);
      return found && (await isOurs(found)) ? found : undefined;
    });
    if (!(await options.goOn())) break;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      continue; // it died by itself in this moment: that is no kill
    }
    count++;
    killed.set(name, (killed.get(name) ?? 0) + 1);
    options.onKill(name, pid);
  }
  return killed;
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [all[i], all[j]] = [all[j] as T, all[i] as T];
  }
  return all;
}
