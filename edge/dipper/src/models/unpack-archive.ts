import { closeSync, createReadStream, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { MAX_MODEL_BYTES } from '@dipper/mizar';
import { Parser, type ReadEntry } from 'tar';
import { type ArchiveFault, modelsErrors } from './models.errors';

export interface ArchiveLimits {
  readonly fileBytes: number;
  /** Of everything, whether it is kept or not. */
  readonly totalBytes: number;
  readonly entries: number;
}

/** Two models, and room for what else a folder holds. */
export const usualLimits: ArchiveLimits = {
  fileBytes: MAX_MODEL_BYTES,
  totalBytes: 2 * MAX_MODEL_BYTES + 64 * 1024 * 1024,
  entries: 10_000,
};
/** tar pads an archive to 10 KiB; much more behind its end is there to fill memory or time. */
const PADDING_BYTES = 1024 * 1024;
const plainName = /^[\w][\w.-]{0,127}$/;
const files: readonly string[] = ['File', 'OldFile', 'ContiguousFile'];

/**
 * Unpacks the plain files at the top of a .tar.gz, or in folders at its top, into a folder of ours; what lies deeper
 * belongs to no pack. Nothing is written outside `folder`, whatever the archive says: an archive with a link, a device,
 * a path that leaves it, or more than the limits is refused whole, with `pack.archive_invalid`.
 */
export async function unpackArchive(archive: string, folder: string, limits: ArchiveLimits = usualLimits): Promise<void> {
  if (!isGzip(archive)) throw modelsErrors.archiveInvalid('not_gzip');
  const unpacking = new Unpacking(folder, limits);
  try {
    await pipeline(createReadStream(archive), createGunzip(), async (tar: AsyncIterable<Buffer>) => {
      for await (const chunk of tar) unpacking.take(chunk);
      unpacking.end();
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'Z_BUF_ERROR') throw modelsErrors.archiveInvalid('truncated', undefined, error);
    if (code?.startsWith('Z_')) throw modelsErrors.archiveInvalid('corrupt', undefined, error);
    throw error;
  } finally {
    unpacking.close();
  }
}

/** All of it is synchronous: no entry is begun before the one before is written. */
class Unpacking {
  private readonly parser = new Parser({ strict: true });
  private readonly seen = new Set<string>();
  private bytes = 0;
  private behindEnd = 0;
  private ended = false;
  private fault: unknown;
  private file: number | undefined;

  constructor(
    private readonly folder: string,
    private readonly limits: ArchiveLimits,
  ) {
    this.parser.on('entry', (entry: ReadEntry) => this.enter(entry));
    // Of a kind it does not know, or with a name of megabytes.
    this.parser.on('ignoredEntry', (entry: ReadEntry) => this.refuse('special', entry.path));
    this.parser.on('eof', () => {
      this.ended = true;
    });
    this.parser.on('error', (error: Error) => {
      this.fault ??= modelsErrors.archiveInvalid(/Truncated/.test(error.message) ? 'truncated' : 'corrupt', undefined, error);
    });
  }

  take(chunk: Buffer): void {
    // The parser would unpack what is packed twice, beyond every limit.
    if (this.bytes === 0 && chunk[0] === 0x1f && chunk[1] === 0x8b) this.refuse('corrupt');
    this.bytes += chunk.length;
    if (this.bytes > this.limits.totalBytes) this.refuse('too_large');
    if (this.ended) this.behindEnd += chunk.length;
    if (this.behindEnd > PADDING_BYTES) this.refuse('too_large');
    // It keeps in memory whatever comes behind the end.
    if (!this.ended && !this.fault) this.parser.write(chunk);
    if (this.fault) throw this.fault;
  }

  end(): void {
    this.parser.end();
    // Cut off between two entries it looks whole but for its end.
    if (!this.ended) this.refuse('truncated');
    if (this.fault) throw this.fault;
  }

  close(): void {
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
  }

  private enter(entry: ReadEntry): void {
    const path = entry.path.replace(/^(\.\/)+/, '').replace(/\/+$/, '');
    const parts = path === '' || path === '.' ? [] : path.split('/');
    const inside =
      !path.startsWith('/') && !path.includes('\\') && !path.includes('\0') && !parts.some((p) => p === '..' || p === '.' || p === '');
    if (/Link$/.test(entry.type)) this.refuse('link', entry.path);
    else if (entry.type !== 'Directory' && !files.includes(entry.type)) this.refuse('special', entry.path);
    else if (!inside) this.refuse('path', entry.path);
    else if (entry.size > this.limits.fileBytes) this.refuse('too_large', entry.path);
    else if (this.seen.size >= this.limits.entries) this.refuse('too_many');
    else if (this.seen.has(path)) this.refuse('duplicate', entry.path);
    this.seen.add(path);
    const kept = !this.fault && entry.type !== 'Directory' && parts.length <= 2 && parts.every((part) => plainName.test(part));
    try {
      if (kept) this.keep(entry, join(this.folder, ...parts));
      else entry.resume();
    } catch (error) {
      // A file where a folder was, or the other way round.
      const clash = ['EEXIST', 'ENOTDIR', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
      this.fault ??= clash ? modelsErrors.archiveInvalid('duplicate', entry.path, error) : error;
      entry.resume();
    }
  }

  private keep(entry: ReadEntry, path: string): void {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const file = openSync(path, 'wx', 0o600);
    this.file = file;
    entry.on('data', (chunk: Buffer) => {
      try {
        for (let at = 0; at < chunk.length; ) at += writeSync(file, chunk, at);
      } catch (error) {
        this.fault ??= error;
      }
    });
    entry.on('end', () => this.close());
  }

  private refuse(reason: ArchiveFault, entry?: string): void {
    this.fault ??= modelsErrors.archiveInvalid(reason, entry);
  }
}

function isGzip(path: string): boolean {
  const file = openSync(path, 'r');
  try {
    const start = Buffer.alloc(2);
    return readSync(file, start) === 2 && start[0] === 0x1f && start[1] === 0x8b;
  } finally {
    closeSync(file);
  }
}
