/** How long a box takes to accept: at least 200 createTask calls through the whole path, idle boxes. */

import type { Person, Search } from '@stardipper/proto';
import { untilDefined } from '../world/until-defined.ts';
import { type World } from '../world/world.ts';

export interface AcceptFigures {
  readonly n: number;
  readonly p50: number;
  readonly p99: number;
}

const calls = 200;

/** Starts searches of one second, two boxes each, reads the measured round trips, and deletes the searches. */
export async function measureAccept(
  world: World,
  person: Person,
  onProgress: (done: number, total: number) => void,
): Promise<AcceptFigures> {
  const oneCameraEach = Object.values(world.edges).map((edge) => world.cameras.find((c) => c.edgeId === edge.id)?.id as string);
  const samples: number[] = [];
  while (samples.length < calls) {
    const draft = await world.api.createSearch({
      name: 'accept latency',
      purpose: 'measurement',
      personIds: [person.id],
      cameraIds: oneCameraEach,
      from: new Date(world.range.from).toISOString(),
      to: new Date(world.range.from + 1000).toISOString(),
    });
    await world.api.startSearch(draft.id);
    const ended = await untilDefined(30_000, 'a one-second search to end', async () => {
      const now: Search = await world.api.search(draft.id);
      return now.state === 'running' ? undefined : now;
    });
    samples.push(...ended.tasks.flatMap((t) => (t.acceptMs === null ? [] : [t.acceptMs])));
    await world.api.deleteSearch(draft.id);
    if (ended.tasks.some((t) => t.acceptMs === null)) throw new Error('a box did not accept');
    onProgress(Math.min(samples.length, calls), calls);
  }
  samples.sort((a, b) => a - b);
  const at = (share: number) => Number((samples[Math.min(samples.length - 1, Math.ceil(share * samples.length) - 1)] as number).toFixed(2));
  return { n: samples.length, p50: at(0.5), p99: at(0.99) };
}
