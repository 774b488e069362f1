import { type CoverageKind, coverageKinds } from '@stardipper/proto';
import fc from 'fast-check';
import { fillGaps, joinForReading, type LedgerRow, layRows, noTotals, rowsOfReport, sumOf, totalsOf } from './coverage';

const range = { from: 0, to: 100 };
const row = (from: number, to: number, kind: CoverageKind, seq: number): LedgerRow => ({
  cameraId: 'c',
  from,
  to,
  kind,
  reason: null,
  samplingMs: null,
  seq,
});

/** Applies reports in this order the way the store does, with everything as context. */
function ledgerOf(reports: readonly { seq: number; rows: LedgerRow[] }[]) {
  let rows: LedgerRow[] = [];
  let totals = noTotals();
  const seen = new Set<number>();
  for (const report of reports) {
    if (seen.has(report.seq)) continue;
    seen.add(report.seq);
    let settled = 0;
    while (seen.has(settled + 1)) settled += 1;
    const change = layRows(rows, report.rows, settled);
    rows = [...rows.filter((r) => !change.removed.includes(r)), ...change.added].sort((a, b) => a.from - b.from);
    for (const kind of coverageKinds) totals = { ...totals, [kind]: totals[kind] + change.delta[kind] };
  }
  return { rows, totals };
}

const spans = fc.array(
  fc
    .tuple(fc.integer({ min: 0, max: 99 }), fc.integer({ min: 1, max: 40 }), fc.constantFrom(...coverageKinds))
    .map(([from, length, kind]) => row(from, Math.min(100, from + length), kind, 0)),
  { maxLength: 6 },
);
const reports = fc
  .array(spans, { minLength: 1, maxLength: 6 })
  .map((all) => all.map((rows, i) => ({ seq: i + 1, rows: rows.map((r) => ({ ...r, seq: i + 1 })) })));

describe('the coverage ledger', () => {
  it('joins equal neighbours and counts a repeated span once', () => {
    const first = layRows([], [row(0, 10, 'searched', 1)], 1);
    const second = layRows(first.added, [row(5, 20, 'searched', 2)], 2);
    expect(second.added).toEqual([row(0, 20, 'searched', 2)]);
    expect(second.delta.searched).toBe(10);
  });

  it('fills what nobody mentioned', () => {
    expect(fillGaps('c', range, [row(0, 10, 'searched', 1), row(40, 100, 'indexed', 1)], 'task_expired')).toMatchObject([
      { from: 10, to: 40, kind: 'failed', reason: 'task_expired', seq: 0 },
    ]);
  });

  it('cuts a report to the range asked for', () => {
    expect(
      rowsOfReport(
        [
          { cameraId: 'c', from: 90, to: 120, kind: 'searched' },
          { cameraId: 'c', from: 120, to: 130, kind: 'searched' },
        ],
        range,
        1,
      ),
    ).toMatchObject([{ from: 90, to: 100 }]);
  });

  it('ends the same in every order with every repetition, never overlaps, and its totals are its rows', () => {
    fc.assert(
      fc.property(
        reports.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray([...all, ...all], { minLength: all.length * 2 }))),
        ([ordered, shuffled]) => {
          const expected = ledgerOf(ordered);
          const actual = ledgerOf(shuffled);
          expect(joinForReading(actual.rows).map(({ seq, ...r }) => r)).toEqual(joinForReading(expected.rows).map(({ seq, ...r }) => r));
          expect(actual.totals).toEqual(expected.totals);
          expect(totalsOf(actual.rows)).toEqual(actual.totals);
          for (const [i, r] of actual.rows.entries()) expect(r.from).toBeGreaterThanOrEqual(actual.rows[i - 1]?.to ?? 0);
          const gaps = fillGaps('c', range, actual.rows, 'x');
          expect(sumOf(totalsOf([...actual.rows, ...gaps]))).toBe(100);
        },
      ),
      { numRuns: 500 },
    );
  });
});
