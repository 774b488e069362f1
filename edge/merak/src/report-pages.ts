import type { CoverageSpan, MatchReport } from '@stardipper/proto';

export interface ReportPage {
  readonly coverage: CoverageSpan[];
  readonly matches: MatchReport[];
}

/** A report is one MQTT payload of at most 64 KB; the rest is the envelope. */
const pageBytes = 58_000;
const maxCoverage = 500;
const maxMatches = 100;

/** Splits what is new so that each part fits one report; always at least one part. */
export function reportPages(coverage: readonly CoverageSpan[], matches: readonly MatchReport[]): ReportPage[] {
  let page: ReportPage = { coverage: [], matches: [] };
  let bytes = 0;
  const pages = [page];
  const add = <T>(list: 'coverage' | 'matches', limit: number, item: T) => {
    const size = Buffer.byteLength(JSON.stringify(item)) + 1;
    if (page[list].length >= limit || bytes + size > pageBytes) {
      page = { coverage: [], matches: [] };
      pages.push(page);
      bytes = 0;
    }
    (page[list] as T[]).push(item);
    bytes += size;
  };
  for (const span of coverage) add('coverage', maxCoverage, span);
  for (const match of matches) add('matches', maxMatches, match);
  return pages;
}
