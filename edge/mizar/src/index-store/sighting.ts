import { createHash } from 'node:crypto';
import type { FaceBox } from '../inference/messages';

/** A face seen, as the index stores it. */
export interface NewSighting {
  readonly atMs: number;
  readonly box: FaceBox;
  readonly quality: number;
  /** Unit length. */
  readonly embedding: Float32Array;
  readonly crop: Uint8Array;
}

export interface StoredSighting {
  readonly sightingId: string;
  readonly atMs: number;
  readonly box: FaceBox;
  readonly quality: number;
  readonly frameWidth: number;
  readonly frameHeight: number;
}

/**
 * 128 bits of a hash over what makes a sighting that one: camera, moment, place in the frame (whole pixels) and pack.
 * The same file indexed again, on this box or another, gives the same id.
 */
export function sightingId(cameraId: string, packId: string, atMs: number, box: FaceBox): Buffer {
  const text = JSON.stringify([cameraId, packId, atMs, ...box.map(Math.round)]);
  return createHash('sha256').update(text).digest().subarray(0, 16);
}
