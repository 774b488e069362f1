import type { Detection } from './yunet';

/** Below this an aligned face of 112 px has been enlarged: detail is missing, not hidden. */
const FULL_SIZE_PX = 112;
/** Mean absolute Laplacian of aligned faces: sharp portraits lie above this, a face enlarged from 24 px near 1. */
const SHARP_LAPLACIAN = 6;

/** 0 to 1: how much of an aligned face's finest detail is there. `rgb` is interleaved, 0 to 255. */
export function sharpness(rgb: Float32Array, side: number): number {
  const luma = (x: number, y: number): number => rgb[(y * side + x) * 3 + 1]!;
  let sum = 0;
  let count = 0;
  // The border of an aligned face is background.
  for (let y = 24; y < side - 16; y++) {
    for (let x = 24; x < side - 24; x++, count++) {
      sum += Math.abs(4 * luma(x, y) - luma(x - 1, y) - luma(x + 1, y) - luma(x, y - 1) - luma(x, y + 1));
    }
  }
  return Math.min(1, sum / count / SHARP_LAPLACIAN);
}

/** 1 for a face seen from the front, 0 in profile: how far the nose and mouth lie from the middle between the eyes, along the line of the eyes. */
export function frontality(landmarks: ArrayLike<number>): number {
  const at = (i: number): readonly [number, number] => [landmarks[i * 2]!, landmarks[i * 2 + 1]!];
  const [right, left, nose, mouthRight, mouthLeft] = [at(0), at(1), at(2), at(3), at(4)];
  const ex = left[0] - right[0];
  const ey = left[1] - right[1];
  const eyes2 = ex * ex + ey * ey;
  if (!(eyes2 > 0)) return 0;
  const along = (p: readonly [number, number]): number => ((p[0] - right[0]) * ex + (p[1] - right[1]) * ey) / eyes2 - 0.5;
  const noseOff = Math.abs(along(nose)) * 2;
  const mouthOff = Math.abs(along([(mouthRight[0] + mouthLeft[0]) / 2, (mouthRight[1] + mouthLeft[1]) / 2])) * 2;
  return Math.max(0, 1 - Math.max(noseOff, mouthOff));
}

/**
 * 0 to 1, for choosing between pictures of one person; not a probability. The geometric mean of four, so that
 * one that is very bad cannot be made good by the others.
 */
export function quality(face: Detection, aligned: Float32Array, side: number): number {
  const size = Math.min(1, Math.min(face.width, face.height) / FULL_SIZE_PX);
  return Math.max(0, size * sharpness(aligned, side) * frontality(face.landmarks) * Math.min(1, face.score)) ** 0.25;
}
