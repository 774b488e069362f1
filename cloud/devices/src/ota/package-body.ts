import { createHash } from 'node:crypto';
import { maxSoftwareBytes, type SoftwarePackage } from '@stardipper/proto';
import { devicesErrors } from '../devices.errors';
import { PackJsonReader } from './read-pack-json';

export interface PackageDigest {
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly pack: SoftwarePackage['pack'];
}

/** RFC 1952. */
const gzipMagic = [0x1f, 0x8b];
const cutOff = new Set(['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR']);

/** What the sender says of the bytes that follow; each is checked. */
export interface Declared {
  readonly bytes?: number | undefined;
  readonly sha256?: string | undefined;
}

/** Throws what can be told before the first byte is read. */
export function checkDeclared({ bytes }: Declared): void {
  if (bytes === undefined) return;
  if (bytes === 0) throw devicesErrors.error('software.empty');
  if (bytes > maxSoftwareBytes) throw devicesErrors.error('software.too_large', { maxBytes: maxSoftwareBytes });
}

/**
 * The package, chunk by chunk, on its way into storage; ends with an error when it is not what it should be, so that
 * storage, which keeps whole objects only, keeps none. Throws `software.empty`, `software.too_large`,
 * `software.not_gzip`, `software.incomplete`, `software.checksum_wrong`. `digest` is told at the end.
 */
export async function* checkedPackage(
  body: AsyncIterable<Buffer>,
  declared: Declared,
  digest: (digest: PackageDigest) => void,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  const packJson = new PackJsonReader();
  let sizeBytes = 0;
  let head = Buffer.alloc(0);
  try {
    for await (const chunk of body) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxSoftwareBytes) throw devicesErrors.error('software.too_large', { maxBytes: maxSoftwareBytes });
      if (head.length < gzipMagic.length) {
        head = Buffer.concat([head, chunk.subarray(0, gzipMagic.length)]);
        if (gzipMagic.some((byte, at) => at < head.length && head[at] !== byte)) throw devicesErrors.error('software.not_gzip');
      }
      hash.update(chunk);
      await packJson.take(chunk);
      yield chunk;
    }
    if (declared.bytes !== undefined && sizeBytes !== declared.bytes) throw devicesErrors.error('software.incomplete');
    if (sizeBytes === 0) throw devicesErrors.error('software.empty');
    if (head.length < gzipMagic.length) throw devicesErrors.error('software.not_gzip');
    const sha256 = hash.digest('hex');
    if (declared.sha256 !== undefined && declared.sha256 !== sha256) throw devicesErrors.error('software.checksum_wrong', { sha256 });
    digest({ sizeBytes, sha256, pack: await packJson.end() });
  } catch (error) {
    // The sender went away.
    if (cutOff.has(String((error as NodeJS.ErrnoException).code))) throw devicesErrors.error('software.incomplete', {}, error);
    throw error;
  } finally {
    packJson.drop();
  }
}
