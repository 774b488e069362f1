import fc from 'fast-check';
import { applySimilarity, fitSimilarity, invertSimilarity, template112 } from './align';
import { cropRect } from './crop';
import { letterbox, toFrame, toInput } from './letterbox';
import { frontality } from './quality';
import { RgbPhoto } from './rgb-photo';
import { type Detection, decodeYunet, iou, suppress, type YunetMaps } from './yunet';
import { YuvFrame, yuvBytes } from './yuv-frame';

const real = (min: number, max: number) => fc.double({ min, max, noNaN: true });

describe('letterbox', () => {
  const inputs = fc.oneof(
    fc.record({ dynamic: fc.constant(true as const), longestSide: fc.integer({ min: 320, max: 2048 }), minScale: real(0.1, 1) }),
    fc.constant([640, 640] as [number, number]),
  );
  test('keeps the whole frame, never enlarges, in multiples of 32, and inverts', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 16, max: 7680 }),
        fc.integer({ min: 16, max: 4320 }),
        inputs,
        real(0, 1),
        (width, height, input, at) => {
          const box = letterbox(width, height, input);
          expect((box.inputWidth % 32) + (box.inputHeight % 32)).toBe(0);
          expect(box.scale).toBeLessThanOrEqual(1);
          expect(box.usedWidth).toBeLessThanOrEqual(box.inputWidth);
          expect(box.usedHeight).toBeLessThanOrEqual(box.inputHeight);
          const x = at * width;
          expect(toFrame(box, toInput(box, x))).toBeCloseTo(x, 9);
          expect(toInput(box, width)).toBeLessThanOrEqual(box.inputWidth + 0.5);
        },
      ),
    );
  });
  test('1080p is shown at one half, 720p at three quarters, 4K no smaller than a half', () => {
    const rule = { dynamic: true as const, longestSide: 960, minScale: 0.5 };
    expect(letterbox(1920, 1080, rule)).toMatchObject({ scale: 0.5, inputWidth: 960, inputHeight: 544 });
    expect(letterbox(1280, 720, rule)).toMatchObject({ scale: 0.75, inputWidth: 960, inputHeight: 544 });
    expect(letterbox(3840, 2160, rule)).toMatchObject({ scale: 0.5, inputWidth: 1920, inputHeight: 1088 });
  });
});

describe('alignment', () => {
  const similarity = fc
    .record({ a: real(-3, 3), b: real(-3, 3), tx: real(-2000, 2000), ty: real(-2000, 2000) })
    .filter((s) => Math.hypot(s.a, s.b) > 0.05);
  test('finds the similarity that made the landmarks, and inverts it', () => {
    fc.assert(
      fc.property(similarity, (made) => {
        const seen = new Float64Array(10);
        for (let i = 0; i < 5; i++) seen.set(applySimilarity(made, template112[i * 2]!, template112[i * 2 + 1]!), i * 2);
        const back = fitSimilarity(seen, template112);
        for (let i = 0; i < 5; i++) {
          const [x, y] = applySimilarity(back, seen[i * 2]!, seen[i * 2 + 1]!);
          expect(x).toBeCloseTo(template112[i * 2]!, 6);
          expect(y).toBeCloseTo(template112[i * 2 + 1]!, 6);
        }
        const there = invertSimilarity(back);
        expect(there.a).toBeCloseTo(made.a, 6);
        expect(there.tx).toBeCloseTo(made.tx, 5);
      }),
    );
  });
  test('five landmarks on one spot give a finite transform', () => {
    const back = invertSimilarity(fitSimilarity(new Float64Array(10).fill(7), template112));
    expect(Object.values(back).every(Number.isFinite)).toBe(true);
  });
});

const detection = (x: number, y: number, width: number, height: number, score: number): Detection => ({
  x,
  y,
  width,
  height,
  score,
  landmarks: new Float64Array(10),
});

