/** With which model pack, and whose faces, an installation is shown: the project's own drawn ones, or what the environment names. */

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

export interface PackAndPeople {
  /** Folder of a model pack. */
  readonly models: string;
  /** Folder of photos; drawn people without it. */
  readonly portraits?: string;
  /** Folder of rendered footage that installations share; each renders its own without it. */
  readonly rendered?: string;
}

const own: PackAndPeople = { models: join(import.meta.dirname, '..', '..', 'edge', 'mizar', 'packs', 'demo') };

const together = [
  'STAR_MODELS and STAR_PORTRAITS belong together: a pack knows either drawn faces or real ones. Set both, or neither for drawn people:',
  '  STAR_MODELS=<folder>     a model pack for real faces',
  '  STAR_PORTRAITS=<folder>  photos named like anna-a.jpg, anna-b.jpg: two of at least 5 people, one of at least 20 others',
].join('\n');

/** Reads STAR_MODELS, STAR_PORTRAITS and STAR_FOOTAGE; without them, what the project brings. Throws what to tell the user when they make no sense. */
export function packAndPeople(env: Readonly<Record<string, string | undefined>>): PackAndPeople {
  const { STAR_MODELS: models, STAR_PORTRAITS: portraits, STAR_FOOTAGE } = env;
  const shared = STAR_FOOTAGE ? { rendered: resolve(STAR_FOOTAGE) } : {};
  if (!models && !portraits) return { ...own, ...shared };
  if (!models || !portraits) throw new Error(together);
  for (const [name, folder] of Object.entries({ STAR_MODELS: models, STAR_PORTRAITS: portraits })) {
    if (!existsSync(folder)) throw new Error(`${name} names ${folder}, which is not there.`);
  }
  return { models: resolve(models), portraits: resolve(portraits), ...shared };
}
