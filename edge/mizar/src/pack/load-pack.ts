import { createHash } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError } from '@dipper/platform';
import { mizarErrors } from '../mizar.errors';
import { knownPacks } from './known-files';
import { type LoadedPack, type PackSpec, packSpec } from './pack';

/** Larger than any model a box without a GPU could run. */
export const MAX_MODEL_BYTES = 512 * 1024 * 1024;
/** A hundred times what a description takes. */
export const MAX_PACK_JSON_BYTES = 256 * 1024;

/**
 * Reads a pack's folder: by its pack.json, or, without one, by recognising known files.
 * Throws `pack.invalid`, `pack.file_missing` or `pack.hash_mismatch`, naming the field at fault.
 */
export async function loadPack(folder: string): Promise<LoadedPack> {
  const spec = await readPackSpec(folder);
  return {
    spec,
    detectorModel: await readModel(folder, 'detector', spec.detector),
    embedderModel: await readModel(folder, 'embedder', spec.embedder),
  };
}

/** What the folder says of itself; its models are not looked at. Throws `pack.invalid` or `pack.file_missing`. */
export async function readPackSpec(folder: string): Promise<PackSpec> {
  const path = join(folder, 'pack.json');
  if (!existsSync(path)) {
    const known = knownPacks.find((p) => [p.detector, p.embedder].every((m) => existsSync(join(folder, m.file))));
    if (!known) throw mizarErrors.packFileMissing('pack.json');
    return known;
  }
  return parsePackSpec((await readLimited(path, MAX_PACK_JSON_BYTES, 'pack.json')).toString());
}

function parsePackSpec(text: string): PackSpec {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw mizarErrors.packInvalid('pack.json', error);
  }
  const parsed = packSpec.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
  const field = [...(issue?.path ?? []), ...unknown].join('.');
  // A key may be as long as the file; the code goes into health and logs.
  throw mizarErrors.packInvalid(field.slice(0, 128) || 'pack.json', parsed.error);
}

async function readModel(
  folder: string,
  part: 'detector' | 'embedder',
  model: { file: string; sha256: string },
): Promise<SharedArrayBuffer> {
  const bytes = await readLimited(join(folder, model.file), MAX_MODEL_BYTES, `${part}.file`);
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found !== model.sha256) throw mizarErrors.packHashMismatch(`${part}.sha256`, model.sha256, found);
  const shared = new SharedArrayBuffer(bytes.length);
  new Uint8Array(shared).set(bytes);
  return shared;
}

/** The whole of a plain file; one that is a pipe or a device is refused and not waited for. */
async function readLimited(path: string, limit: number, field: string): Promise<Buffer> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = await file.stat();
    if (!found.isFile() || found.size > limit) throw mizarErrors.packInvalid(field);
    return await file.readFile();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code && !(error instanceof AgentError)) throw mizarErrors.packFileMissing(field, error);
    throw error;
  } finally {
    await file?.close();
  }
}
