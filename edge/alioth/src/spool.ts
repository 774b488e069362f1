import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { type FileHandle, open, rename, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isDiskFull } from '@dipper/platform';
import { fault } from './recorder.errors';

export interface SpooledFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly durationMs: number;
}

interface Entry extends SpooledFile {
  held: boolean;
  usedAt: number;
}

/** Left free on the disk, so that the databases beside the spool can go on writing. */
const KEEP_FREE_BYTES = 256 * 1024 ** 2;
/** A recorder that gives no size: what a file is taken for until it is larger. */
const GUESS_BYTES = 16 * 1024 ** 2;

/** What a segment is called in the spool: its recorder, channel and exact address. */
export const spoolKey = (recorderId: string, channel: number, uri: string): string =>
  createHash('sha256').update(`${recorderId}\0${channel}\0${uri}`).digest('hex').slice(0, 32);

/**
 * Downloaded files, within a quota. A file is complete or not there: it gets its name, which carries the duration, by
 * a rename after everything is on disk, so a restart needs no other record. Released files stay until room is needed
 * and go oldest first; held ones never go.
 */
export class Spool {
  private readonly entries = new Map<string, Entry>();
  private reserved = 0;
  private stored = 0;
  private evictions = 0;
  private serial = 0;

  constructor(
    private readonly folder: string,
    private readonly quotaBytes: number,
    private readonly now: () => number,
  ) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(folder)) {
      const parts = /^([0-9a-f]{32})\.(\d+)\.ps$/.exec(name);
      const path = join(folder, name);
      const { size, mtimeMs } = statSync(path);
      if (!parts?.[1] || size === 0) {
        rmSync(path, { force: true, recursive: true });
        continue;
      }
      // Nobody can say after a restart who still needs it; whoever does asks again and gets it at once.
      this.entries.set(parts[1], { path, sizeBytes: size, durationMs: Number(parts[2]), held: false, usedAt: mtimeMs });
      this.stored += size;
    }
  }

  get usedBytes(): number {
    return this.stored + this.reserved;
  }
  get evicted(): number {
    return this.evictions;
  }
  get files(): number {
    return this.entries.size;
  }

  /** A complete file, which is held from now on. */
  take(key: string): SpooledFile | undefined {
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    try {
      const at = new Date(this.now());
      utimesSync(entry.path, at, at);
    } catch {
      // Removed by somebody else: it is simply downloaded again.
      this.forget(key, entry);
      return undefined;
    }
    entry.held = true;
    entry.usedAt = this.now();
    return { path: entry.path, sizeBytes: entry.sizeBytes, durationMs: entry.durationMs };
  }

  /** The file may go when room is needed. */
  release(key: string): void {
    const entry = this.entries.get(key);
    if (!entry) return;
    entry.held = false;
    entry.usedAt = this.now();
  }

  /** Opens a file to write into, with room set aside. Throws `spool.full`, which is worth a later try. */
  async begin(key: string, estimateBytes: number): Promise<SpoolWriter> {
    const estimate = estimateBytes > 0 ? estimateBytes : Math.min(GUESS_BYTES, this.quotaBytes);
    const disk = await statfs(this.folder);
    if (disk.bavail * disk.bsize < KEEP_FREE_BYTES + Math.min(estimate, GUESS_BYTES)) throw fault('spool.full', { reason: 'disk' });
    this.reserve(estimate);
    const path = join(this.folder, `${key}.${process.pid}-${++this.serial}.part`);
    try {
      return new SpoolWriter(path, await open(path, 'wx', 0o600), estimate, {
        grow: (bytes) => this.reserve(bytes),
        settle: (reserved) => {
          this.reserved -= reserved;
        },
        keep: async (sizeBytes, durationMs) => this.keep(key, path, sizeBytes, durationMs),
      });
    } catch (error) {
      this.reserved -= estimate;
      throw diskFault(error);
    }
  }

  private reserve(bytes: number): void {
    if (this.usedBytes + bytes > this.quotaBytes) {
      const released = [...this.entries].filter(([, entry]) => !entry.held).sort(([, a], [, b]) => a.usedAt - b.usedAt);
      for (const [key, entry] of released) {
        if (this.usedBytes + bytes <= this.quotaBytes) break;
        rmSync(entry.path, { force: true });
        this.forget(key, entry);
        this.evictions++;
      }
    }
    if (this.usedBytes + bytes > this.quotaBytes) throw fault('spool.full', { reason: 'quota' });
    this.reserved += bytes;
  }

  private async keep(key: string, part: string, sizeBytes: number, durationMs: number): Promise<SpooledFile> {
    const path = join(this.folder, `${key}.${durationMs}.ps`);
    await rename(part, path);
    const folder = await open(this.folder, 'r');
    await folder.sync().finally(() => folder.close());
    this.entries.set(key, { path, sizeBytes, durationMs, held: true, usedAt: this.now() });
    this.stored += sizeBytes;
    return { path, sizeBytes, durationMs };
  }

  private forget(key: string, entry: Entry): void {
    this.entries.delete(key);
    this.stored -= entry.sizeBytes;
  }
}

interface Room {
  grow(bytes: number): void;
  settle(reserved: number): void;
  keep(sizeBytes: number, durationMs: number): Promise<SpooledFile>;
}

const FLUSH_BYTES = 256 * 1024;

/** One file being written. Ends with `finish` or `discard`, whichever comes first. */
export class SpoolWriter {
  sizeBytes = 0;
  private parts: Buffer[] = [];
  private partBytes = 0;
  private open = true;

  constructor(
    readonly path: string,
    private readonly file: FileHandle,
    private reserved: number,
    private readonly room: Room,
  ) {}

  /** Buffers up to 256 KB: a network chunk is 64 KB at most, and each write is a trip to a thread. */
  async write(chunk: Buffer): Promise<void> {
    this.sizeBytes += chunk.length;
    if (this.sizeBytes > this.reserved) {
      const step = Math.max(this.sizeBytes - this.reserved, Math.min(4 * FLUSH_BYTES, this.reserved));
      this.room.grow(step);
      this.reserved += step;
    }
    this.parts.push(chunk);
    this.partBytes += chunk.length;
    if (this.partBytes >= FLUSH_BYTES) await this.flush();
  }

  private async flush(): Promise<void> {
    const parts = this.parts;
    this.parts = [];
    this.partBytes = 0;
    try {
      let rest = parts.length > 0 ? Buffer.concat(parts) : Buffer.alloc(0);
      while (rest.length > 0) rest = rest.subarray((await this.file.write(rest)).bytesWritten);
    } catch (error) {
      throw diskFault(error);
    }
  }

  /** Everything is on disk when this resolves; the file may be looked at under its temporary path. */
  async sync(): Promise<void> {
    await this.flush();
    try {
      await this.file.datasync();
    } catch (error) {
      throw diskFault(error);
    }
  }

  async finish(durationMs: number): Promise<SpooledFile> {
    this.open = false;
    await this.file.close();
    this.room.settle(this.reserved);
    return this.room.keep(this.sizeBytes, durationMs);
  }

  async discard(): Promise<void> {
    if (!this.open) return;
    this.open = false;
    this.room.settle(this.reserved);
    await this.file.close();
    await unlink(this.path).catch(() => undefined);
  }
}

function diskFault(error: unknown): unknown {
  return isDiskFull(error) ? fault('spool.full', { reason: 'disk' }, error) : error;
}
