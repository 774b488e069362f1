import fc from 'fast-check';
import { template112 } from './align';
import { cropRect } from './crop';
import { frontality } from './quality';
import { RgbPhoto } from './rgb-photo';
import type { Detection } from './yunet';
import { YuvFrame, yuvBytes } from './yuv-frame';

const real = (min: number, max: number) => fc.double({ min, max, noNaN: true });

const detection = (x: number, y: number, width: number, height: number, score: number): Detection => ({
  x,
  y,
  width,
  height,
  score,
  landmarks: new Float64Array(10),
});

describe('pictures', () => {
  /** A frame of one colour, whatever the layout, must come out as that colour by every way out. */
  const plain = (y: number, u: number, v: number, width: number, height: number, fullRange: boolean): YuvFrame => {
    const bytes = new Uint8Array(yuvBytes(width, height)).fill(v);
    const chroma = ((width + 1) >> 1) * ((height + 1) >> 1);
    bytes.fill(y, 0, width * height).fill(u, width * height, width * height + chroma);
    return new YuvFrame(bytes, width, height, { matrix: 'bt601', fullRange });
  };
  test.each([
    [64, 48],
    [63, 47],
    [200, 120],
  ])('a red %i x %i frame is red reduced, warped and cut', (width, height) => {
    const frame = plain(81, 90, 240, width, height, false);
    for (const scale of [1, 0.75, 0.5, 0.3]) {
      const [usedWidth, usedHeight] = [Math.round(width * scale), Math.round(height * scale)];
      const planes = [0, 1, 2].map(() => new Float32Array(256 * 256)) as [Float32Array, Float32Array, Float32Array];
      frame.reduce({ scale, usedWidth, usedHeight, inputWidth: 256, inputHeight: 256 }, planes);
      for (const at of [0, (usedHeight - 1) * 256 + usedWidth - 1]) {
        expect(planes[0][at]).toBeGreaterThan(250);
        expect(planes[1][at]).toBeLessThan(5);
        expect(planes[2][at]).toBeLessThan(5);
      }
      expect(planes[0][usedWidth]).toBe(0);
    }
    const warped = frame.warp({ a: 0.1, b: 0.05, tx: 10, ty: 10 }, 8);
    expect([...warped.subarray(0, 3)].map((c) => c > 128)).toEqual([true, false, false]);
    expect(frame.cut({ left: width - 2, top: height - 2, width: 2, height: 2 })).toHaveLength(12);
  });
  test('full and limited range both reach black and white', () => {
    for (const [low, high, full] of [
      [16, 235, false],
      [0, 255, true],
    ] as const) {
      expect([...plain(low, 128, 128, 4, 4, full).cut({ left: 0, top: 0, width: 1, height: 1 })]).toEqual([0, 0, 0]);
      expect([...plain(high, 128, 128, 4, 4, full).cut({ left: 0, top: 0, width: 1, height: 1 })]).toEqual([255, 255, 255]);
    }
  });
  test('warping by the identity is the picture; by a reduction of four it keeps its place', () => {
    const rgb = Uint8Array.from({ length: 256 * 256 * 3 }, (_, i) => Math.floor(Math.floor(i / 3) % 256));
    const photo = RgbPhoto.fromInterleaved(rgb, 256, 256);
    const same = photo.warp({ a: 1, b: 0, tx: 0, ty: 0 }, 64);
    expect(same[(10 * 64 + 33) * 3]).toBeCloseTo(33, 5);
    const quarter = photo.warp({ a: 4, b: 0, tx: 1.5, ty: 1.5 }, 60);
    // Averages of bytes round up, half a step at most each time.
    expect(Math.abs(quarter[(10 * 60 + 30) * 3]! - (30 * 4 + 1.5))).toBeLessThan(1);
  });
  test('a crop never leaves the frame', () => {
    fc.assert(
      fc.property(real(-500, 2500), real(-500, 1500), real(1, 900), real(1, 900), (x, y, w, h) => {
        const r = cropRect(detection(x, y, w, h, 1), 1920, 1080);
        expect(r.left >= 0 && r.top >= 0 && r.width >= 1 && r.height >= 1 && r.left + r.width <= 1920 && r.top + r.height <= 1080).toBe(
          true,
        );
      }),
    );
  });
  test('a face from the front is more frontal than one turned away', () => {
    const turned = Float64Array.from(template112);
    turned[4] = 72;
    expect(frontality(template112)).toBeGreaterThan(0.9);
    expect(frontality(turned)).toBeLessThan(0.2);
  });
});
