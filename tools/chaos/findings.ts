/** What a search came to, in a form in which two runs over the same footage can be compared word by word. */

import type { Person } from '@stardipper/proto';
import { untilDefined } from '../world/until-defined.ts';
import { type World } from '../world/world.ts';

export interface Findings {
  readonly state: string;
  /** One line per match, sorted; a match told twice is there twice. */
  readonly matches: readonly string[];
  /** One line per span of a camera, sorted. */
  readonly coverage: readonly string[];
  readonly seconds: Readonly<Record<string, number>>;
}

/** Ids differ between runs: people and cameras go by their names, times by their distance from the start of the recording. */
export async function findingsOf(world: World, searchId: string, people: ReadonlyMap<string, Person>): Promise<Findings> {
  const search = await world.api.search(searchId);
  const nameOf = new Map([...people.values()].map((p) => [p.id, p.name]));
  const at = (time: string) => Date.parse(time) - world.range.from;
  const matches = await untilDefined(120_000, 'every crop to be uploaded', async () => {
    const all = await world.api.matches(searchId);
    return all.every((m) => m.cropUrl !== null) ? all : undefined;
  });
  const coverage = await world.api.coverage(searchId);
  return {
    state: search.state,
    matches: matches
      .map(
        (m) =>
          `${world.cameraKey(m.cameraId)} ${at(m.at)} ${nameOf.get(m.personId)} ${m.score.toFixed(4)} ${m.box.map((n) => n.toFixed(3))}`,
      )
      .sort(),
    coverage: coverage
      .map((c) => `${world.cameraKey(c.cameraId)} ${at(c.from)}..${at(c.to)} ${c.kind} ${c.reason ?? '-'} ${c.samplingMs ?? '-'}`)
      .sort(),
    seconds: search.coverage,
  };
}
