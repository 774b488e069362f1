/**
 * A first search of ten minutes of eight cameras beside a repeated one of the same hours for other people, from start to
 * the last report.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Person } from '@stardipper/proto';
import { agentStats } from '../world/agent-stats.ts';
import { boxNames } from '../world/identity.ts';
import { packAndPeople } from '../world/pack-and-people.ts';
import { untilDefined } from '../world/until-defined.ts';
import { enrol, startWorld, type World } from '../world/world.ts';

interface Taken {
  readonly seconds: number;
  readonly estimated: number;
  readonly keyframes: number;
}

async function keyframes(world: World): Promise<number> {
  const stats = await Promise.all(boxNames.map((box) => agentStats(world.boxData(box), 'mizar')));
  return stats.reduce((sum, s) => sum + (s.keyframes_decoded_total ?? 0), 0);
}

async function search(world: World, people: readonly Person[]): Promise<Taken> {
  // The camera that nobody reaches is left out: waiting for it is no work.
  const unreachable = new Set(world.plan.cameras.filter((c) => c.unreachable).map((c) => c.key));
  const before = await keyframes(world);
  const draft = await world.api.createSearch({
    name: 'bench',
    purpose: 'measurement',
    personIds: people.map((p) => p.id),
    cameraIds: world.cameras.filter((c) => !unreachable.has(world.cameraKey(c.id) ?? '')).map((c) => c.id),
    from: new Date(world.range.from).toISOString(),
    to: new Date(world.range.to).toISOString(),
  });
  const startedAt = performance.now();
  await world.api.startSearch(draft.id);
  await untilDefined(30 * 60_000, 'the search to end', async () => (await world.api.search(draft.id)).state !== 'running' || undefined);
  const seconds = (performance.now() - startedAt) / 1000;
  return { seconds, estimated: draft.estimate?.expectedSeconds ?? Number.NaN, keyframes: (await keyframes(world)) - before };
}

const folder = mkdtempSync(join(tmpdir(), 'search-bench-'));
let world: World | undefined;
try {
  world = await startWorld({ ...packAndPeople(process.env), folder, say: () => undefined });
  const people = [...(await enrol(world)).values()];
  const half = Math.ceil(people.length / 2);
  const first = await search(world, people.slice(0, half));
  const again = await search(world, people.slice(half));
  for (const [name, taken] of Object.entries({ 'first search': first, 'same hours, other people': again })) {
    console.log(
      `${name.padEnd(26)} ${taken.seconds.toFixed(2)} s (estimated ${taken.estimated.toFixed(2)} s), ${taken.keyframes} keyframes decoded`,
    );
  }
  console.log(`the first took ${(first.seconds / again.seconds).toFixed(0)} times as long`);
} finally {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
