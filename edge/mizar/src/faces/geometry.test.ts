/** A point of a frame that goes to the detector, or to an aligned face, comes back to where it was; and the pixels go where the points do. */
import fc from 'fast-check';
import type { DetectorSpec } from '../pack/pack';
import { applySimilarity, fitSimilarity, invertSimilarity, type Similarity, template112 } from './align';
import { type Letterbox, letterbox, toFrame, toInput } from './letterbox';
import { RgbPhoto } from './rgb-photo';
import { YuvFrame, yuvBytes } from './yuv-frame';

const real = (min: number, max: number) => fc.double({ min, max, noNaN: true });
/** Millionths of a pixel. */
const PLACES = 1e-6;

/** All a pack may ask for. */
const inputs: fc.Arbitrary<DetectorSpec['input']> = fc.oneof(
  fc.record({ dynamic: fc.constant(true as const), longestSide: fc.integer({ min: 320, max: 4096 }), minScale: real(0.1, 1) }),
  fc.tuple(fc.integer({ min: 1, max: 128 }), fc.integer({ min: 1, max: 128 })).map(([w, h]): [number, number] => [w * 32, h * 32]),
);
/** Sides of frames down to one pixel: independent of each other, so most are nearer to a line than to a square. */
const side = fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 16_384 }));

