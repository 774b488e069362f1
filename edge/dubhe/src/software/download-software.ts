import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, syncFolder } from '@dipper/platform';
import { dubheErrors } from '../dubhe.errors';
import type { StarSession } from '../star-session';
import type { SoftwareTarget } from './wanted-software';

/** Half of what one message may carry: on a line of 1 Mbit/s, a command waits a quarter of a second behind it. */
export const chunkBytes = 32_768;
/** Chunks asked for and not here yet: while one is on its way to disk, the next is on its way here. */
const window = 2;
/** While there are reports or commands, one chunk in so long: slow, but a box that is always at work gets there, too. */
const pauseMs = 250;
/** What has been received is put on disk to stay, and remembered, this often. */
const keepEveryBytes = 1_048_576;

export interface DownloadOptions {
  readonly path: string;
  readonly target: SoftwareTarget;
  /** On disk to stay already. */
  readonly receivedBytes: number;
  readonly session: Pick<StarSession, 'requestChunk'>;
  readonly requestId: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Whether there is anything else for the line to carry. */
  readonly busy: () => boolean;
  /** So many bytes are on disk to stay. */
  readonly kept: (bytes: number) => void;
  /** A chunk came. */
  readonly progressed: () => void;
}

/**
 * Fetches what is missing of a package, in order. On disk to stay when it returns. Throws what `requestChunk` throws,
 * `software.size_wrong`, and what the disk says; what was kept until then is there for the next time.
 */
export async function downloadSoftware(options: DownloadOptions, signal: AbortSignal): Promise<void> {
  const { path, target, receivedBytes, kept } = options;
  const file = await openToResume(path);
  try {
    const { size } = await file.stat();
    // Only whole chunks: the next one is asked for by its number.
    const start = Math.floor(Math.min(receivedBytes, size) / chunkBytes) * chunkBytes;
    if (size > start) await file.truncate(start);
    let written = start;
    let keptBytes = start;
    const keep = async () => {
      if (written === keptBytes) return;
      await file.datasync();
      keptBytes = written;
      kept(written);
    };
    try {
      for await (const chunk of chunks(options, start / chunkBytes, signal)) {
        await writeAll(file, chunk, written);
        written += chunk.length;
        if (written - keptBytes >= keepEveryBytes) await keep();
      }
    } finally {
      // Also when the line broke: what came is not asked for again.
      await keep();
    }
    signal.throwIfAborted();
    if (written !== target.sizeBytes) throw dubheErrors.softwareSize(target.sizeBytes, written);
    await file.sync();
  } finally {
    await file.close();
  }
  syncFolder(dirname(path));
}

async function openToResume(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return open(path, 'w+', 0o600);
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}

/** From chunk `first` to the last, in order, with a few on their way. */
async function* chunks(options: DownloadOptions, first: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  const { target, session, requestId, timeoutMs, clock, busy, progressed } = options;
  const count = Math.ceil(target.sizeBytes / chunkBytes);
  const flight: Promise<Buffer>[] = [];
  let next = first;
  for (let index = first; index < count; index++) {
    while (next < count && flight.length < (busy() ? 1 : window)) {
      if (busy()) await clock.sleep(pauseMs, signal);
      if (signal.aborted) return;
      const asked = session.requestChunk(requestId, next++, chunkBytes, timeoutMs, signal);
      // Whoever waits for it hears of it; a second one that fails with the first must not end the process.
      asked.catch(() => undefined);
      flight.push(asked);
    }
    const chunk = await (flight.shift() as Promise<Buffer>);
    progressed();
    const expected = Math.min(chunkBytes, target.sizeBytes - index * chunkBytes);
    if (chunk.length !== expected) throw dubheErrors.softwareSize(target.sizeBytes, index * chunkBytes + chunk.length);
    yield chunk;
  }
}
