/** With which model pack, and whose faces, an installation is shown: the project's own drawn ones, or what the environment names. */

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

export interface PackAndPeople {
  /** Folder of a model pack. */
  readonly models: string;
  /** Folder of photos; drawn people without it. */
  readonly portraits?: string;
}

/** The project's own pack; its drawn people appear when it is named without portraits. */
const ownPack = join(import.meta.dirname, '..', '..', 'edge', 'mizar', 'packs', 'demo');

const whatToSet = [
  '  STAR_MODELS=<folder>     a model pack for real faces',
  '  STAR_PORTRAITS=<folder>  photos named like anna-a.jpg, anna-b.jpg: two of at least 5 people, one of at least 20 others',
];

/** Reads STAR_MODELS and STAR_PORTRAITS. Throws what to tell the user when there is nothing to show. */
export function packAndPeople(env: Readonly<Record<string, string | undefined>>): PackAndPeople {
  const { STAR_MODELS: models, STAR_PORTRAITS: portraits } = env;
  if (!models && !portraits) throw new Error(['A model pack and photos of people are needed. Name two folders:', ...whatToSet].join('\n'));
  // Not yet the default: of the twenty scheduled sightings it may miss one.
  if (models && !portraits && resolve(models) === ownPack) return { models: ownPack };
  if (!models || !portraits)
    throw new Error(
      ['STAR_MODELS and STAR_PORTRAITS belong together: a pack knows either drawn faces or real ones. Set both:', ...whatToSet].join('\n'),
    );
  for (const [name, folder] of Object.entries({ STAR_MODELS: models, STAR_PORTRAITS: portraits })) {
    if (!existsSync(folder)) throw new Error(`${name} names ${folder}, which is not there.`);
  }
  return { models, portraits };
}

/** Undefined when there is nothing to show. */
export function packAndPeopleIfAny(env: Readonly<Record<string, string | undefined>>): PackAndPeople | undefined {
  try {
    return packAndPeople(env);
  } catch {
    return undefined;
  }
}
