/** Half-open spans of time, in Unix milliseconds, and the coverage ledger's kinds. */

import { z } from 'zod';

/** `from` inclusive, `to` exclusive, both Unix milliseconds UTC. */
export const span = z
  .object({ from: z.int().nonnegative(), to: z.int().nonnegative() })
  .refine((s) => s.from < s.to, { error: 'from must be before to', params: { code: 'range_reversed' } });
export type Span = z.infer<typeof span>;

/** searched: decoded now. indexed: known from an earlier search. no_footage: the recorder has none. failed: see reason. */
export const coverageKinds = ['searched', 'indexed', 'no_footage', 'failed'] as const;
export type CoverageKind = (typeof coverageKinds)[number];

export const coverageSpan = z.object({
  cameraId: z.string().min(1).max(64),
  from: z.int().nonnegative(),
  to: z.int().nonnegative(),
  kind: z.enum(coverageKinds),
  /** Stable code, present when failed. */
  reason: z.string().max(64).optional(),
  /** Widest distance between two analysed frames, milliseconds; present when searched or indexed. */
  samplingMs: z.int().nonnegative().optional(),
});
export type CoverageSpan = z.infer<typeof coverageSpan>;

/** Joins touching or overlapping spans; the result is sorted. */
export function mergeSpans(spans: readonly Span[]): Span[] {
  const sorted = [...spans].filter((s) => s.from < s.to).sort((a, b) => a.from - b.from);
  const merged: Span[] = [];
  for (const next of sorted) {
    const last = merged.at(-1);
    if (last && next.from <= last.to) last.to = Math.max(last.to, next.to);
    else merged.push({ from: next.from, to: next.to });
  }
  return merged;
}

/** What of `whole` is in none of `taken`; sorted. */
export function subtractSpans(whole: Span, taken: readonly Span[]): Span[] {
  const left: Span[] = [];
  let at = whole.from;
  for (const t of mergeSpans(taken)) {
    if (t.to <= at) continue;
    if (t.from >= whole.to) break;
    if (t.from > at) left.push({ from: at, to: t.from });
    at = t.to;
  }
  if (at < whole.to) left.push({ from: at, to: whole.to });
  return left;
}

/** The common part, or undefined when there is none. */
export function intersectSpans(a: Span, b: Span): Span | undefined {
  const from = Math.max(a.from, b.from);
  const to = Math.min(a.to, b.to);
  return from < to ? { from, to } : undefined;
}

export const totalMs = (spans: readonly Span[]): number => spans.reduce((sum, s) => sum + (s.to - s.from), 0);
