import sharp from 'sharp';
import type { Picture, Rect } from './picture';
import type { Detection } from './yunet';

/** A crop is for an operator to look at; wider would fill the disk (about 10 KB each at this size). */
const MAX_CROP_PX = 256;
/** How much of the face's own size is shown around it on each side: hair, collar, headwear. */
const MARGIN = 0.5;
const JPEG_QUALITY = 82;

/** The face with its surroundings, clipped to the picture. */
export function cropRect(face: Detection, width: number, height: number): Rect {
  const side = Math.max(face.width, face.height) * (1 + 2 * MARGIN);
  const left = Math.floor(Math.min(width - 1, Math.max(0, face.x + face.width / 2 - side / 2)));
  const top = Math.floor(Math.min(height - 1, Math.max(0, face.y + face.height / 2 - side / 2)));
  const right = Math.ceil(Math.min(width, Math.max(left + 1, face.x + face.width / 2 + side / 2)));
  const bottom = Math.ceil(Math.min(height, Math.max(top + 1, face.y + face.height / 2 + side / 2)));
  return { left, top, width: right - left, height: bottom - top };
}

/** JPEG of a face in its surroundings; the same frame gives the same bytes. */
export async function cropJpeg(picture: Picture, face: Detection): Promise<Uint8Array<ArrayBuffer>> {
  const rect = cropRect(face, picture.width, picture.height);
  const raw = sharp(picture.cut(rect), { raw: { width: rect.width, height: rect.height, channels: 3 } });
  return encode(rect.width > MAX_CROP_PX || rect.height > MAX_CROP_PX ? raw.resize(MAX_CROP_PX, MAX_CROP_PX, { fit: 'inside' }) : raw);
}

/** JPEG of an aligned face as the embedder saw it. */
export async function alignedJpeg(aligned: Float32Array, side: number): Promise<Uint8Array<ArrayBuffer>> {
  return encode(
    sharp(
      Uint8Array.from(aligned, (v) => Math.round(v)),
      { raw: { width: side, height: side, channels: 3 } },
    ),
  );
}

async function encode(image: sharp.Sharp): Promise<Uint8Array<ArrayBuffer>> {
  const jpeg = await image.jpeg({ quality: JPEG_QUALITY }).toBuffer();
  // Its own memory, so that it can be transferred: small Buffers share a pool.
  return new Uint8Array(jpeg);
}
