import type { IncomingMessage } from 'node:http';
import { searchError } from '../search.errors';
import { maxPhotoBytes, photoTypes } from './photo-check';

/**
 * The body of an upload, at most `maxPhotoBytes` of it in memory. Read here, after the guard, and not by the
 * framework's parser: a stranger's 15 MB are not worth holding. Throws `photo.type_unsupported`, `photo.too_large`,
 * `photo.empty`.
 */
export async function readPhoto(request: IncomingMessage): Promise<Buffer> {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (!photoTypes.some((allowed) => allowed === type)) throw searchError('photo.type_unsupported', { allowed: photoTypes });
  const tooLarge = () => searchError('photo.too_large', { maxBytes: maxPhotoBytes });
  if (Number(request.headers['content-length'] ?? 0) > maxPhotoBytes) throw tooLarge();
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxPhotoBytes) throw tooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts, size);
}
