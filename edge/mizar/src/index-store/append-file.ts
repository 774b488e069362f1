import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Writes `parts` at `offset` and returns once they are on disk. Whatever lay beyond `offset` was never committed and
 * is overwritten. At offset 0 the names of the file and of its folder are synced too: whether the file is there already
 * does not tell, since an earlier write may have made it and failed before it came to that.
 */
export async function appendDurably(path: string, offset: number, parts: readonly Uint8Array[]): Promise<void> {
  const folder = dirname(path);
  if (offset === 0) await mkdir(folder, { recursive: true });
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    let at = offset;
    for (const part of parts) at += await writeAll(file, part, at);
    await file.datasync();
  } finally {
    await file.close();
  }
  if (offset > 0) return;
  await syncDirectory(folder);
  await syncDirectory(dirname(folder));
}

async function writeAll(file: FileHandle, part: Uint8Array, at: number): Promise<number> {
  for (let done = 0; done < part.length; ) {
    done += (await file.write(part, done, part.length - done, at + done)).bytesWritten;
  }
  return part.length;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
