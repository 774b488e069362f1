/** Every process of an installation by name, as it runs now. */

import { readFile } from 'node:fs/promises';
import { boxStatus } from '@dipper/dipper';
import { boxNames } from '../world/identity.ts';
import { type World } from '../world/world.ts';

/** Star's and the boxes' supervisors among them; one that is down at the moment is left out. */
export async function processesOf(world: World): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const add = (name: string, pid: number | undefined) => {
    if (pid && pid > 0) found.set(name, pid);
  };
  const star = JSON.parse(await readFile(world.starPids, 'utf8').catch(() => '{}')) as Record<string, number>;
  // Its own word may be stale while it is being started again; the one who started it knows.
  for (const [name, pid] of Object.entries(star)) if (name !== 'star') add(`star.${name}`, pid);
  add('star', world.star.pid());
  for (const box of boxNames) {
    add(`${box}.dipper`, world.boxes[box].pid());
    add(`${box}.recorder`, world.recorders[box].pid());
    for (const { agent, pid } of await boxStatus(world.boxData(box))) add(`${box}.${agent}`, pid);
  }
  return found;
}

/** Whether this is still a program of ours: numbers of dead processes are given out again. */
export async function isOurs(pid: number): Promise<boolean> {
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return /node|postgres/.test(line);
}
