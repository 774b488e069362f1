/** What a finished search took beside what its boxes expected of themselves. */
export interface TimedSearch {
  readonly tookS: number;
  readonly edges: readonly { readonly answered: boolean; readonly expectedSeconds: number }[];
}

/** Before anything was learned: on an idle machine it is less than half of this. */
const usualS = 1;
/** More than this is a box that was away, or a bad estimate, and no cost of every search. */
const mostS = 30;

/**
 * What every search costs beside the work of its boxes, in seconds: writing and sending the tasks, fetching the query, the
 * last reports and their way here. Learned as the median of what was left over by searches that decoded nothing.
 */
export function startAndReportS(finished: readonly TimedSearch[]): number {
  const left = finished
    .filter(({ edges }) => edges.length > 0 && edges.every(({ answered }) => answered))
    .map(({ tookS, edges }) => tookS - Math.max(...edges.map(({ expectedSeconds }) => expectedSeconds)))
    .map((seconds) => Math.min(mostS, Math.max(0, seconds)))
    .sort((a, b) => a - b);
  return left[Math.floor(left.length / 2)] ?? usualS;
}