describe('letterbox', () => {
  test('a point comes back to where it was, also beyond the frame, from either side', () => {
    fc.assert(
      fc.property(side, side, inputs, real(-1, 2), (width, height, input, at) => {
        const box = letterbox(width, height, input);
        for (const length of [width, height]) {
          expect(Math.abs(toFrame(box, toInput(box, at * length)) - at * length)).toBeLessThan(PLACES);
          expect(Math.abs(toInput(box, toFrame(box, at * length)) - at * length)).toBeLessThan(PLACES);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('the whole frame is in the input, never enlarged, with its aspect ratio, and the input is what a pack may be given', () => {
    fc.assert(
      fc.property(side, side, inputs, (width, height, input) => {
        const box = letterbox(width, height, input);
        expect(box.scale).toBeGreaterThan(0);
        expect(box.scale).toBeLessThanOrEqual(1);
        expect((box.inputWidth % 32) + (box.inputHeight % 32)).toBe(0);
        if (Array.isArray(input)) expect([box.inputWidth, box.inputHeight]).toEqual(input);
        for (const [length, used, available] of [
          [width, box.usedWidth, box.inputWidth],
          [height, box.usedHeight, box.inputHeight],
        ] as const) {
          expect(used).toBeGreaterThanOrEqual(1);
          expect(used).toBeLessThanOrEqual(available);
          // To half a pixel, except that nothing becomes thinner than one.
          expect(Math.abs(used - Math.max(toInput(box, length), 0.5))).toBeLessThanOrEqual(0.5);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('1080p is shown at one half, 720p at three quarters, 4K no smaller than a half', () => {
    const rule = { dynamic: true as const, longestSide: 960, minScale: 0.5 };
    expect(letterbox(1920, 1080, rule)).toMatchObject({ scale: 0.5, inputWidth: 960, inputHeight: 544 });
    expect(letterbox(1280, 720, rule)).toMatchObject({ scale: 0.75, inputWidth: 960, inputHeight: 544 });
    expect(letterbox(3840, 2160, rule)).toMatchObject({ scale: 0.5, inputWidth: 1920, inputHeight: 1088 });
  });
});

/** From a face of a few pixels to one that fills 8K, turned by any angle, anywhere. */
const similarity: fc.Arbitrary<Similarity> = fc
  .record({ size: real(-4, 6), turn: real(-Math.PI, Math.PI), tx: real(-20_000, 20_000), ty: real(-20_000, 20_000) })
  .map(({ size, turn, tx, ty }) => ({ a: 2 ** size * Math.cos(turn), b: 2 ** size * Math.sin(turn), tx, ty }));

describe('alignment', () => {
  test('a point comes back to where it was, from either side', () => {
    fc.assert(
      fc.property(similarity, real(-16_384, 16_384), real(-16_384, 16_384), (there, x, y) => {
        const back = invertSimilarity(there);
        for (const [first, second] of [
          [there, back],
          [back, there],
        ] as const) {
          const [u, v] = applySimilarity(second, ...applySimilarity(first, x, y));
          expect(Math.hypot(u - x, v - y)).toBeLessThan(PLACES);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('landmarks a similarity made from the template are brought back onto it, and a point beside them too', () => {
    fc.assert(
      fc.property(similarity, real(0, 111), real(0, 111), (made, x, y) => {
        const seen = new Float64Array(10);
        for (let i = 0; i < 5; i++) seen.set(applySimilarity(made, template112[i * 2]!, template112[i * 2 + 1]!), i * 2);
        const found = fitSimilarity(seen, template112);
        const [u, v] = applySimilarity(found, ...applySimilarity(made, x, y));
        expect(Math.hypot(u - x, v - y)).toBeLessThan(PLACES);
        const toPicture = invertSimilarity(found);
        const [p, q] = applySimilarity(toPicture, x, y);
        const [r, s] = applySimilarity(made, x, y);
        expect(Math.hypot(p - r, q - s)).toBeLessThan(PLACES);
      }),
      { numRuns: 1000 },
    );
  });

  test('no similarity near the one that was fitted brings landmarks closer to the template', () => {
    const points = fc.array(real(0, 1920), { minLength: 10, maxLength: 10 });
    const miss = (s: Similarity, from: readonly number[]): number =>
      [0, 1, 2, 3, 4].reduce((sum, i) => {
        const [x, y] = applySimilarity(s, from[i * 2]!, from[i * 2 + 1]!);
        return sum + (x - template112[i * 2]!) ** 2 + (y - template112[i * 2 + 1]!) ** 2;
      }, 0);
    fc.assert(
      fc.property(points, real(-1e-3, 1e-3), real(-1e-3, 1e-3), real(-1, 1), real(-1, 1), (from, da, db, dx, dy) => {
        const best = fitSimilarity(from, template112);
        const other = { a: best.a + da, b: best.b + db, tx: best.tx + dx, ty: best.ty + dy };
        expect(miss(best, from)).toBeLessThanOrEqual(miss(other, from) + 1e-6);
      }),
    );
  });

  test('five landmarks on one spot give a finite transform', () => {
    const back = invertSimilarity(fitSimilarity(new Float64Array(10).fill(7), template112));
    expect(Object.values(back).every(Number.isFinite)).toBe(true);
  });
});

/** A picture whose brightness is where it is: pixel x of a row has x + 1 (and y + 1 for a picture that grows downwards). */
function ramp(kind: 'frame' | 'photo', width: number, height: number, down: boolean): YuvFrame | RgbPhoto {
  const luma = Uint8Array.from({ length: width * height }, (_, i) => (down ? Math.floor(i / width) : i % width) + 1);
  if (kind === 'photo') return new RgbPhoto([luma, luma, luma], width, height);
  const bytes = new Uint8Array(yuvBytes(width, height)).fill(128);
  bytes.set(luma);
  return new YuvFrame(bytes, width, height, { matrix: 'bt709', fullRange: true });
}

describe('pixels', () => {
  const small = fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 250 }));
  const kinds = fc.constantFrom('frame' as const, 'photo' as const);
  const clamp = (at: number, length: number): number => Math.min(length - 1, Math.max(0, at));

  /** Halving an odd side moves its last pixel by a half, and rounds; each time it is done. */
  const slack = (scale: number): number => 0.02 + (scale > 0.5 ? 0 : Math.ceil(Math.log2(1 / scale)) * 0.75);

  test('of a reduced picture lie where the letterbox says, and padding stays black', () => {
    const scales = fc.oneof(fc.constantFrom(1, 0.75, 0.5, 0.25), real(0.1, 1));
    fc.assert(
      fc.property(kinds, small, small, scales, fc.boolean(), (kind, width, height, scale, down) => {
        const [usedWidth, usedHeight] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
        const box: Letterbox = { scale, usedWidth, usedHeight, inputWidth: 256, inputHeight: 256 };
        const planes = [0, 1, 2].map(() => new Float32Array(256 * 256)) as [Float32Array, Float32Array, Float32Array];
        ramp(kind, width, height, down).reduce(box, planes);
        // Largest error first, then one comparison: thousands of pixels a run.
        let [worst, padding] = [0, 0];
        for (const plane of planes) {
          for (let i = 0; i < (down ? usedHeight : usedWidth); i++) {
            const expected = clamp(toFrame(box, i + 0.5) - 0.5, down ? height : width) + 1;
            worst = Math.max(worst, Math.abs(plane[down ? i * 256 : i]! - expected));
          }
          for (let y = 0; y < 256; y++) for (let x = y < usedHeight ? usedWidth : 0; x < 256; x++) padding += plane[y * 256 + x]!;
        }
        expect(worst).toBeLessThanOrEqual(slack(scale));
        expect(padding).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  test('of an aligned face lie where the similarity says, and outside is black', () => {
    const toPicture = fc
      .record({ size: real(-3, 2.5), turn: real(-Math.PI, Math.PI), tx: real(-50, 200), ty: real(-50, 200) })
      .map(({ size, turn, tx, ty }) => ({ a: 2 ** size * Math.cos(turn), b: 2 ** size * Math.sin(turn), tx, ty }));
    fc.assert(
      fc.property(kinds, small, small, toPicture, fc.boolean(), (kind, width, height, m, down) => {
        const out = ramp(kind, width, height, down).warp(m, 16);
        const shrunk = Math.hypot(m.a, m.b);
        let [worst, outside] = [0, 0];
        for (let j = 0; j < 16; j++) {
          for (let i = 0; i < 16; i++) {
            const [x, y] = applySimilarity(m, i, j);
            const brightness = out[(j * 16 + i) * 3]!;
            const beyond = Math.max(-x, x - (width - 1), -y, y - (height - 1));
            // In between the edge's pixels fade into black, over as much as one pixel of the face covers.
            if (beyond > 2 + 2 * shrunk) outside = Math.max(outside, brightness);
            else if (beyond <= 0) worst = Math.max(worst, Math.abs(brightness - ((down ? y : x) + 1)));
          }
        }
        expect(outside).toBe(0);
        expect(worst).toBeLessThanOrEqual(slack(1 / Math.max(1, shrunk)) + 0.02);
      }),
      { numRuns: 150 },
    );
  });
});
