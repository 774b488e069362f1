import { closeSync, constants, existsSync, fstatSync, fsyncSync, mkdirSync, openSync, readSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type CheckOptions, checkPack, MAX_MODEL_BYTES, type PackSpec, packFolder, packsFolder, readPackSpec } from '@dipper/mizar';
import { AgentError, makeFolder, syncFolder, writeDurably } from '@dipper/platform';
import { modelsErrors } from './models.errors';

const CHUNK_BYTES = 1024 * 1024;
/** Kept beside the models where they are there: a licence usually has to travel with what it covers. */
const PAPERS = ['LICENSE', 'LICENSE.txt', 'LICENSE.md', 'LICENCE', 'NOTICE', 'README.md'];
const MAX_PAPER_BYTES = 1024 * 1024;

export interface Placed {
  readonly spec: PackSpec;
  /** The very same pack was there before. */
  readonly alreadyInstalled: boolean;
}

/**
 * Installs a pack from a folder that somebody else may write to: what it needs is copied beside the installed ones,
 * synced, checked there as Mizar checks it, and gets its name only then. Whoever looks sees the whole pack or none, also
 * after a kill or a power cut. A pack is never changed: the same id with another content is `pack.already_installed`.
 */
export async function placePack(dataDir: string, from: string, allow: (spec: PackSpec) => void, check: CheckOptions): Promise<Placed> {
  const spec = await readPackSpec(from);
  const folder = packFolder(dataDir, spec.id);
  allow(spec);
  if (existsSync(folder)) {
    if (!(await isSamePack(folder, spec))) throw modelsErrors.alreadyInstalled(spec.id);
    // Whoever placed it may have been killed before its name was there to stay.
    syncFolder(packsFolder(dataDir));
    return { spec, alreadyInstalled: true };
  }
  const beside = join(packsFolder(dataDir), `.adding-${process.pid}-${Date.now()}`);
  mkdirSync(beside, { mode: 0o700 });
  writeDurably(join(beside, 'pack.json'), `${JSON.stringify(spec, null, 2)}\n`, 'wx');
  for (const part of ['detector', 'embedder'] as const)
    copyDurably(join(from, spec[part].file), join(beside, spec[part].file), MAX_MODEL_BYTES, `${part}.file`);
  for (const name of PAPERS) {
    if (name === spec.detector.file || name === spec.embedder.file || !existsSync(join(from, name))) continue;
    copyDurably(join(from, name), join(beside, name), MAX_PAPER_BYTES, name);
  }
  syncFolder(beside);
  await checkPack(beside, check);
  renameSync(beside, folder);
  syncFolder(packsFolder(dataDir));
  return { spec, alreadyInstalled: false };
}

/** The folder of the packs, there to stay. */
export function makePacksFolder(dataDir: string): string {
  makeFolder(packsFolder(dataDir), 0o700);
  return packsFolder(dataDir);
}

async function isSamePack(folder: string, spec: PackSpec): Promise<boolean> {
  try {
    return isDeepStrictEqual(await readPackSpec(folder), spec);
  } catch (error) {
    if (error instanceof AgentError) return false;
    throw error;
  }
}

/** A link is not followed, and a pipe or device not read: it may lead anywhere and last for ever. */
function copyDurably(from: string, to: string, maxBytes: number, field: string): void {
  let source: number;
  try {
    source = openSync(from, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code === 'ENOENT'
      ? new AgentError('pack.file_missing', 'not_found', { field }, error)
      : new AgentError('pack.invalid', 'unprocessable', { field }, error);
  }
  try {
    const found = fstatSync(source);
    if (!found.isFile() || found.size > maxBytes) throw new AgentError('pack.invalid', 'unprocessable', { field });
    // Two parts of one name, or one that is called as the description: no pack of ours.
    if (existsSync(to)) throw new AgentError('pack.invalid', 'unprocessable', { field });
    const target = openSync(to, 'wx', 0o600);
    try {
      const buffer = Buffer.alloc(CHUNK_BYTES);
      for (let total = 0, read = 0; ; total += read) {
        read = readSync(source, buffer);
        if (read === 0) break;
        if (total + read > maxBytes) throw new AgentError('pack.invalid', 'unprocessable', { field });
        for (let at = 0; at < read; ) at += writeSync(target, buffer, at, read - at);
      }
      fsyncSync(target);
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(source);
  }
}
