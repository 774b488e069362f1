import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';

/** Plain bytes of one sealed block; the last one of a file is shorter, and may be empty. */
const blockBytes = 64 * 1024;
const tagBytes = 16;
const sealedBlockBytes = blockBytes + tagBytes;
/** Read together: every read is a turn of the thread pool. */
const blocksAtOnce = 4;

/**
 * The STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, 2015) over AES-256-GCM: each file has a key of its
 * own from the tenant's, blocks are numbered, and the last is marked, so that none can be changed, moved to another
 * place or file, or cut off, and any can be read alone.
 */
export function fileKey(tenantKey: Buffer, salt: Buffer, objectKey: string): Buffer {
  return Buffer.from(hkdfSync('sha256', tenantKey, salt, `star-object-1 ${objectKey}`, 32));
}

/** Eleven bytes of number, one that marks the last. */
function nonce(index: number, last: boolean): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUIntBE(index, 5, 6);
  bytes[11] = last ? 1 : 0;
  return bytes;
}

/** Plain bytes in, sealed blocks out. `end` must be called once, after the last `add`. */
export class Sealer {
  #waiting: Buffer = Buffer.alloc(0);
  #index = 0;
  constructor(private readonly key: Buffer) {}

  add(bytes: Buffer): Buffer[] {
    this.#waiting = this.#waiting.length === 0 ? bytes : Buffer.concat([this.#waiting, bytes]);
    const sealed: Buffer[] = [];
    let from = 0;
    // A full block is held back until more comes: it might be the last.
    while (this.#waiting.length - from > blockBytes) {
      sealed.push(this.#seal(this.#waiting.subarray(from, from + blockBytes), false));
      from += blockBytes;
    }
    this.#waiting = this.#waiting.subarray(from);
    return sealed;
  }

  end(): Buffer {
    return this.#seal(this.#waiting, true);
  }

  #seal(block: Buffer, last: boolean): Buffer {
    const cipher = createCipheriv('aes-256-gcm', this.key, nonce(this.#index++, last), { authTagLength: tagBytes });
    return Buffer.concat([cipher.update(block), cipher.final(), cipher.getAuthTag()]);
  }
}

/** Of what `sealedBytes` hold. */
export const plainBytes = (sealedBytes: number): number => sealedBytes - tagBytes * blocksOf(sealedBytes);
const blocksOf = (sealedBytes: number): number => Math.max(1, Math.ceil(sealedBytes / sealedBlockBytes));

/**
 * The plain bytes from `start` up to and including `end`, in pieces. `readSealed` reads exactly that part of the
 * sealed file. Throws when a block was changed, moved, or the file was cut off.
 */
export async function* unseal(
  key: Buffer,
  sealedBytes: number,
  readSealed: (position: number, bytes: number) => Promise<Buffer>,
  start: number,
  end: number,
): AsyncGenerator<Buffer> {
  const last = blocksOf(sealedBytes) - 1;
  // At least one: also of an empty file the end must be the true one.
  const first = Math.floor(start / blockBytes);
  const final = Math.max(first, Math.floor(end / blockBytes));
  for (let from = first; from <= final; from += blocksAtOnce) {
    const position = from * sealedBlockBytes;
    const to = Math.min(from + blocksAtOnce - 1, final);
    const sealed = await readSealed(position, Math.min((to + 1) * sealedBlockBytes, sealedBytes) - position);
    const parts: Buffer[] = [];
    for (let index = from; index <= to; index++) {
      const at = (index - from) * sealedBlockBytes;
      const block = openBlock(key, index, index === last, sealed.subarray(at, at + sealedBlockBytes));
      parts.push(block.subarray(Math.max(0, start - index * blockBytes), end - index * blockBytes + 1));
    }
    yield Buffer.concat(parts);
  }
}

function openBlock(key: Buffer, index: number, last: boolean, sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce(index, last), { authTagLength: tagBytes });
  decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
  return Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - tagBytes)), decipher.final()]);
}
