import type { Similarity } from './align';
import type { Letterbox } from './letterbox';
import { halve, type Picture, type Rect, sampleRow, taps } from './picture';

/** What the numbers of a YUV frame mean. */
export interface YuvColour {
  readonly matrix: 'bt601' | 'bt709';
  readonly fullRange: boolean;
}

/** Bytes of one planar 4:2:0 frame. */
export const yuvBytes = (width: number, height: number): number => width * height + 2 * ((width + 1) >> 1) * ((height + 1) >> 1);

interface Coefficients {
  readonly yScale: number;
  readonly yOffset: number;
  readonly rv: number;
  readonly gu: number;
  readonly gv: number;
  readonly bu: number;
}

function coefficients({ matrix, fullRange }: YuvColour): Coefficients {
  const [kr, kb] = matrix === 'bt709' ? [0.2126, 0.0722] : [0.299, 0.114];
  const kg = 1 - kr - kb;
  const c = fullRange ? 1 : 255 / 224;
  return {
    yScale: fullRange ? 1 : 255 / 219,
    yOffset: fullRange ? 0 : 16,
    rv: 2 * (1 - kr) * c,
    gu: (-2 * kb * (1 - kb) * c) / kg,
    gv: (-2 * kr * (1 - kr) * c) / kg,
    bu: 2 * (1 - kb) * c,
  };
}

/**
 * A decoded video frame as the decoder has it: planar 4:2:0. Taking it so instead of as RGB halves the bytes that
 * pass through the pipe (3.1 MB instead of 6.2 at 1080p) and spares ffmpeg a conversion of pixels nobody looks at:
 * the detector sees a reduced picture, and only faces are read at full size.
 */
export class YuvFrame implements Picture {
  private readonly y: Uint8Array;
  private readonly u: Uint8Array;
  private readonly v: Uint8Array;
  private readonly chromaWidth: number;
  private readonly chromaHeight: number;
  private readonly to: Coefficients;

  constructor(
    bytes: Uint8Array,
    readonly width: number,
    readonly height: number,
    private readonly colour: YuvColour,
  ) {
    this.chromaWidth = (width + 1) >> 1;
    this.chromaHeight = (height + 1) >> 1;
    const luma = width * height;
    const chroma = this.chromaWidth * this.chromaHeight;
    this.y = bytes.subarray(0, luma);
    this.u = bytes.subarray(luma, luma + chroma);
    this.v = bytes.subarray(luma + chroma, luma + 2 * chroma);
    this.to = coefficients(colour);
  }

  reduce(box: Letterbox, planes: readonly [Float32Array, Float32Array, Float32Array]): void {
    // Two taps a side alias below one half; a pack with a small fixed input gets there by halves first.
    if (box.scale < 0.5) this.half().reduce({ ...box, scale: box.scale * 2 }, planes);
    else if (box.scale === 0.5 && this.width % 2 === 0 && this.height % 2 === 0) this.reduceByHalf(box, planes);
    else this.reduceByTaps(box, planes);
  }

  private reduceByTaps(box: Letterbox, planes: readonly [Float32Array, Float32Array, Float32Array]): void {
    const { usedWidth, usedHeight, inputWidth } = box;
    const lumaX = taps(usedWidth, this.width, 1 / box.scale);
    const lumaY = taps(usedHeight, this.height, 1 / box.scale);
    const chromaX = taps(usedWidth, this.chromaWidth, 0.5 / box.scale);
    const chromaY = taps(usedHeight, this.chromaHeight, 0.5 / box.scale);
    const [rowY, rowU, rowV] = [new Int32Array(usedWidth), new Int32Array(usedWidth), new Int32Array(usedWidth)];
    const { yScale, yOffset, rv, gu, gv, bu } = this.to;
    const [red, green, blue] = planes;
    for (let row = 0; row < usedHeight; row++) {
      sampleRow(this.y, this.width, lumaY, row, lumaX, rowY);
      sampleRow(this.u, this.chromaWidth, chromaY, row, chromaX, rowU);
      sampleRow(this.v, this.chromaWidth, chromaY, row, chromaX, rowV);
      const out = row * inputWidth;
      for (let x = 0; x < usedWidth; x++) {
        const y = (rowY[x]! / 65536 - yOffset) * yScale;
        const u = rowU[x]! / 65536 - 128;
        const v = rowV[x]! / 65536 - 128;
        const r = y + rv * v;
        const g = y + gu * u + gv * v;
        const b = y + bu * u;
        red[out + x] = r < 0 ? 0 : r > 255 ? 255 : r;
        green[out + x] = g < 0 ? 0 : g > 255 ? 255 : g;
        blue[out + x] = b < 0 ? 0 : b > 255 ? 255 : b;
      }
    }
  }

