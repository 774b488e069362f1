import { randomBytes, randomUUID } from 'node:crypto';
import { access, type FileHandle, mkdir, open, opendir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { type ListedObject, objectErrors } from './objects';
import { fileKey, plainBytes, Sealer } from './sealed-file';
import { type Head, headBytes, type OpenObject, openFile, openObject, plainFile, plainSize } from './stored-file';

/** Lets `a` and `a/b` both exist. */
const ending = '.object';

/** An upload that was cut off is left in `incoming` for at most this long. */
const staleAfterMs = 3_600_000;

export interface ObjectFiles {
  write(key: string, body: Buffer | Readable, contentType: string, limits: { maxBytes: number; exactBytes?: number }): Promise<void>;
  /** Throws `tenant.erased` for a sealed one. */
  open(key: string): Promise<OpenObject | undefined>;
  /** What is known without a key. */
  describe(key: string): Promise<{ sizeBytes: number; contentType: string } | undefined>;
  delete(key: string): Promise<void>;
  /** Everything below this part of keys. */
  list(prefix: string): AsyncIterable<ListedObject>;
  /** Everything whose key begins with this part. */
  deleteUnder(prefix: string): Promise<number>;
  /** Seals what lies there unsealed from before there were keys, and answers how many. Nothing may be written or deleted meanwhile. */
  sealOld(): Promise<number>;
}

export interface ObjectSealing {
  /** The key of the tenant an object belongs to. Throws `tenant.erased`. */
  readonly keyOf: (tenantId: string) => Promise<Buffer>;
  /** What lies in these folders of a tenant is not sealed: it is no person's. Of every other folder it is. */
  readonly unsealedFolders?: readonly string[];
}

/** Without `sealing` files are not sealed, and sealed ones cannot be read. */
export async function openObjectFiles(folder: string, sealing?: ObjectSealing): Promise<ObjectFiles> {
  const incoming = join(folder, 'incoming');
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  await removeStale(incoming);
  const stored = join(folder, 'stored');
  const pathOf = (key: string) => join(stored, `${key}${ending}`);
  const keyFor = async (key: string, salt: Buffer): Promise<Buffer> => {
    if (!sealing) throw new Error('the object is sealed and there are no keys');
    return fileKey(await sealing.keyOf(tenantOf(key)), salt, key);
  };
  const isSealed = (key: string) => sealing !== undefined && !sealing.unsealedFolders?.includes(key.split('/')[1] ?? '');

  const write: ObjectFiles['write'] = async (key, body, contentType, limits) => {
    const aside = join(incoming, randomUUID());
    const salt = isSealed(key) ? randomBytes(16) : undefined;
    const sealer = salt && new Sealer(await keyFor(key, salt));
    try {
      await writeWhole(aside, body, { contentType, ...(salt && { salt: salt.toString('base64url') }) }, sealer, limits);
      const path = pathOf(key);
      const made = await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await rename(aside, path);
      await syncFolders(dirname(path), made === undefined ? dirname(path) : dirname(made));
    } catch (error) {
      await rm(aside, { force: true });
      throw error;
    }
  };
  const remove = async (key: string) => {
    const path = pathOf(key);
    if (await removed(path)) await syncFolders(dirname(path), dirname(path));
  };
  const sealOne = async (key: string): Promise<number> => {
    const found = await openFile(pathOf(key));
    if (!found) return 0;
    const { file, head, storedBytes } = found;
    if (head.salt !== undefined) {
      await file.close();
      return 0;
    }
    const plain = plainFile(file, storedBytes).read();
    try {
      await write(key, plain, head.contentType, { maxBytes: storedBytes, exactBytes: storedBytes });
    } catch (error) {
      if ((error as { code?: string }).code !== 'tenant.erased') throw error;
      await remove(key);
    } finally {
      plain.destroy();
    }
    return 1;
  };
  return {
    write,
    open: (key) => openObject(pathOf(key), (salt) => keyFor(key, salt)),
    describe: async (key) => {
      const found = await openFile(pathOf(key));
      await found?.file.close();
      return found && { sizeBytes: plainSize(found), contentType: found.head.contentType };
    },
    delete: remove,
    sealOld: async () => {
      // There once it was done: a later start need not look at every file again.
      const done = join(folder, 'all-sealed');
      if (await there(done)) return 0;
      let sealed = 0;
      for await (const { key } of filesUnder(stored, '')) if (isSealed(key)) sealed += await sealOne(key);
      await writeFile(done, '', { mode: 0o600, flush: true });
      return sealed;
    },
    list: async function* (prefix) {
      for await (const { key, fileBytes, changedAt } of filesUnder(join(stored, prefix), `${prefix}/`)) {
        const bytes = fileBytes - headBytes;
        yield { key, sizeBytes: isSealed(key) ? plainBytes(bytes) : bytes, putAt: changedAt };
      }
    },
    deleteUnder: async (prefix) => {
      const path = join(stored, prefix);
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

const tenantOf = (key: string) => key.slice(0, key.indexOf('/'));

const unlessGone = (error: NodeJS.ErrnoException) => {
  if (error.code === 'ENOENT') return undefined;
  throw error;
};

interface StoredFile {
  readonly key: string;
  readonly fileBytes: number;
  readonly changedAt: Date;
}

/** Files of objects below a folder, whose keys begin with `prefix`. */
async function* filesUnder(path: string, prefix: string): AsyncGenerator<StoredFile> {
  const folder = await opendir(path).catch(unlessGone);
  if (!folder) return;
  for await (const { name } of folder) {
    const file = await stat(join(path, name)).catch(unlessGone);
    if (file?.isDirectory()) yield* filesUnder(join(path, name), `${prefix}${name}/`);
    else if (file && name.endsWith(ending))
      yield { key: `${prefix}${name.slice(0, -ending.length)}`, fileBytes: file.size, changedAt: file.mtime };
  }
}

const there = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

async function writeWhole(
  path: string,
  body: Buffer | Readable,
  description: Head,
  sealer: Sealer | undefined,
  limits: { maxBytes: number; exactBytes?: number },
) {
  const file = await open(path, 'wx', 0o600);
  try {
    const head = Buffer.alloc(headBytes, ' ');
    head.write(JSON.stringify(description));
    head[headBytes - 1] = 0x0a;
    await file.write(head);
    let written = 0;
    for await (const chunk of Buffer.isBuffer(body) ? [body] : body) {
      const bytes = chunk as Buffer;
      written += bytes.length;
      if (written > limits.maxBytes) throw objectErrors.error('object.too_large', { maxBytes: limits.maxBytes });
      // In one piece: every write is a turn of the thread pool.
      await writeAll(file, sealer ? Buffer.concat(sealer.add(bytes)) : bytes);
    }
    if (sealer) await writeAll(file, sealer.end());
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
