import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, opendir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { type ListedObject, objectErrors } from './objects';

/**
 * One file per object: a head of 256 bytes (JSON with the content type, padded), then the bytes. In one file, because
 * two (data and description) cannot be replaced in one step. The ending `.object` lets `a` and `a/b` both exist.
 */
const headBytes = 256;
const ending = '.object';

/** An upload that was cut off is left in `incoming` for at most this long. */
const staleAfterMs = 3_600_000;

export interface ObjectFiles {
  write(key: string, body: Buffer | Readable, contentType: string, limits: { maxBytes: number; exactBytes?: number }): Promise<void>;
  open(key: string): Promise<OpenObject | undefined>;
  delete(key: string): Promise<void>;
  /** Everything below this part of keys. */
  list(prefix: string): AsyncIterable<ListedObject>;
  /** Everything whose key begins with this part. */
  deleteUnder(prefix: string): Promise<number>;
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

export async function openObjectFiles(folder: string): Promise<ObjectFiles> {
  const incoming = join(folder, 'incoming');
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  await removeStale(incoming);
  const pathOf = (key: string) => join(folder, 'stored', `${key}${ending}`);
  return {
    write: async (key, body, contentType, limits) => {
      const aside = join(incoming, randomUUID());
      try {
        await writeWhole(aside, body, contentType, limits);
        const path = pathOf(key);
        const made = await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        await rename(aside, path);
        await syncFolders(dirname(path), made === undefined ? dirname(path) : dirname(made));
      } catch (error) {
        await rm(aside, { force: true });
        throw error;
      }
    },
    open: (key) => openObject(pathOf(key)),
    delete: async (key) => {
      const path = pathOf(key);
      if (await removed(path)) await syncFolders(dirname(path), dirname(path));
    },
    list: (prefix) => listUnder(join(folder, 'stored', prefix), prefix),
    deleteUnder: async (prefix) => {
      const path = join(folder, 'stored', prefix);
      const found = await readdir(path, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return [];
        throw error;
      });
      await rm(path, { recursive: true, force: true });
      if (found.length > 0) await syncFolders(dirname(path), dirname(path));
      return found.filter((name) => name.endsWith(ending)).length;
    },
  };
}

const unlessGone = (error: NodeJS.ErrnoException) => {
  if (error.code === 'ENOENT') return undefined;
  throw error;
};

async function* listUnder(path: string, prefix: string): AsyncGenerator<ListedObject> {
  const folder = await opendir(path).catch(unlessGone);
  if (!folder) return;
  for await (const { name } of folder) {
    const file = await stat(join(path, name)).catch(unlessGone);
    if (file?.isDirectory()) yield* listUnder(join(path, name), `${prefix}/${name}`);
    else if (file && name.endsWith(ending))
      yield { key: `${prefix}/${name.slice(0, -ending.length)}`, sizeBytes: file.size - headBytes, putAt: file.mtime };
  }
}

async function writeWhole(path: string, body: Buffer | Readable, contentType: string, limits: { maxBytes: number; exactBytes?: number }) {
  const file = await open(path, 'wx', 0o600);
  try {
    const head = Buffer.alloc(headBytes, ' ');
    head.write(JSON.stringify({ contentType }));
    head[headBytes - 1] = 0x0a;
    await file.write(head);
    let written = 0;
    for await (const chunk of Buffer.isBuffer(body) ? [body] : body) {
      const bytes = chunk as Buffer;
      written += bytes.length;
      if (written > limits.maxBytes) throw objectErrors.error('object.too_large', { maxBytes: limits.maxBytes });
      await writeAll(file, bytes);
    }
    if (limits.exactBytes !== undefined && written !== limits.exactBytes) throw objectErrors.error('object.incomplete');
    await file.sync();
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done)).bytesWritten;
}

/** A rename lasts through a power cut only when its folder is synced, and a new folder only when its parent is. */
async function syncFolders(from: string, upTo: string): Promise<void> {
  for (let at = from; ; at = dirname(at)) {
    const folder = await open(at, 'r');
    await folder.sync().finally(() => folder.close());
    if (at === upTo || at === dirname(at)) return;
  }
}

async function openObject(path: string): Promise<OpenObject | undefined> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (!file) return undefined;
  try {
    const { size, mtimeMs } = await file.stat();
    const head = Buffer.alloc(headBytes);
    await file.read(head, 0, headBytes, 0);
    const { contentType } = JSON.parse(head.toString()) as { contentType: string };
    return {
      sizeBytes: size - headBytes,
      contentType,
      modifiedAtMs: Math.floor(mtimeMs),
      read: (start = 0, end = size - headBytes - 1) => {
        if (end >= start) return file.createReadStream({ start: headBytes + start, end: headBytes + end, highWaterMark: 256 * 1024 });
        // Node refuses an empty range, and an empty object has no other.
        void file.close();
        return Readable.from([]);
      },
      readRange: (start, bytes) => readExactly(file, headBytes + start, Math.max(0, Math.min(bytes, size - headBytes - start))),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
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

const removed = (path: string) =>
  rm(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false;
      throw error;
    },
  );

async function removeStale(incoming: string): Promise<void> {
  for (const name of await readdir(incoming)) {
    const path = join(incoming, name);
    const found = await stat(path).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > staleAfterMs) await rm(path, { force: true });
  }
}