  /** The common case, 1080p at one half: luma averages 2 x 2 and chroma is already of the size wanted. */
  private reduceByHalf({ inputWidth }: Letterbox, planes: readonly [Float32Array, Float32Array, Float32Array]): void {
    const { y: luma, u: us, v: vs, width, chromaWidth, chromaHeight } = this;
    const { yScale, yOffset, rv, gu, gv, bu } = this.to;
    const [red, green, blue] = planes;
    for (let row = 0; row < chromaHeight; row++) {
      let at = row * 2 * width;
      const chroma = row * chromaWidth;
      const out = row * inputWidth;
      for (let x = 0; x < chromaWidth; x++, at += 2) {
        const sum = luma[at]! + luma[at + 1]! + luma[at + width]! + luma[at + width + 1]!;
        const y = (sum * 0.25 - yOffset) * yScale;
        const u = us[chroma + x]! - 128;
        const v = vs[chroma + x]! - 128;
        const r = y + rv * v;
        const g = y + gu * u + gv * v;
        const b = y + bu * u;
        red[out + x] = r < 0 ? 0 : r > 255 ? 255 : r;
        green[out + x] = g < 0 ? 0 : g > 255 ? 255 : g;
        blue[out + x] = b < 0 ? 0 : b > 255 ? 255 : b;
      }
    }
  }

  private halved: YuvFrame | undefined;

  /** Made once: several large faces in a frame share it. */
  private half(): YuvFrame {
    this.halved ??= this.makeHalf();
    return this.halved;
  }

  private makeHalf(): YuvFrame {
    const w = (this.width + 1) >> 1;
    const h = (this.height + 1) >> 1;
    const bytes = new Uint8Array(yuvBytes(w, h));
    bytes.set(halve(this.y, this.width, this.height), 0);
    const u = halve(this.u, this.chromaWidth, this.chromaHeight);
    bytes.set(u, w * h);
    bytes.set(halve(this.v, this.chromaWidth, this.chromaHeight), w * h + u.length);
    return new YuvFrame(bytes, w, h, this.colour);
  }

  warp(m: Similarity, side: number): Float32Array {
    const out = new Float32Array(side * side * 3);
    // A large face would alias under two taps: step down to the size where one output pixel is under two of ours.
    if (Math.hypot(m.a, m.b) > 2) return this.half().warp({ a: m.a / 2, b: m.b / 2, tx: m.tx / 2 - 0.25, ty: m.ty / 2 - 0.25 }, side);
    const { yScale, yOffset, rv, gu, gv, bu } = this.to;
    let to = 0;
    for (let j = 0; j < side; j++) {
      for (let i = 0; i < side; i++, to += 3) {
        const x = m.a * i - m.b * j + m.tx;
        const y = m.b * i + m.a * j + m.ty;
        if (!(x > -1 && y > -1 && x < this.width && y < this.height)) continue;
        const l = (bilinear(this.y, this.width, this.height, x, y) - yOffset) * yScale;
        // MPEG-2 siting is half a luma pixel left of this; it shifts colour by a quarter of a chroma pixel at most.
        const cx = (x - 0.5) / 2;
        const cy = (y - 0.5) / 2;
        const u = bilinear(this.u, this.chromaWidth, this.chromaHeight, cx, cy) - 128;
        const v = bilinear(this.v, this.chromaWidth, this.chromaHeight, cx, cy) - 128;
        out[to] = clamp255(l + rv * v);
        out[to + 1] = clamp255(l + gu * u + gv * v);
        out[to + 2] = clamp255(l + bu * u);
      }
    }
    return out;
  }

  cut({ left, top, width, height }: Rect): Uint8Array {
    const out = new Uint8Array(width * height * 3);
    const { yScale, yOffset, rv, gu, gv, bu } = this.to;
    let to = 0;
    for (let j = top; j < top + height; j++) {
      for (let i = left; i < left + width; i++, to += 3) {
        const l = (this.y[j * this.width + i]! - yOffset) * yScale;
        const c = (j >> 1) * this.chromaWidth + (i >> 1);
        const u = this.u[c]! - 128;
        const v = this.v[c]! - 128;
        out[to] = clamp255(l + rv * v + 0.5);
        out[to + 1] = clamp255(l + gu * u + gv * v + 0.5);
        out[to + 2] = clamp255(l + bu * u + 0.5);
      }
    }
    return out;
  }
}

const clamp255 = (v: number): number => (v < 0 ? 0 : v > 255 ? 255 : v);

/** Between four pixels; beyond the edge the edge is repeated. */
export function bilinear(plane: Uint8Array, width: number, height: number, x: number, y: number): number {
  const cx = x < 0 ? 0 : x > width - 1 ? width - 1 : x;
  const cy = y < 0 ? 0 : y > height - 1 ? height - 1 : y;
  const x0 = Math.floor(cx);
  const y0 = Math.floor(cy);
  const x1 = x0 + 1 < width ? x0 + 1 : x0;
  const y1 = y0 + 1 < height ? y0 + 1 : y0;
  const fx = cx - x0;
  const fy = cy - y0;
  const top = plane[y0 * width + x0]! * (1 - fx) + plane[y0 * width + x1]! * fx;
  const below = plane[y1 * width + x0]! * (1 - fx) + plane[y1 * width + x1]! * fx;
  return top * (1 - fy) + below * fy;
}
