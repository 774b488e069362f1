import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { lockAgent, makeFolder, replaceDurably, syncFolder } from '@dipper/platform';
import { z } from 'zod';
import { mizarErrors } from '../mizar.errors';

/**
 * An installed pack is the folder of its id. Names with a dot in front are of packs that are being added or removed, and
 * the file that says which one is in use lies beside them.
 */
const installedId = z.string().regex(/^(?!\.)(?!in-use\.json$)[\w.:-]{1,64}$/);

/** Which of the installed packs the box works with: `<data>/packs/in-use.json`. */
const packInUse = z.strictObject({
  id: installedId,
  /** The last one that Mizar worked with before; what it goes back to. */
  previous: installedId.optional(),
  /** Makes a choice one of its own, also of the same pack again. */
  chosenAtMs: z.int().nonnegative(),
  /** Mizar has started with it. */
  works: z.literal(true).optional(),
  /** Starts since it was chosen, until one succeeds. */
  attempts: z.int().positive().optional(),
  /** The pack that Mizar could not start with and went back from, and why. */
  refused: z.strictObject({ id: installedId, code: z.string(), params: z.record(z.string(), z.unknown()) }).optional(),
});
export type PackInUse = z.infer<typeof packInUse>;

export const packsFolder = (dataDir: string): string => join(dataDir, 'packs');

/** Throws `pack.invalid` for an id that cannot name a folder among the packs. */
export function packFolder(dataDir: string, id: string): string {
  if (!installedId.safeParse(id).success) throw mizarErrors.packInvalid('id');
  return join(packsFolder(dataDir), id);
}

/** Undefined when none was ever chosen. Throws `pack.invalid` (field in-use.json) for a file that is not ours. */
export function readPackInUse(dataDir: string): PackInUse | undefined {
  let text: string;
  try {
    text = readFileSync(join(packsFolder(dataDir), 'in-use.json'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw mizarErrors.packInvalid('in-use.json', error);
  }
  try {
    return packInUse.parse(JSON.parse(text));
  } catch (error) {
    throw mizarErrors.packInvalid('in-use.json', error);
  }
}

export const isSameChoice = (a: PackInUse | undefined, b: PackInUse | undefined): boolean =>
  a?.id === b?.id && a?.chosenAtMs === b?.chosenAtMs;

const waitMs = 10_000;

/**
 * Makes a new choice of the one before, alone: Mizar and whoever switches packs write the same file. On disk to stay when
 * it resolves; a kill or a power cut leaves the old choice or the new one. `change` may answer what it was given, which
 * changes nothing, or undefined, after which none is in use.
 */
export async function changePackInUse(
  dataDir: string,
  change: (now: PackInUse | undefined) => PackInUse | undefined,
): Promise<PackInUse | undefined> {
  const unlock = await lockAgent(dataDir, 'packs', waitMs);
  try {
    const now = readUnlessBroken(dataDir);
    const next = change(now);
    if (next !== now) write(dataDir, next);
    // Whoever wrote it may have been killed before it was there to stay.
    else if (now) syncFolder(packsFolder(dataDir));
    return next;
  } finally {
    unlock();
  }
}

/** One that cannot be read is replaced by the next choice. */
function readUnlessBroken(dataDir: string): PackInUse | undefined {
  try {
    return readPackInUse(dataDir);
  } catch {
    return undefined;
  }
}

function write(dataDir: string, next: PackInUse | undefined): void {
  const folder = packsFolder(dataDir);
  const path = join(folder, 'in-use.json');
  makeFolder(folder, 0o700);
  if (next) {
    replaceDurably(path, `${JSON.stringify(packInUse.parse(next))}\n`, join(folder, '.in-use.next'));
    return;
  }
  rmSync(path, { force: true });
  syncFolder(folder);
}
