import type { FileHandle } from 'node:fs/promises';

/** Fills `into` from `offset`; throws when the file ends before. */
export async function readExactly(file: FileHandle, offset: number, into: Uint8Array): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, into.length - done, offset + done);
    if (bytesRead === 0) throw new Error('a file of the face index is shorter than its index says');
    done += bytesRead;
  }
}
