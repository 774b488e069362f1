import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { mizarErrors } from '../mizar.errors';
import { knownPacks } from './known-files';
import { type LoadedPack, type PackSpec, packSpec } from './pack';

/** Larger than any model a box without a GPU could run. */
const MAX_MODEL_BYTES = 512 * 1024 * 1024;

/**
 * Reads a pack's folder: by its pack.json, or, without one, by recognising known files.
 * Throws `pack.invalid`, `pack.file_missing` or `pack.hash_mismatch`, naming the field at fault.
 */
export async function loadPack(folder: string): Promise<LoadedPack> {
  const spec = await readSpec(folder);
  return {
    spec,
    detectorModel: await readModel(folder, 'detector', spec.detector),
    embedderModel: await readModel(folder, 'embedder', spec.embedder),
  };
}

async function readSpec(folder: string): Promise<PackSpec> {
  const path = join(folder, 'pack.json');
  if (!existsSync(path)) {
    const known = knownPacks.find((p) => [p.detector, p.embedder].every((m) => existsSync(join(folder, m.file))));
    if (!known) throw mizarErrors.packFileMissing('pack.json');
    return known;
  }
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw mizarErrors.packInvalid('pack.json', error);
  }
  const parsed = packSpec.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
  throw mizarErrors.packInvalid([...(issue?.path ?? []), ...unknown].join('.') || 'pack.json', parsed.error);
}

async function readModel(
  folder: string,
  part: 'detector' | 'embedder',
  model: { file: string; sha256: string },
): Promise<SharedArrayBuffer> {
  const path = join(folder, model.file);
  let bytes: Buffer;
  try {
    if ((await stat(path)).size > MAX_MODEL_BYTES) throw mizarErrors.packInvalid(`${part}.file`);
    bytes = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code) throw mizarErrors.packFileMissing(`${part}.file`, error);
    throw error;
  }
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found !== model.sha256) throw mizarErrors.packHashMismatch(`${part}.sha256`, model.sha256, found);
  const shared = new SharedArrayBuffer(bytes.length);
  new Uint8Array(shared).set(bytes);
  return shared;
}
