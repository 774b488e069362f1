/** Mistakes that cost nothing: people mistype. */
export const freeFailures = 5;
const firstLockMs = 15_000;
/** Anybody can lock out anybody by guessing, so the wait must stay bearable. */
const longestLockMs = 900_000;

/** How long the next try must wait after so many failures in a row, ms: 15 s, doubling, at most 15 minutes. */
export function lockMs(failures: number): number {
  if (failures < freeFailures) return 0;
  return Math.min(longestLockMs, firstLockMs * 2 ** Math.min(20, failures - freeFailures));
}
