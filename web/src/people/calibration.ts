/** What a threshold would do, read off the counts that Star gives: hundredths of cosine similarity from -1 to 1. */

/** How many were counted at `threshold` (0 to 1, in hundredths) and above. */
export const atLeast = (counts: readonly number[], threshold: number): number => sum(counts.slice(Math.round((threshold + 1) * 100)));

export const sum = (counts: readonly number[]): number => counts.reduce((all, n) => all + n, 0);

/** One-sided 95 %. */
const z = 1.645;

/** The share that `k` of `n` stays below with 95 % certainty (Wilson's upper bound); for none of `n` about 2.7 of `n`. */
export function upperShare(k: number, n: number): number {
  if (n === 0) return 1;
  const share = k / n;
  const middle = share + (z * z) / (2 * n);
  const spread = z * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n));
  return Math.min(1, (middle + spread) / (1 + (z * z) / n));
}

/** Corners of an area over the counts, for an SVG polygon; the highest of them reaches up to `height`. */
export function areaOf(counts: readonly number[], from: number, width: number, height: number): string {
  const shown = counts.slice(Math.round((from + 1) * 100));
  // A mean over three steps: few pairs would be a comb.
  const smooth = shown.map((n, i) => ((shown[i - 1] ?? n) + n + (shown[i + 1] ?? n)) / 3);
  const highest = Math.max(...smooth, 1e-9);
  const x = (i: number) => (i / (shown.length - 1)) * width;
  const top = smooth.map((n, i) => `${x(i).toFixed(1)},${(height - (n / highest) * height).toFixed(1)}`);
  return [`0,${height}`, ...top, `${width},${height}`].join(' ');
}
