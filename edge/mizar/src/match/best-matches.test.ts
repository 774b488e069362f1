import fc from 'fast-check';
import { normalise } from '../inference/face-engine';
import { bestMatches, type RowMatch, VectorBlock } from './best-matches';

const block = (rows: readonly Float32Array[], dimension: number): VectorBlock => {
  const b = new VectorBlock(dimension, Math.max(1, rows.length));
  rows.forEach((row, i) => {
    b.vectors.set(row, i * dimension);
  });
  return b;
};
const join = (all: readonly Float32Array[]): Float32Array => Float32Array.from(all.flatMap((v) => [...v]));
const queriesOf = (people: readonly (readonly Float32Array[])[]) => people.map((p, i) => ({ personId: `p${i}`, embeddings: join(p) }));
/** Some divide by 16, which the fast kernel takes, and some do not. */
const dimensions = fc.constantFrom(1, 5, 16, 21, 32, 48, 128);

describe('everything compared with everything', () => {
  /** Halves and ones: every sum is exact in whatever order it is made, so equal means equal, also at the threshold. */
  const coarse = (d: number) =>
    fc.array(fc.constantFrom(-1, -0.5, 0, 0.5, 1), { minLength: d, maxLength: d }).map((v) => Float32Array.from(v));
  const row = (d: number) =>
    fc.oneof(
      { weight: 6, arbitrary: coarse(d) },
      { weight: 1, arbitrary: fc.constant(new Float32Array(d)) },
      { weight: 1, arbitrary: fc.constant(new Float32Array(d).fill(-0)) },
      { weight: 1, arbitrary: fc.constant(new Float32Array(d).fill(Number.NaN)) },
    );
  /** Few different vectors, so that rows repeat one another and people share their embeddings. */
  const world = dimensions.chain((d) =>
    fc
      .tuple(fc.array(row(d), { minLength: 1, maxLength: 5 }), fc.array(coarse(d), { minLength: 1, maxLength: 4 }))
      .chain(([stored, asked]) =>
        fc.record({
          d: fc.constant(d),
          rows: fc.array(fc.constantFrom(...stored, ...asked), { maxLength: 30 }),
          people: fc.array(fc.array(fc.constantFrom(...asked), { minLength: 1, maxLength: 4 }), { maxLength: 4 }),
          threshold: fc.oneof(
            fc.integer({ min: -8, max: 8 }).map((t) => t / 4),
            fc.double({ min: -2, max: 2, noNaN: true }),
          ),
        }),
      ),
  );

  test('is what is answered, to the last bit and in order: duplicates, ties, zero vectors and NaN included', () => {
    fc.assert(
      fc.property(world, ({ d, rows, people, threshold }) => {
        const expected: RowMatch[] = [];
        rows.forEach((vector, at) => {
          people.forEach((embeddings, i) => {
            if (vector.every((v) => v === 0) || vector.some(Number.isNaN)) return;
            const score = Math.max(...embeddings.map((e) => e.reduce((sum, x, k) => sum + x * vector[k]!, 0)));
            if (score >= threshold) expected.push({ row: at, personId: `p${i}`, score });
          });
        });
        const found = bestMatches(block(rows, d), rows.length, queriesOf(people), threshold);
        // -0 and 0 are one score.
        expect(found.map((m) => ({ ...m, score: m.score + 0 }))).toEqual(expected.map((m) => ({ ...m, score: m.score + 0 })));
      }),
      { numRuns: 500 },
    );
  });

  test('is what is answered for unit vectors too, to the rounding of their sums', () => {
    const unit = (d: number) =>
      fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: d, maxLength: d }).map((v) => {
        const u = Float32Array.from(v);
        normalise(u);
        return u;
      });
    const units = dimensions.chain((d) =>
      fc.record({
        d: fc.constant(d),
        rows: fc.array(unit(d), { maxLength: 12 }),
        people: fc.array(fc.array(unit(d), { minLength: 1, maxLength: 3 }), { maxLength: 4 }),
        threshold: fc.double({ min: -1, max: 1, noNaN: true }),
      }),
    );
    fc.assert(
      fc.property(units, ({ d, rows, people, threshold }) => {
        const found = new Map(
          bestMatches(block(rows, d), rows.length, queriesOf(people), threshold).map((m) => [`${m.row}/${m.personId}`, m.score]),
        );
        rows.forEach((vector, at) => {
          if (vector.every((v) => v === 0)) return;
          people.forEach((embeddings, i) => {
            const score = Math.max(...embeddings.map((e) => e.reduce((sum, x, k) => sum + x * vector[k]!, 0)));
            const answered = found.get(`${at}/p${i}`);
            if (answered !== undefined) expect(Math.abs(answered - score)).toBeLessThan(1e-5);
            if (Math.abs(score - threshold) > 1e-5) expect(answered !== undefined).toBe(score > threshold);
          });
        });
      }),
    );
  });
});

test('one question leaves nothing behind for the next', () => {
  const [one, other] = [Float32Array.of(1, 0), Float32Array.of(0, 1)];
  const stored = block([one, other], 2);
  const ask = (...embeddings: Float32Array[]) => bestMatches(stored, 2, queriesOf([embeddings]), 0.5).map((m) => m.row);
  expect([ask(one), ask(one, other), ask(other), ask(one)]).toEqual([[0], [0, 1], [1], [0]]);
  // Fewer rows than there were: what is left of a larger block is not looked at.
  expect(bestMatches(stored, 1, queriesOf([[other]]), 0.5)).toEqual([]);
});

test('a query of another length is refused, not compared with what was asked before', () => {
  const stored = block([new Float32Array(16).fill(0.25)], 16);
  for (const length of [0, 8, 24]) {
    expect(() => bestMatches(stored, 1, [{ personId: 'p', embeddings: new Float32Array(length) }], 0)).toThrow(RangeError);
  }
});