/** The formula word for word from the model's description, cell by cell. */
function slowDecode(maps: readonly YunetMaps[], minScore: number): Detection[] {
  const out: Detection[] = [];
  for (const m of maps) {
    for (let r = 0; r < m.rows; r++) {
      for (let c = 0; c < m.columns; c++) {
        const i = r * m.columns + c;
        const score = Math.sqrt(Math.min(1, Math.max(0, m.cls[i]!)) * Math.min(1, Math.max(0, m.obj[i]!)));
        if (score < minScore) continue;
        const [dx, dy, w, h] = [0, 1, 2, 3].map((k) => m.bbox[i * 4 + k]!) as [number, number, number, number];
        const [cx, cy, width, height] = [(c + dx) * m.stride, (r + dy) * m.stride, Math.exp(w) * m.stride, Math.exp(h) * m.stride];
        const landmarks = new Float64Array(10);
        for (let k = 0; k < 5; k++) {
          landmarks[k * 2] = (m.kps[i * 10 + k * 2]! + c) * m.stride;
          landmarks[k * 2 + 1] = (m.kps[i * 10 + k * 2 + 1]! + r) * m.stride;
        }
        out.push({ x: cx - width / 2, y: cy - height / 2, width, height, score, landmarks });
      }
    }
  }
  return out;
}

describe('YuNet', () => {
  const floats = (length: number, min: number, max: number) =>
    fc
      .array(fc.float({ min: Math.fround(min), max: Math.fround(max), noNaN: true }), { minLength: length, maxLength: length })
      .map((v) => Float32Array.from(v));
  const maps = fc
    .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }), fc.constantFrom(8, 16, 32))
    .chain(([columns, rows, stride]) => {
      const n = columns * rows;
      return fc.record({
        stride: fc.constant(stride),
        columns: fc.constant(columns),
        rows: fc.constant(rows),
        cls: floats(n, -0.5, 1.5),
        obj: floats(n, -0.5, 1.5),
        bbox: floats(n * 4, -3, 3),
        kps: floats(n * 10, -3, 3),
      });
    });
  test('decodes as the slow reference does', () => {
    // A square that lands on the threshold to the last bit may fall either way.
    const steady = (m: YunetMaps) => m.cls.every((c, i) => Math.abs(Math.sqrt(Math.max(0, c * m.obj[i]!)) - 0.6) > 1e-6);
    fc.assert(fc.property(fc.array(maps.filter(steady), { maxLength: 3 }), (m) => expect(decodeYunet(m, 0.6)).toEqual(slowDecode(m, 0.6))));
  });
  test('a model that answers NaN finds nobody', () => {
    const nan = new Float32Array(10).fill(Number.NaN);
    expect(decodeYunet([{ stride: 8, columns: 1, rows: 1, cls: nan, obj: nan, bbox: nan, kps: nan }], 0.6)).toEqual([]);
  });
  test('suppression keeps the best of what overlaps, loses nothing apart, in any order of input', () => {
    const boxes = fc.array(fc.tuple(real(0, 100), real(0, 100), real(5, 60), real(5, 60), real(0.6, 1)), { maxLength: 30 });
    fc.assert(
      fc.property(boxes, (raw) => {
        const found = raw.map((r) => detection(...r));
        const kept = suppress(found, 0.3, 100);
        for (const a of kept) for (const b of kept) if (a !== b) expect(iou(a, b)).toBeLessThanOrEqual(0.3);
        for (const f of found) expect(kept.some((k) => k === f || (iou(k, f) > 0.3 && k.score >= f.score))).toBe(true);
        expect(suppress([...found].reverse(), 0.3, 100)).toEqual(kept);
      }),
    );
  });
  test('never more than the limit', () => {
    const apart = Array.from({ length: 50 }, (_, i) => detection(i * 20, 0, 10, 10, 0.9));
    expect(suppress(apart, 0.3, 7)).toHaveLength(7);
  });
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
