/** The detector's decode and suppression beside slow ones written word for word from the model's description. */
import fc from 'fast-check';
import { cropRect } from './crop';
import { type Detection, decodeYunet, iou, suppress, type YunetMaps } from './yunet';

/**
 * For stride s and the cell in row r and column c: score = sqrt(clamp(cls) * clamp(obj)), centre = ((c + dx) s, (r + dy) s),
 * size = (e^w s, e^h s), landmark k = ((kx + c) s, (ky + r) s). Whatever is not a number to be drawn on a picture is no face.
 */
function slowDecode(maps: readonly YunetMaps[], minScore: number): Detection[] {
  const faces: Detection[] = [];
  for (const { stride, columns, rows, cls, obj, bbox, kps } of maps) {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        const cell = r * columns + c;
        const answers = [cls[cell]!, obj[cell]!, ...bbox.slice(cell * 4, cell * 4 + 4), ...kps.slice(cell * 10, cell * 10 + 10)];
        if (answers.some((a) => Number.isNaN(a) || a === Number.POSITIVE_INFINITY || a === Number.NEGATIVE_INFINITY)) continue;
        const score = Math.sqrt(Math.min(1, Math.max(0, answers[0]!)) * Math.min(1, Math.max(0, answers[1]!)));
        if (score < minScore) continue;
        const [dx, dy, w, h] = answers.slice(2, 6) as [number, number, number, number];
        const [width, height] = [Math.exp(w) * stride, Math.exp(h) * stride];
        if ([width, height, width * height].some((v) => v === 0 || v === Number.POSITIVE_INFINITY)) continue;
        const landmarks = Float64Array.from(answers.slice(6), (at, i) => (at + (i % 2 === 0 ? c : r)) * stride);
        faces.push({ x: (c + dx) * stride - width / 2, y: (r + dy) * stride - height / 2, width, height, score, landmarks });
      }
    }
  }
  return faces;
}

function slowIou(a: Detection, b: Detection): number {
  const width = Math.max(0, Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x));
  const height = Math.max(0, Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y));
  const both = width * height;
  return both === 0 ? 0 : both / (a.width * a.height + b.width * b.height - both);
}

/** The best of all is a face; whatever overlaps it too much is not; and so on with what is left. */
function slowSuppress(found: readonly Detection[], maxIou: number, limit: number): Detection[] {
  const rank = (d: Detection): number[] => [-d.score, d.y, d.x, d.width, d.height];
  const before = (a: Detection, b: Detection): boolean => {
    const [p, q] = [rank(a), rank(b)];
    const differ = p.findIndex((v, i) => v !== q[i]);
    return differ >= 0 && p[differ]! < q[differ]!;
  };
  const faces: Detection[] = [];
  for (let left = [...found]; left.length > 0 && faces.length < limit; ) {
    const best = left.reduce((first, next) => (before(next, first) ? next : first));
    faces.push(best);
    left = left.filter((other) => other !== best && slowIou(best, other) <= maxIou);
  }
  return faces;
}

const NOT_NUMBERS = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** Answers of a model: mostly sane, sometimes broken. No product of two scores lies near the threshold, where rounding would decide. */
const MIN_SCORE = 0.57;
const floats = (length: number, value: fc.Arbitrary<number>) =>
  fc.array(value, { minLength: length, maxLength: length }).map((v) => Float32Array.from(v));
const scores = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(-0.5, 0, 0.1, 0.5, 0.7, 0.8, 0.9, 1, 1.5) },
  { weight: 1, arbitrary: fc.constantFrom(...NOT_NUMBERS) },
);
const lengths = fc.oneof(
  { weight: 60, arbitrary: fc.float({ min: -3, max: 3, noNaN: true }) },
  // Far beyond the frame, and as large as a float gets.
  { weight: 3, arbitrary: fc.constantFrom(-100, 100, -1000, 1000, 340, 3e38) },
  { weight: 1, arbitrary: fc.constantFrom(...NOT_NUMBERS) },
);
const maps: fc.Arbitrary<YunetMaps> = fc
  .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 5 }), fc.constantFrom(8, 16, 32))
  .chain(([columns, rows, stride]) => {
    const cells = columns * rows;
    return fc.record({
      stride: fc.constant(stride),
      columns: fc.constant(columns),
      rows: fc.constant(rows),
      cls: floats(cells, scores),
      obj: floats(cells, scores),
      bbox: floats(cells * 4, lengths),
      kps: floats(cells * 10, lengths),
    });
  });

test('decodes as the slow reference does, whatever the model answers', () => {
  fc.assert(
    fc.property(fc.array(maps, { maxLength: 3 }), (m) => expect(decodeYunet(m, MIN_SCORE)).toEqual(slowDecode(m, MIN_SCORE))),
    { numRuns: 400 },
  );
});

