/** What is said of an expected length below this is "a few seconds". */
const fewS = 10;

/** A length that is only expected, rounded up to what can honestly be said of it, in seconds; 0: a few. */
export function expectedLength(seconds: number): number {
  if (seconds < fewS) return 0;
  const step = seconds <= 60 ? 10 : seconds <= 3_600 ? 60 : 600;
  return Math.ceil(seconds / step) * step;
}
