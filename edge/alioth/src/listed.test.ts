import { mergeSpans } from '@stardipper/proto';
import fc from 'fast-check';
import { type Listed, Listing, type Mark } from './listed';

async function* source(items: readonly Listed[], toMs: number): AsyncGenerator<Listed | Mark> {
  yield* items;
  yield { untilMs: toMs };
}
const spanOf = ({ fromMs, toMs }: Listed) => ({ from: fromMs, to: toMs });

describe('Listing', () => {
  it('turns any footage into pages that cover the same time once, however they are cut', async () => {
    const segment = fc.record({ fromMs: fc.integer({ min: 0, max: 300 }), length: fc.integer({ min: 1, max: 60 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(segment, { maxLength: 40 }), fc.integer({ min: 1, max: 7 }), fc.boolean(), async (raw, size, continued) => {
        const items: Listed[] = raw
          .map(({ fromMs, length }, i) => ({ fromMs, toMs: fromMs + length, uri: String(i), sizeBytes: 0 }))
          .sort((a, b) => a.fromMs - b.fromMs || b.toMs - a.toMs);
        const [from, to] = [50, 280];
        const found: Listed[] = [];
        let listing: Listing | undefined;
        for (let at = from; at < to; ) {
          // Either the same listing goes on, or a new one begins where the last page ended: both must give the same.
          const start = at;
          const overlapping = items.filter((i) => i.toMs > start && i.fromMs < to);
          if (!listing || !continued) listing = new Listing(source(overlapping, to), at, to);
          const page = await listing.page(size);
          expect(page.segments.length).toBeLessThanOrEqual(size);
          expect(page.listedUntilMs).toBeGreaterThan(at);
          expect(page.segments.every((s) => s.fromMs < page.listedUntilMs)).toBe(true);
          found.push(...page.segments);
          at = page.listedUntilMs;
        }
        for (const [i, one] of found.entries()) expect(one.fromMs).toBeGreaterThanOrEqual(found[i - 1]?.toMs ?? 0);
        const clip = (all: readonly Listed[]) =>
          mergeSpans(all.map(spanOf).map((s) => ({ from: Math.max(s.from, from), to: Math.min(s.to, to) })));
        expect(clip(found)).toEqual(clip(items));
      }),
      { numRuns: 500 },
    );
  });
});
