import { createHash } from 'node:crypto';
import type { IndexedSegment } from '../../src/index-store/face-index.store';
import type { NewSighting } from '../../src/index-store/sighting';

export const DIMENSION = 16;

/** A unit vector that depends on nothing but its name: after a crash what is stored can be told from what should be. */
export function syntheticEmbedding(name: string): Float32Array {
  const bytes = createHash('sha256').update(name).digest();
  const v = Float32Array.from({ length: DIMENSION }, (_, i) => bytes.readInt16LE(i * 2));
  const length = Math.hypot(...v);
  return v.map((x) => x / length);
}

export const syntheticCrop = (name: string): Uint8Array => createHash('sha512').update(name).digest();

/** Segment `n` of a camera: one minute, `faces` sightings. `version` tells a re-indexed one from the first. */
export function syntheticSegment(cameraId: string, n: number, faces: number, version = 0): IndexedSegment {
  const fromMs = n * 60_000;
  const sightings = Array.from({ length: faces }, (_, i): NewSighting => {
    const atMs = fromMs + i * 10;
    const name = `${cameraId}/${atMs}/${version}`;
    return { atMs, box: [i % 1000, 10, 50, 60], quality: 0.5, embedding: syntheticEmbedding(name), crop: syntheticCrop(name) };
  });
  return {
    cameraId,
    packId: 'test.1',
    dimension: DIMENSION,
    fromMs,
    toMs: fromMs + 60_000,
    samplingMs: 1000,
    frameWidth: 1920,
    frameHeight: 1080,
    sightings,
  };
}
