import sharp from 'sharp';
import { searchError } from '../search.errors';

export const maxPhotoBytes = 15 * 1024 * 1024;
export const photoTypes = ['image/jpeg', 'image/png', 'image/webp'] as const;
const maxSidePx = 8_000;
const maxPixels = 64_000_000;
/** A face is found well below this, and it bounds what travels to the model: 15 MB of WebP can be 60 MB of JPEG. */
const keptSidePx = 4_096;

export interface CheckedPhoto {
  /** Upright JPEG without metadata: a phone's photo carries the place where it was taken. */
  readonly jpeg: Buffer;
  readonly width: number;
  readonly height: number;
}

/**
 * Everything that can be said about a photo without a model. Reads the header first, so that a picture too large
 * to decode is refused before a pixel of it is. Throws `photo.empty`, `photo.too_large`, `photo.undecodable`,
 * `photo.type_unsupported`, `photo.dimensions`, `photo.truncated`.
 */
export async function checkPhoto(body: Buffer): Promise<CheckedPhoto> {
  if (body.length === 0) throw searchError('photo.empty');
  if (body.length > maxPhotoBytes) throw searchError('photo.too_large', { maxBytes: maxPhotoBytes });
  const header = await sharp(body, { limitInputPixels: false })
    .metadata()
    .catch((cause: unknown) => {
      throw searchError('photo.undecodable', { reason: 'undecodable' }, cause);
    });
  const { format, width, height } = header;
  if (format !== 'jpeg' && format !== 'png' && format !== 'webp') throw searchError('photo.type_unsupported', { allowed: photoTypes });
  if (width > maxSidePx || height > maxSidePx || width * height > maxPixels) {
    throw searchError('photo.dimensions', { width, height, maxSidePx, maxPixels });
  }
  try {
    const { data, info } = await sharp(body, { failOn: 'truncated', limitInputPixels: maxPixels })
      .rotate()
      .resize(keptSidePx, keptSidePx, { fit: 'inside', withoutEnlargement: true })
      .flatten({ background: '#fff' })
      .jpeg({ quality: 95 })
      .toBuffer({ resolveWithObject: true });
    return { jpeg: data, width: info.width, height: info.height };
  } catch (cause) {
    // The header was sound, so what is wrong is the rest of the file.
    throw searchError('photo.truncated', {}, cause);
  }
}
