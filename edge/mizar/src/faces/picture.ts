import type { Similarity } from './align';
import type { Letterbox } from './letterbox';

export interface Rect {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** A picture the detector can be shown and faces can be cut from, whatever its pixels are. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /**
   * Writes planes of inputWidth x inputHeight: red, green, blue into `planes[0..2]`, 0 to 255. Padding is left as it is.
   */
  reduce(box: Letterbox, planes: readonly [Float32Array, Float32Array, Float32Array]): void;
  /** A `side` x `side` RGB picture, 0 to 255; `toPicture` leads from its pixels to this picture's. Outside is black. */
  warp(toPicture: Similarity, side: number): Float32Array;
  /** RGB bytes; the rectangle must lie inside. */
  cut(rect: Rect): Uint8Array;
}

/** One plane reduced to a half by averaging 2 x 2. An odd last column or row averages with itself. */
export function halve(plane: Uint8Array, width: number, height: number): Uint8Array {
  const w = (width + 1) >> 1;
  const h = (height + 1) >> 1;
  const out = new Uint8Array(w * h);
  for (let y = 0; y < h; y++) {
    const top = y * 2 * width;
    const below = Math.min(y * 2 + 1, height - 1) * width;
    for (let x = 0; x < w; x++) {
      const left = x * 2;
      const right = Math.min(left + 1, width - 1);
      out[y * w + x] = (plane[top + left]! + plane[top + right]! + plane[below + left]! + plane[below + right]! + 2) >> 2;
    }
  }
  return out;
}

/** For each of `size` output pixels: the two source pixels it lies between and the weight of the second, times 256. */
export function taps(size: number, source: number, step: number): { first: Int32Array; second: Int32Array; weight: Int32Array } {
  const first = new Int32Array(size);
  const second = new Int32Array(size);
  const weight = new Int32Array(size);
  for (let i = 0; i < size; i++) {
    const at = Math.min(source - 1, Math.max(0, (i + 0.5) * step - 0.5));
    const low = Math.floor(at);
    first[i] = low;
    second[i] = Math.min(source - 1, low + 1);
    weight[i] = Math.round((at - low) * 256);
  }
  return { first, second, weight };
}

export type Taps = ReturnType<typeof taps>;

/** One row between two rows of a plane, by weight/256 of the second. */
export function sampleRow(plane: Uint8Array, width: number, y: Taps, row: number, x: Taps, out: Int32Array): void {
  const top = y.first[row]! * width;
  const below = y.second[row]! * width;
  const wy = y.weight[row]!;
  const size = x.first.length;
  for (let i = 0; i < size; i++) {
    const a = x.first[i]!;
    const b = x.second[i]!;
    const wx = x.weight[i]!;
    const upper = plane[top + a]! * (256 - wx) + plane[top + b]! * wx;
    const lower = plane[below + a]! * (256 - wx) + plane[below + b]! * wx;
    out[i] = upper * (256 - wy) + lower * wy;
  }
}
