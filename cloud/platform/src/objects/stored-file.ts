import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { objectErrors } from './objects';
import { plainBytes, unseal } from './sealed-file';

/**
 * One file per object: a head of 256 bytes (JSON with the content type and the salt of its key, padded), then the bytes,
 * sealed unless its folder is not. In one file, because two (data and description) cannot be replaced in one step.
 */
export const headBytes = 256;

export interface Head {
  readonly contentType: string;
  /** base64url; absent in a file that is not sealed, as all were before there were keys. */
  readonly salt?: string;
}

export interface OpenObject {
  readonly sizeBytes: number;
  readonly contentType: string;
  readonly modifiedAtMs: number;
  /** Bytes from `start` up to and including `end`; closes the file when it ends or is destroyed. */
  read(start?: number, end?: number): Readable;
  /** At most `bytes` bytes from `start`; the file stays open. */
  readRange(start: number, bytes: number): Promise<Buffer>;
  close(): Promise<void>;
}

export interface FoundFile {
  readonly file: FileHandle;
  readonly head: Head;
  /** Without the head. */
  readonly storedBytes: number;
  readonly modifiedAtMs: number;
}

/** Undefined where there is none. The caller closes it. */
export async function openFile(path: string): Promise<FoundFile | undefined> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (!file) return undefined;
  try {
    const { size, mtimeMs } = await file.stat();
    const head = Buffer.alloc(headBytes);
    await file.read(head, 0, headBytes, 0);
    return { file, head: JSON.parse(head.toString()) as Head, storedBytes: size - headBytes, modifiedAtMs: Math.floor(mtimeMs) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Of the object in it; of one that was cut off, something. */
export const plainSize = ({ head, storedBytes }: FoundFile) =>
  head.salt === undefined ? storedBytes : Math.max(0, plainBytes(storedBytes));

/** `keyFor` is asked for a sealed one only. */
export async function openObject(path: string, keyFor: (salt: Buffer) => Promise<Buffer>): Promise<OpenObject | undefined> {
  const found = await openFile(path);
  if (!found) return undefined;
  const { file, head, storedBytes, modifiedAtMs } = found;
  try {
    const { contentType, salt } = head;
    const bytes =
      salt === undefined ? plainFile(file, storedBytes) : sealedFile(file, storedBytes, await keyFor(Buffer.from(salt, 'base64url')));
    return { contentType, modifiedAtMs, ...bytes, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

type Bytes = Pick<OpenObject, 'sizeBytes' | 'read' | 'readRange'>;

export function plainFile(file: FileHandle, sizeBytes: number): Bytes {
  return {
    sizeBytes,
    read: (start = 0, end = sizeBytes - 1) => {
      if (end >= start) return file.createReadStream({ start: headBytes + start, end: headBytes + end, highWaterMark: 256 * 1024 });
      // Node refuses an empty range, and an empty object has no other.
      void file.close();
      return Readable.from([]);
    },
    readRange: (start, bytes) => readExactly(file, headBytes + start, Math.max(0, Math.min(bytes, sizeBytes - start))),
  };
}

function sealedFile(file: FileHandle, stored: number, key: Buffer): Bytes {
  const sizeBytes = plainBytes(stored);
  // Every sealed file has at least the tag of its last block.
  if (sizeBytes < 0) throw objectErrors.error('object.incomplete');
  const part = (start: number, end: number) =>
    unseal(key, stored, (position, bytes) => readExactly(file, headBytes + position, bytes), start, end);
  return {
    sizeBytes,
    read: (start = 0, end = sizeBytes - 1) => Readable.from(part(start, end), { objectMode: false }).once('close', () => void file.close()),
    readRange: async (start, bytes) => {
      const end = Math.min(start + bytes, sizeBytes) - 1;
      if (end < start) return Buffer.alloc(0);
      const parts: Buffer[] = [];
      for await (const each of part(start, end)) parts.push(each);
      return Buffer.concat(parts);
    },
  };
}

async function readExactly(file: FileHandle, position: number, bytes: number): Promise<Buffer> {
  const range = Buffer.alloc(bytes);
  for (let done = 0; done < bytes; ) {
    const { bytesRead } = await file.read(range, done, bytes - done, position + done);
    if (bytesRead === 0) throw objectErrors.error('object.incomplete');
    done += bytesRead;
  }
  return range;
}
