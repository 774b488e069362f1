import { type alioth, intersectSpans, type Span, subtractSpans, totalMs } from '@stardipper/proto';
import fc from 'fast-check';
import { CameraLedger, findingsMs, joinFindings } from './camera-ledger';
import { type Finding, judgeSegment, knownSpans, planPage, samplingOf } from './coverage';
import { reportPages } from './report-pages';

const end = 600_000;
const span = fc
  .tuple(fc.integer({ min: 0, max: end }), fc.integer({ min: 1, max: 90_000 }))
  .map(([from, length]): Span => ({ from, to: from + length }));
const segment = (s: Span, growing = false): alioth.Segment => ({
  recorderId: 'r',
  channel: 1,
  fromMs: s.from,
  toMs: s.to,
  playbackUri: '',
  sizeBytes: 0,
  growing,
});

/** Sorted, and each begins where the one before ended. */
function expectPartition(spans: readonly Span[], whole: Span): void {
  let at = whole.from;
  for (const s of [...spans].sort((a, b) => a.from - b.from)) {
    expect(s.from).toBe(at);
    expect(s.to).toBeGreaterThan(s.from);
    at = s.to;
  }
  expect(at).toBe(whole.to);
}

test('whatever a recorder lists, every millisecond is asked of one segment, known, or a gap', () => {
  fc.assert(
    fc.property(
      fc.array(span, { maxLength: 12 }),
      fc.array(span, { maxLength: 4 }),
      fc.boolean(),
      fc.integer({ min: 0, max: 2 * end }),
      (listed, indexed, growing, now) => {
        const range = { from: 20_000, to: end - 30_000 };
        const known = knownSpans(
          range,
          indexed.map((s) => ({ fromMs: s.from, toMs: s.to, samplingMs: 1_000 })),
        );
        const segments = listed.map((s, i) => segment(s, growing && i === listed.length - 1));
        const plan = planPage({ ...range, listedUntil: range.to, segments, known, end: range.to, now });
        expect(plan.next).toBe(range.to);
        expectPartition([...plan.works.flatMap((w) => w.pieces), ...plan.gaps, ...known], range);
        for (const gap of plan.gaps) {
          expect(listed.every((s) => !intersectSpans(s, gap))).toBe(true);
          if (gap.kind === 'no_footage') expect(gap.to).toBeLessThanOrEqual(Math.max(1, now));
        }
        for (const work of plan.works)
          for (const piece of work.pieces) {
            const outside = subtractSpans(piece, [{ from: work.segment.fromMs, to: work.segment.toMs }]);
            if (!work.segment.growing) expect(totalMs(outside)).toBeLessThanOrEqual(2_000);
          }
      },
    ),
    { numRuns: 500 },
  );
});

test('pages cut anywhere account for the same time as one page', () => {
  fc.assert(
    fc.property(fc.array(span, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: end - 1 }), { maxLength: 6 }), (listed, cuts) => {
      const range = { from: 0, to: end };
      const pieces: Span[] = [];
      let at = 0;
      for (const cut of [...cuts, end].sort((a, b) => a - b)) {
        if (cut <= at) continue;
        const segments = listed.filter((s) => s.from < cut && s.to > at).map((s) => segment(s));
        const plan = planPage({ from: at, to: end, listedUntil: cut, segments, known: [], end, now: end });
        pieces.push(...plan.works.flatMap((w) => w.pieces), ...plan.gaps);
        at = plan.next;
      }
      expectPartition(pieces, range);
    }),
  );
});