test('decoded and suppressed as the slow reference does, every face is one that can be cut out of the frame', () => {
  fc.assert(
    fc.property(fc.array(maps, { maxLength: 3 }), fc.constantFrom(0.05, 0.3, 0.95), fc.integer({ min: 0, max: 8 }), (m, maxIou, limit) => {
      const faces = suppress(decodeYunet(m, MIN_SCORE), maxIou, limit);
      expect(faces).toEqual(slowSuppress(slowDecode(m, MIN_SCORE), maxIou, limit));
      for (const face of faces) {
        const { left, top, width, height } = cropRect(face, 160, 90);
        expect(left >= 0 && top >= 0 && width >= 1 && height >= 1 && left + width <= 160 && top + height <= 90).toBe(true);
      }
    }),
    { numRuns: 400 },
  );
});

/** One cell, in its middle a face of 8 x 8. */
const oneCell = (change: Partial<Record<'cls' | 'obj' | 'bbox' | 'kps', readonly [at: number, value: number]>> = {}): YunetMaps => {
  const cell = {
    stride: 8,
    columns: 1,
    rows: 1,
    cls: Float32Array.of(0.9),
    obj: Float32Array.of(0.9),
    bbox: Float32Array.of(0.5, 0.5, 0, 0),
    kps: new Float32Array(10).fill(0.5),
  };
  for (const [part, [at, value]] of Object.entries(change)) cell[part as keyof typeof change][at] = value;
  return cell;
};

test.each(NOT_NUMBERS)('a cell that holds %p anywhere is dropped, and its neighbours stay', (value) => {
  const sane = oneCell();
  expect(decodeYunet([sane], MIN_SCORE)).toMatchObject([{ x: 0, y: 0, width: 8, height: 8 }]);
  const places = { cls: 1, obj: 1, bbox: 4, kps: 10 } as const;
  for (const [part, count] of Object.entries(places)) {
    for (let at = 0; at < count; at++) {
      expect(decodeYunet([oneCell({ [part]: [at, value] }), sane], MIN_SCORE)).toEqual(decodeYunet([sane], MIN_SCORE));
    }
  }
});

test('a box as wide as no number can say, or of no width, is dropped', () => {
  for (const w of [1000, 700, -1000]) expect(decodeYunet([oneCell({ bbox: [2, w] })], MIN_SCORE)).toHaveLength(w === 700 ? 1 : 0);
  const both = oneCell({ bbox: [2, 700] });
  both.bbox[3] = 700;
  expect(decodeYunet([both], MIN_SCORE)).toEqual([]);
});

test('no maps, and maps without cells, hold nobody', () => {
  const none = new Float32Array(0);
  expect(decodeYunet([], MIN_SCORE)).toEqual([]);
  expect(decodeYunet([{ stride: 8, columns: 0, rows: 0, cls: none, obj: none, bbox: none, kps: none }], MIN_SCORE)).toEqual([]);
  expect(suppress([], 0.3, 10)).toEqual([]);
});

/** Boxes on a coarse grid with few scores: equal scores, equal places and equal boxes are common. */
const tied: fc.Arbitrary<Detection> = fc
  .tuple(...[0, 1, 2, 3].map((i) => fc.integer({ min: i < 2 ? -2 : 1, max: 4 })), fc.constantFrom(0.6, 0.75, 1))
  .map(([x, y, width, height, score]) => ({
    x: x! * 10,
    y: y! * 10,
    width: width! * 10,
    height: height! * 10,
    score: score!,
    landmarks: new Float64Array(10),
  }));

describe('suppression', () => {
  test('is the slow one, ties and all, and does not depend on the order of its input', () => {
    const runs = fc.tuple(fc.array(tied, { maxLength: 25 }), fc.constantFrom(0.05, 0.25, 0.5, 0.95), fc.constantFrom(0, 1, 3, 100));
    fc.assert(
      fc.property(
        runs.chain(([found, maxIou, limit]) =>
          fc.tuple(fc.constant(found), fc.shuffledSubarray(found, { minLength: found.length }), fc.constant(maxIou), fc.constant(limit)),
        ),
        ([found, shuffled, maxIou, limit]) => {
          const kept = suppress(found, maxIou, limit);
          expect(kept).toEqual(slowSuppress(found, maxIou, limit));
          expect(suppress(shuffled, maxIou, limit)).toEqual(kept);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('keeps the best of what overlaps and loses nothing that stands apart', () => {
    fc.assert(
      fc.property(fc.array(tied, { maxLength: 30 }), (found) => {
        const kept = suppress(found, 0.3, 100);
        for (const a of kept) for (const b of kept) if (a !== b) expect(iou(a, b)).toBeLessThanOrEqual(0.3);
        for (const f of found) expect(kept.some((k) => k === f || (iou(k, f) > 0.3 && k.score >= f.score))).toBe(true);
      }),
    );
  });

  test('overlap exactly at the limit stays; a hair over goes', () => {
    const at = (x: number): Detection => ({ x, y: 0, width: 30, height: 10, score: 0.9, landmarks: new Float64Array(10) });
    // Two thirds of each: 200 of 400.
    expect(suppress([at(0), at(10)], 0.5, 10)).toHaveLength(2);
    expect(suppress([at(0), at(10)], 0.499, 10)).toHaveLength(1);
  });
});
