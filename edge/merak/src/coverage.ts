import { type alioth, type CoverageSpan, intersectSpans, type mizar, type Span, subtractSpans } from '@stardipper/proto';
import { reasons } from './merak.errors';

/** What is known of one span of one camera: a coverage span without the camera's name. */
export type Finding = Omit<CoverageSpan, 'cameraId'>;

/**
 * Recorders list whole seconds, so two segments that follow each other without a break may be listed up to
 * one second apart. Such a gap belongs to the segment before it.
 */
export const seamMs = 1_000;
/** Decodable video is usually a few hundred ms, at most one sampling interval, shorter than listed. */
export const toleranceMs = 2_000;
/** A sampling interval beyond this is not an excuse any more. */
const widestToleranceMs = 10_000;

/** How much of a segment's end may be missing for it still to count as searched: one sampling interval, at least 2 s. */
export const toleranceFor = (samplingMs: number): number => Math.min(widestToleranceMs, Math.max(toleranceMs, samplingMs));

export interface KnownSpan extends Span {
  samplingMs: number;
}

const isTime = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/**
 * What of `range` is in the face index, sorted and without overlap. A hole that is no wider than a seam plus
 * the tolerance is closed, or a repeated search would download a whole segment again for its last half second.
 */
export function knownSpans(range: Span, covered: readonly mizar.CoveredSpan[]): KnownSpan[] {
  const sorted = covered.filter((c) => isTime(c.fromMs) && isTime(c.toMs) && c.fromMs < c.toMs).sort((a, b) => a.fromMs - b.fromMs);
  const known: KnownSpan[] = [];
  let at = range.from;
  for (const c of sorted) {
    const samplingMs = Math.max(0, c.samplingMs);
    const to = Math.min(c.toMs, range.to);
    const listed = Math.max(c.fromMs, at);
    if (listed >= to) continue;
    const last = known.at(-1);
    const from = listed - at <= toleranceFor(Math.max(samplingMs, last?.samplingMs ?? 0)) + seamMs ? at : listed;
    if (last && last.to === from && last.samplingMs === samplingMs) last.to = to;
    else known.push({ from, to, samplingMs });
    at = to;
  }
  const last = known.at(-1);
  if (last && range.to - last.to <= toleranceFor(last.samplingMs) + seamMs) last.to = range.to;
  return known;
}

/** Footage to look at: what of one segment is asked for and not known yet. */
export interface SegmentWork {
  readonly segment: alioth.Segment;
  readonly pieces: readonly Span[];
  /** Unlisted milliseconds at the end that were added to this segment because they are only a seam. */
  readonly seamMs: number;
}

export interface Page {
  /** Where this page was asked to start and where the listing was asked to end. */
  readonly from: number;
  readonly to: number;
  /** Everything before is in this page or does not exist. */
  readonly listedUntil: number;
  readonly segments: readonly alioth.Segment[];
  /** Known spans: neither downloaded nor counted here. */
  readonly known: readonly Span[];
  /** The end of the whole task: a segment that reaches past the page is taken whole up to here, so that it is downloaded once. */
  readonly end: number;
  readonly now: number;
}

export interface PagePlan {
  readonly works: SegmentWork[];
  readonly gaps: Finding[];
  /** Where the next page starts. */
  readonly next: number;
}

/**
 * Turns one page of a listing into work. The works' pieces, the gaps and `known` partition
 * [from, next) exactly: where segments overlap, the earlier one is asked for the common part.
 */
export function planPage(page: Page): PagePlan {
  const segments = page.segments
    .filter((s) => isTime(s.fromMs) && isTime(s.toMs) && s.fromMs < s.toMs)
    .sort((a, b) => a.fromMs - b.fromMs || a.toMs - b.toMs);
  const taken: { segment: alioth.Segment; from: number; to: number; seam: number }[] = [];
  const empty: Span[] = [];
  const skip = (from: number, to: number) => {
    if (from >= to) return;
    const last = taken.at(-1);
    if (last && last.to === from && to - from <= seamMs) Object.assign(last, { to, seam: to - from });
    else empty.push({ from, to });
  };
  let at = page.from;
  for (const [index, segment] of segments.entries()) {
    // What a segment that is still being written will hold is known only up to now.
    const ends =
      segment.growing && index === segments.length - 1 ? Math.max(segment.toMs, Math.min(page.listedUntil, page.now)) : segment.toMs;
    const from = Math.max(segment.fromMs, at);
    const to = Math.min(ends, page.end);
    if (from >= to) continue;
    skip(at, from);
    taken.push({ segment, from, to, seam: 0 });
    at = to;
  }
  skip(at, page.listedUntil);
  const works = taken.map((t) => ({ segment: t.segment, pieces: subtractSpans({ from: t.from, to: t.to }, page.known), seamMs: t.seam }));
  return {
    works: works.filter((w) => w.pieces.length > 0),
    gaps: empty.flatMap((span) => subtractSpans(span, page.known)).flatMap((span) => emptySpan(span, page.now)),
    next: Math.max(at, page.listedUntil),
  };
}

/** Nobody can say that there is no footage of a time that has not come yet. */
export function emptySpan(span: Span, now: number): Finding[] {
  const past = intersectSpans(span, { from: 0, to: Math.max(1, now) });
  const future = intersectSpans(span, { from: Math.max(0, now), to: Number.MAX_SAFE_INTEGER });
  return [
    ...(past ? [{ ...past, kind: 'no_footage' as const }] : []),
    ...(future ? [{ ...future, kind: 'failed' as const, reason: reasons.notYetRecorded }] : []),
  ];
}

export const failedSpans = (spans: readonly Span[], reason: string): Finding[] =>
  spans.map((s) => ({ from: s.from, to: s.to, kind: 'failed', reason: reason.slice(0, 64) }));

/** Splits what was asked of a segment into what could be decoded and what could not, exactly. */
export function judgeSegment(
  work: Pick<SegmentWork, 'pieces' | 'seamMs'>,
  decoded: KnownSpan,
  reason: string = reasons.truncated,
): Finding[] {
  const first = work.pieces[0];
  const last = work.pieces.at(-1);
  if (!first || !last) return [];
  if (!(decoded.from < decoded.to)) return failedSpans(work.pieces, reason);
  const slack = toleranceFor(decoded.samplingMs);
  const seen = {
    from: decoded.from - first.from <= slack ? Math.min(first.from, decoded.from) : decoded.from,
    to: last.to - decoded.to <= slack + work.seamMs ? Math.max(last.to, decoded.to) : decoded.to,
  };
  return work.pieces
    .flatMap((piece): Finding[] => {
      const part = intersectSpans(piece, seen);
      return [
        ...(part ? [{ ...part, kind: 'searched' as const, samplingMs: decoded.samplingMs }] : []),
        ...failedSpans(subtractSpans(piece, [seen]), reason),
      ];
    })
    .sort((a, b) => a.from - b.from);
}

/** Whether the index holds all of the pieces, seams aside; the widest sampling interval among them, or undefined. */
export function samplingOf(pieces: readonly Span[], covered: readonly mizar.CoveredSpan[]): number | undefined {
  let widest = 0;
  for (const piece of pieces) {
    const known = knownSpans(piece, covered);
    if (subtractSpans(piece, known).length > 0) return undefined;
    widest = Math.max(widest, ...known.map((k) => k.samplingMs));
  }
  return widest;
}