test('a segment is split exactly into what could be decoded and what could not', () => {
  fc.assert(
    fc.property(
      fc.array(span, { minLength: 1, maxLength: 4 }),
      span,
      fc.integer({ min: 0, max: 20_000 }),
      fc.integer({ min: 0, max: 1_000 }),
      (asked, decoded, samplingMs, seamMs) => {
        const whole = { from: 0, to: 2 * end };
        const pieces = subtractSpans(whole, subtractSpans(whole, asked));
        const findings = judgeSegment({ pieces, seamMs }, { ...decoded, samplingMs });
        expect(findingsMs(findings)).toBe(totalMs(pieces));
        for (const piece of pieces)
          expectPartition(
            findings.flatMap((f) => intersectSpans(f, piece) ?? []),
            piece,
          );
        // Nothing further than a sampling interval (10 s at most) and a seam from decoded video counts as searched.
        const near = { from: decoded.from - 10_000, to: decoded.to + 11_000 };
        for (const f of findings) if (f.kind === 'searched') expect(subtractSpans(f, [near])).toEqual([]);
      },
    ),
  );
  expect(judgeSegment({ pieces: [{ from: 0, to: 60_000 }], seamMs: 0 }, { from: 300, to: 58_100, samplingMs: 1_000 })).toEqual([
    { from: 0, to: 60_000, kind: 'searched', samplingMs: 1_000 },
  ]);
  expect(judgeSegment({ pieces: [{ from: 0, to: 60_000 }], seamMs: 0 }, { from: 0, to: 57_000, samplingMs: 1_000 })).toEqual([
    { from: 0, to: 57_000, kind: 'searched', samplingMs: 1_000 },
    { from: 57_000, to: 60_000, kind: 'failed', reason: 'segment.truncated' },
  ]);
  expect(judgeSegment({ pieces: [{ from: 0, to: 10 }], seamMs: 0 }, { from: 0, to: 0, samplingMs: 0 })).toEqual([
    { from: 0, to: 10, kind: 'failed', reason: 'segment.truncated' },
  ]);
});

test('the index is read without holes that are only rounding, and without believing nonsense', () => {
  const covered = [
    { fromMs: 120_500, toMs: 180_000, samplingMs: 1_000 },
    { fromMs: 400, toMs: 58_500, samplingMs: 1_000 },
    { fromMs: 60_000, toMs: 118_000, samplingMs: 1_000 },
    { fromMs: Number.NaN, toMs: 5, samplingMs: 0 },
    { fromMs: 9, toMs: 3, samplingMs: 0 },
  ];
  expect(knownSpans({ from: 0, to: 181_000 }, covered)).toEqual([{ from: 0, to: 181_000, samplingMs: 1_000 }]);
  expect(knownSpans({ from: 0, to: 300_000 }, covered)).toEqual([{ from: 0, to: 180_000, samplingMs: 1_000 }]);
  expect(samplingOf([{ from: 0, to: 60_000 }], covered)).toBe(1_000);
  expect(samplingOf([{ from: 0, to: 200_000 }], covered)).toBeUndefined();
});

test('a ledger takes findings in any order, repeated and overlapping, and counts every millisecond once', () => {
  fc.assert(
    fc.property(fc.array(span, { maxLength: 30 }), (spans) => {
      const range = { from: 10_000, to: end };
      const ledger = new CameraLedger(range);
      const entered: Finding[] = [];
      for (const s of spans) {
        entered.push(...ledger.enter({ ...s, kind: 'searched' }));
        const stored = new CameraLedger(range, ledger.doneUntil, JSON.parse(JSON.stringify(ledger.ahead)) as Span[]);
        expect(stored.rest()).toEqual(ledger.rest());
      }
      entered.push(...ledger.rest().flatMap((s) => ledger.enter({ ...s, kind: 'failed', reason: 'x' })));
      expect(ledger.complete).toBe(true);
      expect(ledger.ahead).toEqual([]);
      expectPartition(entered, range);
      expectPartition(joinFindings(entered), range);
    }),
  );
});

test('reports stay within one payload, in order and complete', () => {
  const text = fc.string({ minLength: 1, maxLength: 64 });
  const coverage = fc.record({ cameraId: text, from: fc.nat(), to: fc.nat(), kind: fc.constant('failed' as const), reason: text });
  fc.assert(
    fc.property(fc.array(coverage, { maxLength: 40 }), fc.integer({ min: 1, max: 60 }), (few, times) => {
      const spans = Array.from({ length: times }, () => few).flat();
      const match = {
        sightingId: 's',
        personId: 'p',
        cameraId: 'c',
        at: 1,
        score: 0.1234567,
        quality: 1,
        box: [1, 2, 3, 4] as [number, number, number, number],
        frame: [1, 2] as [number, number],
      };
      const matches = Array.from({ length: times * 7 }, () => match);
      const pages = reportPages(spans, matches);
      expect(pages.flatMap((p) => p.coverage)).toEqual(spans);
      expect(pages.flatMap((p) => p.matches)).toEqual(matches);
      for (const page of pages) {
        expect(Buffer.byteLength(JSON.stringify(page))).toBeLessThan(59_000);
        expect(page.coverage.length).toBeLessThanOrEqual(500);
        expect(page.matches.length).toBeLessThanOrEqual(100);
      }
    }),
    { numRuns: 60 },
  );
});
