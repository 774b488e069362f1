import { PassThrough } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { SoftwarePackage } from '@stardipper/proto';
import { z } from 'zod';

type Described = NonNullable<SoftwarePackage['pack']>;

const blockBytes = 512;
/** As Mizar has it. */
const maxPackJsonBytes = 256 * 1024;
/** Two models as large as a box takes them, and what lies beside them. */
const maxLookedAtBytes = 1200 * 1024 * 1024;

const packJson = z.object({
  id: z.string().min(1).max(64),
  licence: z.string().min(1).max(512),
  nonCommercial: z.boolean().default(false),
});

/**
 * Looks for pack.json in a .tar.gz that passes by, for operators to see what they have uploaded before any box unpacks
 * it. It never fails: whether the archive is a good pack is found out by who installs it.
 */
export class PackJsonReader {
  readonly #gunzip = createGunzip();
  readonly #tar = new TarFinder();
  #over = false;
  readonly #ended: Promise<void>;

  constructor() {
    const found = new PassThrough();
    this.#gunzip.pipe(found);
    this.#ended = new Promise((resolve) => {
      const end = () => {
        this.#over = true;
        resolve();
      };
      found.on('data', (chunk: Buffer) => {
        if (!this.#tar.done) this.#tar.take(chunk);
        if (this.#tar.done && !this.#over) {
          end();
          this.#gunzip.destroy();
        }
      });
      found.once('end', end);
      this.#gunzip.once('error', end);
    });
  }

  /** Resolves when it may be given more. */
  async take(chunk: Buffer): Promise<void> {
    if (this.#over) return;
    if (!this.#gunzip.write(chunk)) {
      const drained = new Promise<void>((resolve) => this.#gunzip.once('drain', resolve));
      await Promise.race([drained, this.#ended]);
    }
  }

  async end(): Promise<Described | null> {
    if (!this.#over) this.#gunzip.end();
    await this.#ended;
    return described(this.#tar.content);
  }

  /** Of an upload that broke off. */
  drop(): void {
    this.#gunzip.destroy();
  }
}

/** The first pack.json of a ustar archive, at its top or in a folder of it. */
class TarFinder {
  done = false;
  content: Buffer | undefined;
  #seen = 0;
  #header = Buffer.alloc(0);
  #kept: Buffer[] | undefined;
  /** Of the entry under way, with and without its padding. */
  #left = 0;
  #wanted = 0;

  take(chunk: Buffer): void {
    this.#seen += chunk.length;
    if (this.#seen > maxLookedAtBytes) this.done = true;
    for (let rest = chunk; rest.length > 0 && !this.done; ) rest = this.#left > 0 ? this.#body(rest) : this.#head(rest);
  }

  #body(rest: Buffer): Buffer {
    const part = rest.subarray(0, this.#left);
    this.#kept?.push(Buffer.from(part.subarray(0, this.#wanted)));
    this.#wanted = Math.max(0, this.#wanted - part.length);
    this.#left -= part.length;
    if (this.#left === 0 && this.#kept) this.#finish();
    return rest.subarray(part.length);
  }

  #head(rest: Buffer): Buffer {
    const part = rest.subarray(0, blockBytes - this.#header.length);
    this.#header = Buffer.concat([this.#header, part]);
    if (this.#header.length === blockBytes) {
      this.#enter(this.#header);
      this.#header = Buffer.alloc(0);
    }
    return rest.subarray(part.length);
  }

  #enter(header: Buffer): void {
    const name = header.toString('utf8', 0, 100).replace(/\0.*$/s, '');
    const digits = header.toString('latin1', 124, 136).replace(/[\0 ].*$/s, '');
    // The end, or sizes beyond 8 GB: nothing to find in either.
    if (name === '' || !/^[0-7]+$/.test(digits)) {
      this.done = true;
      return;
    }
    const size = Number.parseInt(digits, 8);
    const parts = name.split('/').filter((each) => each !== '' && each !== '.');
    const type = header.toString('latin1', 156, 157);
    const isIt = (type === '0' || type === '\0') && parts.at(-1) === 'pack.json' && parts.length <= 2 && size <= maxPackJsonBytes;
    this.#kept = isIt ? [] : undefined;
    this.#wanted = size;
    this.#left = Math.ceil(size / blockBytes) * blockBytes;
    if (isIt && size === 0) this.#finish();
  }

  #finish(): void {
    this.content = Buffer.concat(this.#kept ?? []);
    this.done = true;
  }
}

function described(content: Buffer | undefined): Described | null {
  if (!content) return null;
  try {
    const { id, licence, nonCommercial } = packJson.parse(JSON.parse(content.toString('utf8')));
    // PostgreSQL keeps no zero bytes in a text.
    return { packId: id.replaceAll('\0', ''), licence: licence.replaceAll('\0', ''), nonCommercial };
  } catch {
    return null;
  }
}
