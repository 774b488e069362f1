import fc from 'fast-check';
import { normalise } from '../inference/face-engine';
import { bestMatches, VectorBlock } from './best-matches';

const unit = (d: number) =>
  fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: d, maxLength: d }).map((v) => {
    const u = Float32Array.from(v);
    normalise(u);
    return u;
  });
const block = (rows: readonly Float32Array[], dimension: number): VectorBlock => {
  const b = new VectorBlock(dimension, Math.max(1, rows.length));
  rows.forEach((row, i) => {
    b.vectors.set(row, i * dimension);
  });
  return b;
};
const join = (all: readonly Float32Array[]): Float32Array => Float32Array.from(all.flatMap((v) => [...v]));

test('equals comparing everything with everything, whatever the dimension', () => {
  const world = fc.constantFrom(1, 5, 16, 21, 32, 128).chain((d) =>
    fc.record({
      d: fc.constant(d),
      rows: fc.array(unit(d), { maxLength: 12 }),
      people: fc.array(fc.array(unit(d), { minLength: 1, maxLength: 3 }), { maxLength: 4 }),
    }),
  );
  fc.assert(
    fc.property(world, fc.double({ min: -1, max: 1, noNaN: true }), ({ d, rows, people }, threshold) => {
      const score = (row: Float32Array, person: readonly Float32Array[]) =>
        Math.max(...person.map((e) => e.reduce((sum, x, i) => sum + x * row[i]!, 0)));
      const sure = rows
        .flatMap((r, row) => people.map((p, i) => ({ row, personId: `p${i}`, score: score(r, p) })))
        .filter((m) => Math.abs(m.score - threshold) > 1e-5);
      const found = bestMatches(
        block(rows, d),
        rows.length,
        people.map((p, i) => ({ personId: `p${i}`, embeddings: join(p) })),
        threshold,
      );
      for (const m of sure) {
        const same = found.find((f) => f.row === m.row && f.personId === m.personId);
        expect(same !== undefined).toBe(m.score >= threshold);
        if (same) expect(same.score).toBeCloseTo(m.score, 5);
      }
      expect(new Set(found.map((f) => `${f.row}/${f.personId}`)).size).toBe(found.length);
      expect(found.map((f) => f.row)).toEqual(found.map((f) => f.row).sort((a, b) => a - b));
    }),
  );
});

test('a score equal to the threshold matches', () => {
  const same = Float32Array.of(1, 0, 0, 0);
  expect(bestMatches(block([same], 4), 1, [{ personId: 'p', embeddings: same }], 1)).toEqual([{ row: 0, personId: 'p', score: 1 }]);
});
