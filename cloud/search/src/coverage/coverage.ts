import { type CoverageKind, type CoverageSpan, intersectSpans, type Span, subtractSpans } from '@stardipper/proto';

/** One span of one camera in the ledger. Rows of a camera never overlap. */
export interface LedgerRow extends Span {
  readonly cameraId: string;
  readonly kind: CoverageKind;
  readonly reason: string | null;
  readonly samplingMs: number | null;
  /** Number of the report that said so; 0 for what Star filled in itself. Where two reports disagree the higher wins. */
  readonly seq: number;
}

export type KindTotals = Record<CoverageKind, number>;

export const noTotals = (): KindTotals => ({ searched: 0, indexed: 0, no_footage: 0, failed: 0 });

/** Camera-milliseconds of each kind. */
export function totalsOf(rows: readonly LedgerRow[]): KindTotals {
  const totals = noTotals();
  for (const row of rows) totals[row.kind] += row.to - row.from;
  return totals;
}

export const sumOf = (totals: KindTotals): number => totals.searched + totals.indexed + totals.no_footage + totals.failed;

export interface LedgerChange {
  readonly removed: LedgerRow[];
  readonly added: LedgerRow[];
  /** Camera-milliseconds to add to each kind; a repeated span adds nothing. */
  readonly delta: KindTotals;
}

/** A report's spans as rows, cut to the task's range: what lies outside was not asked for. */
export function rowsOfReport(spans: readonly CoverageSpan[], range: Span, seq: number): LedgerRow[] {
  return spans.flatMap((span) => {
    const inside = intersectSpans(span, range);
    if (!inside) return [];
    return [{ ...inside, cameraId: span.cameraId, kind: span.kind, reason: span.reason ?? null, samplingMs: span.samplingMs ?? null, seq }];
  });
}

/**
 * Lays rows over what the ledger has of the same camera. The result does not depend on the order in which
 * reports arrive: every millisecond belongs to the highest report that mentions it (within one report, the
 * first span). `before` must hold every row that overlaps or touches an incoming one.
 *
 * Equal neighbours are joined only when no report still missing could come between them, that is when both
 * are at or below `settledSeq` (all reports up to it are here) or come from the same report. In the usual
 * case of ordered delivery that joins at once, so the ledger stays as small as the footage is uniform.
 */
export function layRows(before: readonly LedgerRow[], incoming: readonly LedgerRow[], settledSeq: number): LedgerChange {
  const cameras = new Set(incoming.map((row) => row.cameraId));
  const change: LedgerChange = { removed: [], added: [], delta: noTotals() };
  for (const cameraId of cameras) {
    const had = before.filter((row) => row.cameraId === cameraId);
    let rows = [...had];
    for (const row of incoming) if (row.cameraId === cameraId) rows = layOne(rows, row);
    const after = join(rows, (a, b) => a.seq === b.seq || (a.seq > 0 && b.seq > 0 && Math.max(a.seq, b.seq) <= settledSeq));
    diff(had, after, change);
  }
  return change;
}

function layOne(rows: readonly LedgerRow[], next: LedgerRow): LedgerRow[] {
  const touched = rows.filter((row) => row.from < next.to && row.to > next.from);
  const pieces = subtractSpans(
    next,
    touched.filter((row) => row.seq >= next.seq),
  ).map((piece) => ({ ...next, ...piece }));
  if (pieces.length === 0) return [...rows];
  const kept = rows.flatMap((row) =>
    row.seq < next.seq && row.from < next.to && row.to > next.from
      ? subtractSpans(row, pieces).map((piece) => ({ ...row, ...piece }))
      : [row],
  );
  return [...kept, ...pieces];
}

const sameSubject = (a: LedgerRow, b: LedgerRow): boolean =>
  a.cameraId === b.cameraId && a.kind === b.kind && a.reason === b.reason && a.samplingMs === b.samplingMs;

function join(rows: readonly LedgerRow[], mayJoin: (a: LedgerRow, b: LedgerRow) => boolean): LedgerRow[] {
  const joined: LedgerRow[] = [];
  for (const row of [...rows].sort((a, b) => a.from - b.from)) {
    const last = joined.at(-1);
    if (last && last.to === row.from && sameSubject(last, row) && mayJoin(last, row)) {
      joined[joined.length - 1] = { ...last, to: row.to, seq: Math.max(last.seq, row.seq) };
    } else joined.push(row);
  }
  return joined;
}

/** For readers: who said it no longer matters. Rows must be sorted by camera and time. */
export function joinForReading(rows: readonly LedgerRow[]): LedgerRow[] {
  const joined: LedgerRow[] = [];
  for (const row of rows) {
    const last = joined.at(-1);
    if (last && last.to === row.from && sameSubject(last, row)) joined[joined.length - 1] = { ...last, to: row.to };
    else joined.push(row);
  }
  return joined;
}

function diff(had: readonly LedgerRow[], after: readonly LedgerRow[], change: LedgerChange): void {
  const same = (a: LedgerRow, b: LedgerRow | undefined) =>
    b !== undefined && sameSubject(a, b) && a.from === b.from && a.to === b.to && a.seq === b.seq;
  const hadByFrom = new Map(had.map((row) => [row.from, row]));
  const afterByFrom = new Map(after.map((row) => [row.from, row]));
  for (const row of had) {
    change.delta[row.kind] -= row.to - row.from;
    if (!same(row, afterByFrom.get(row.from))) change.removed.push(row);
  }
  for (const row of after) {
    change.delta[row.kind] += row.to - row.from;
    if (!same(row, hadByFrom.get(row.from))) change.added.push(row);
  }
}

/** What of a camera's range no report has mentioned, as failed with `reason`. */
export function fillGaps(cameraId: string, range: Span, rows: readonly LedgerRow[], reason: string): LedgerRow[] {
  return subtractSpans(range, rows).map((gap) => ({ ...gap, cameraId, kind: 'failed' as const, reason, samplingMs: null, seq: 0 }));
}
