import { existsSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { changePackInUse, type PackInUse, packFolder, packsFolder } from '@dipper/mizar';
import { syncFolder } from '@dipper/platform';
import type { PinnedPack } from './list-packs';
import { modelsErrors } from './models.errors';

export interface RemovePack {
  readonly dataDir: string;
  readonly id: string;
  readonly pinned?: PinnedPack;
  /** Also the one in use, after which the one before is, or none; and that one before. */
  readonly force: boolean;
}

/** Takes a pack away: its name first, in one step, then its files. Throws `pack.not_installed`, `pack.in_use`. */
export async function removePack({ dataDir, id, pinned, force }: RemovePack): Promise<void> {
  const folder = packFolder(dataDir, id);
  if (!existsSync(folder)) throw modelsErrors.notInstalled(id);
  if (!force && pinned && resolve(pinned.folder) === resolve(folder)) throw modelsErrors.inUse(id, 'in use');
  const gone = join(packsFolder(dataDir), `.removing-${process.pid}-${Date.now()}`);
  // One step for whoever switches packs meanwhile: nobody chooses what is going away.
  await changePackInUse(dataDir, (now) => {
    if (!force && now?.id === id) throw modelsErrors.inUse(id, 'in use');
    if (!force && now?.previous === id) throw modelsErrors.inUse(id, 'previous');
    renameSync(folder, gone);
    return without(now, id);
  });
  syncFolder(packsFolder(dataDir));
  rmSync(gone, { recursive: true, force: true });
}

function without(now: PackInUse | undefined, id: string): PackInUse | undefined {
  if (now?.id === id)
    return now.previous === undefined ? undefined : { id: now.previous, chosenAtMs: Math.max(Date.now(), now.chosenAtMs + 1) };
  if (now?.previous !== id) return now;
  const { previous: _, ...rest } = now;
  return rest;
}
