import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Writes `parts` at `offset` and returns once they are on disk. Whatever lay beyond `offset` was never committed and
 * is overwritten; the directory entry of a new file is synced too.
 */
export async function appendDurably(path: string, offset: number, parts: readonly Uint8Array[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    const isNew = (await file.stat()).size === 0;
    let at = offset;
    for (const part of parts) at += await writeAll(file, part, at);
    await file.datasync();
    if (isNew) await syncDirectory(dirname(path));
  } finally {
    await file.close();
  }
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
