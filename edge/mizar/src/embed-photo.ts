import sharp from 'sharp';
import { facePx } from './inference/face-engine';
import type { FoundFace } from './inference/messages';
import type { InferencePool } from './inference/pool';
import { mizarErrors } from './mizar.errors';
import type { PackSpec } from './pack/pack';

/** Phone cameras reach 50 megapixels; a small file that unpacks to more is a bomb. */
const MAX_PIXELS = 64_000_000;
/** Aligning needs a face of 112 px; a picture this wide holds a family. */
const MAX_SIDE = 2048;
const DECODE_TIMEOUT_S = 15;

/**
 * The one face of a photo. Throws photo.undecodable, photo.no_face, photo.several_faces (count) or
 * photo.face_too_small (px, min). The box is in pixels of the photo as it is meant to be seen (EXIF turned).
 */
export async function embedPhoto(pool: InferencePool, pack: PackSpec, image: Uint8Array): Promise<FoundFace> {
  const photo = await decodePhoto(image);
  const { boxes, face } = await pool.photo(photo);
  if (boxes.length === 0) throw mizarErrors.photoNoFace();
  const toOriginal = (v: number): number => v * photo.reduction;
  if (boxes.length > 1) throw mizarErrors.photoSeveralFaces(boxes.length);
  if (!face) {
    const [, , width, height] = boxes[0]!;
    throw mizarErrors.photoFaceTooSmall(Math.floor(facePx({ width, height })), pack.minFacePx);
  }
  const [x, y, width, height] = face.box.map(toOriginal) as [number, number, number, number];
  return { ...face, box: [x, y, width, height] };
}

interface Photo {
  readonly pixels: Uint8Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
  /** The original is this many times larger. */
  readonly reduction: number;
}

async function decodePhoto(image: Uint8Array): Promise<Photo> {
  try {
    const options = { limitInputPixels: MAX_PIXELS, failOn: 'error', sequentialRead: true, animated: false } as const;
    const { autoOrient } = await sharp(image, options).metadata();
    const { data, info } = await sharp(image, options)
      .autoOrient()
      .resize(MAX_SIDE, MAX_SIDE, { fit: 'inside', withoutEnlargement: true })
      .flatten({ background: '#808080' })
      .toColourspace('srgb')
      .raw()
      .timeout({ seconds: DECODE_TIMEOUT_S })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3 || info.width < 16 || info.height < 16) throw new Error(`${info.width}x${info.height}x${info.channels}`);
    return { pixels: new Uint8Array(data), width: info.width, height: info.height, reduction: Math.max(1, autoOrient.width / info.width) };
  } catch (error) {
    throw mizarErrors.photoUndecodable(error);
  }
}
