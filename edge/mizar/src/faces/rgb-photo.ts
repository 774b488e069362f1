import type { Similarity } from './align';
import type { Letterbox } from './letterbox';
import { halve, type Picture, type Rect, sampleRow, taps } from './picture';
import { bilinear } from './yuv-frame';

/** A decoded photo, one plane per colour. */
export class RgbPhoto implements Picture {
  constructor(
    private readonly planes: readonly [Uint8Array, Uint8Array, Uint8Array],
    readonly width: number,
    readonly height: number,
  ) {}

  /** From interleaved RGB bytes. */
  static fromInterleaved(rgb: Uint8Array, width: number, height: number): RgbPhoto {
    const size = width * height;
    const planes = [new Uint8Array(size), new Uint8Array(size), new Uint8Array(size)] as const;
    for (let i = 0; i < size; i++) for (let c = 0; c < 3; c++) planes[c]![i] = rgb[i * 3 + c]!;
    return new RgbPhoto(planes, width, height);
  }

  reduce(box: Letterbox, out: readonly [Float32Array, Float32Array, Float32Array]): void {
    if (box.scale < 0.5) {
      this.half().reduce({ ...box, scale: box.scale * 2 }, out);
      return;
    }
    const x = taps(box.usedWidth, this.width, 1 / box.scale);
    const y = taps(box.usedHeight, this.height, 1 / box.scale);
    const line = new Int32Array(box.usedWidth);
    for (let row = 0; row < box.usedHeight; row++) {
      this.planes.forEach((plane, c) => {
        sampleRow(plane, this.width, y, row, x, line);
        const to = out[c]!;
        for (let i = 0; i < box.usedWidth; i++) to[row * box.inputWidth + i] = line[i]! / 65536;
      });
    }
  }

  private halved: RgbPhoto | undefined;

  private half(): RgbPhoto {
    this.halved ??= this.makeHalf();
    return this.halved;
  }

  private makeHalf(): RgbPhoto {
    const [r, g, b] = this.planes.map((p) => halve(p, this.width, this.height));
    return new RgbPhoto([r!, g!, b!], (this.width + 1) >> 1, (this.height + 1) >> 1);
  }

  warp(m: Similarity, side: number): Float32Array {
    if (Math.hypot(m.a, m.b) > 2) return this.half().warp({ a: m.a / 2, b: m.b / 2, tx: m.tx / 2 - 0.25, ty: m.ty / 2 - 0.25 }, side);
    const out = new Float32Array(side * side * 3);
    for (let j = 0; j < side; j++) {
      for (let i = 0; i < side; i++) {
        const x = m.a * i - m.b * j + m.tx;
        const y = m.b * i + m.a * j + m.ty;
        if (!(x > -1 && y > -1 && x < this.width && y < this.height)) continue;
        for (let c = 0; c < 3; c++) out[(j * side + i) * 3 + c] = bilinear(this.planes[c]!, this.width, this.height, x, y);
      }
    }
    return out;
  }

  cut({ left, top, width, height }: Rect): Uint8Array {
    const out = new Uint8Array(width * height * 3);
    for (let j = 0; j < height; j++) {
      for (let i = 0; i < width; i++) {
        const from = (top + j) * this.width + left + i;
        for (let c = 0; c < 3; c++) out[(j * width + i) * 3 + c] = this.planes[c]![from]!;
      }
    }
    return out;
  }
}
