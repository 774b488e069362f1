export interface Times {
  readonly p50: number;
  readonly p99: number;
}

/** Of samples in any order, in their unit. */
export function percentiles(samples: readonly number[]): Times {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

/** One after the other, milliseconds. */
export async function timed(times: number, work: (n: number) => Promise<unknown>): Promise<Times> {
  const samples: number[] = [];
  for (let n = 0; n < times; n++) {
    const from = performance.now();
    await work(n);
    samples.push(performance.now() - from);
  }
  return percentiles(samples);
}

export const shown = ({ p50, p99 }: Times): string => `p50 ${p50.toFixed(3)} ms, p99 ${p99.toFixed(3)} ms`;

/** Medians of the p50 of five turns each, taken one after the other, so that what else the machine does falls on both. */
export async function inTurns(
  times: number,
  one: (n: number) => Promise<unknown>,
  other: (n: number) => Promise<unknown>,
): Promise<{ readonly one: number; readonly other: number }> {
  await timed(20, one);
  await timed(20, other);
  const turns: [number, number][] = [];
  for (let turn = 0; turn < 5; turn++) turns.push([(await timed(times / 5, one)).p50, (await timed(times / 5, other)).p50]);
  const median = (which: 0 | 1) => percentiles(turns.map((turn) => turn[which])).p50;
  return { one: median(0), other: median(1) };
}
