import { mergeSpans, type Span, subtractSpans, totalMs } from '@stardipper/proto';
import type { Finding } from './coverage';

/**
 * What of one camera's range is accounted for. Everything before `doneUntil` is; `ahead` holds what finished
 * out of order, so the ledger stays as small as what is in flight, however long the range.
 */
export class CameraLedger {
  constructor(
    readonly range: Span,
    public doneUntil: number = range.from,
    public ahead: Span[] = [],
  ) {}

  copy(): CameraLedger {
    return new CameraLedger(
      this.range,
      this.doneUntil,
      this.ahead.map((s) => ({ ...s })),
    );
  }

  get complete(): boolean {
    return this.doneUntil >= this.range.to;
  }

  /** What of the span is not accounted for yet. */
  missing(span: Span): Span[] {
    const from = Math.max(span.from, this.doneUntil);
    const to = Math.min(span.to, this.range.to);
    return from < to ? subtractSpans({ from, to }, this.ahead) : [];
  }

  rest(): Span[] {
    return this.missing(this.range);
  }

  /** Enters a finding and returns the parts that are new; a moment is never counted twice. */
  enter(finding: Finding): Finding[] {
    const fresh = this.missing(finding);
    if (fresh.length === 0) return [];
    this.ahead = mergeSpans([...this.ahead, ...fresh]);
    const first = this.ahead[0];
    if (first && first.from <= this.doneUntil) {
      this.doneUntil = first.to;
      this.ahead.shift();
    }
    return fresh.map((span) => ({ ...finding, ...span }));
  }
}

/** Joins findings of one camera that touch and say the same; sorted. */
export function joinFindings(findings: readonly Finding[]): Finding[] {
  const joined: Finding[] = [];
  for (const next of [...findings].sort((a, b) => a.from - b.from)) {
    const last = joined.at(-1);
    const same =
      last && last.to === next.from && last.kind === next.kind && last.reason === next.reason && last.samplingMs === next.samplingMs;
    if (same) last.to = next.to;
    else joined.push({ ...next });
  }
  return joined;
}

export const findingsMs = (findings: readonly Finding[]): number => totalMs(findings);
