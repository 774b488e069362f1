/** One search over the same footage: undisturbed, under kills, and behind a cut line. All three must come to the same. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Search } from '@stardipper/proto';
import { segmentMs } from '../footage/schedule.ts';
import { agentStats } from '../world/agent-stats.ts';
import { boxNames } from '../world/identity.ts';
import type { PackAndPeople } from '../world/pack-and-people.ts';
import { untilDefined } from '../world/until-defined.ts';
import { openWire } from '../world/wire.ts';
import { enrol, startOver, startWorld, type World } from '../world/world.ts';
import { type Findings, findingsOf } from './findings.ts';
import { killAtRandom, seeded } from './kill.ts';

export interface RunOptions extends PackAndPeople {
  readonly folder: string;
  readonly say: (line: string) => void;
}

/** Minutes of the recording that are searched: with a gap, a truncated file, and enough to outlive some dozens of kills. */
const minutes = { from: 3, to: 9 };
const endWithinMs = 30 * 60_000;

export const undisturbed = (options: RunOptions): Promise<Findings> =>
  anew(options, {}, (world) => searchOnce(world, options, async () => undefined));

interface Killed extends Findings {
  /** How often each process was killed, by its name. */
  readonly kills: Readonly<Record<string, number>>;
}

export interface Round extends Killed {
  /** Kills of all rounds up to and with this one. */
  readonly done: number;
}

/** Searches anew under kills until there were `kills` of them: a fast machine may end a search before. */
export async function* killRounds(options: RunOptions, kills: number, seed: number): AsyncGenerator<Round> {
  for (let done = 0, round = 0; done < kills; round++) {
    const killed = await underKills(options, kills - done, seed + round);
    done += Object.values(killed.kills).reduce((sum, n) => sum + n, 0);
    yield { ...killed, done };
  }
}

async function underKills(options: RunOptions, kills: number, seed: number): Promise<Killed> {
  let killed = new Map<string, number>();
  const found = await anew(options, {}, (world) =>
    searchOnce(world, options, async (search) => {
      const goOn = async () => (await patiently(() => world.api.search(search.id))).state === 'running';
      killed = await killAtRandom(world, {
        kills,
        random: seeded(seed),
        goOn,
        onKill: (name, pid) => options.say(`SIGKILL ${name} (${pid})`),
      });
    }),
  );
  return { ...found, kills: Object.fromEntries([...killed].sort()) };
}

/** Cuts the line once both boxes are at work, and mends it when they have long finished. */
export async function behindCutLine(options: RunOptions): Promise<Findings> {
  const wire = openWire();
  try {
    return await anew(options, { wire }, (world) =>
      searchOnce(world, options, async (search) => {
        await everyBox(world, 'at work', (stats) => (stats.tasks_running ?? 0) > 0);
        wire.cut();
        options.say('line cut');
        await everyBox(world, 'finished', (stats) => (stats.tasks_finished ?? 0) > 0 && (stats.tasks_running ?? 0) === 0);
        await sleep(3000);
        const seen = await world.api.search(search.id);
        if (seen.state !== 'running') throw new Error(`Star calls the search ${seen.state} though nothing can have arrived`);
        wire.mend();
        options.say('line mended');
      }),
    );
  } finally {
    await wire.close();
  }
}

async function anew<T>(options: RunOptions, more: { wire?: ReturnType<typeof openWire> }, work: (world: World) => Promise<T>): Promise<T> {
  await startOver(options);
  const world = await startWorld({ ...options, ...more });
  try {
    return await work(world);
  } finally {
    await world.stop();
  }
}

async function searchOnce(world: World, { say }: RunOptions, during: (search: Search) => Promise<void>): Promise<Findings> {
  const people = await enrol(world);
  const draft = await world.api.createSearch({
    name: 'everybody',
    purpose: 'test',
    personIds: [...people.values()].map((p) => p.id),
    cameraIds: world.cameras.map((c) => c.id),
    from: new Date(world.range.from + minutes.from * segmentMs).toISOString(),
    to: new Date(world.range.from + minutes.to * segmentMs).toISOString(),
  });
  const startedAt = performance.now();
  await world.api.startSearch(draft.id);
  await during(draft);
  await untilDefined(endWithinMs, 'the search to end', async () => {
    const { state } = await world.api.search(draft.id);
    return state === 'running' ? undefined : state;
  });
  say(`the search took ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  return patiently(() => findingsOf(world, draft.id, people));
}

/** Star may be starting again at any moment. */
const patiently = <T>(ask: () => Promise<T>): Promise<T> => untilDefined(120_000, 'Star to answer', async () => ask());

const everyBox = (world: World, what: string, holds: (stats: Record<string, number>) => boolean) =>
  untilDefined(endWithinMs, `both boxes to be ${what}`, async () => {
    const all = await Promise.all(boxNames.map((box) => agentStats(world.boxData(box), 'merak')));
    return all.every(holds) || undefined;
  });
