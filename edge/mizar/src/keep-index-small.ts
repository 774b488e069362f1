import { setTimeout as sleep } from 'node:timers/promises';
import type { FaceIndex } from './index-store/face-index.store';

const DAY_MS = 86_400_000;
const SWEEP_EVERY_MS = 600_000;
const DEFAULT_KEEP_DAYS = 30;

/** Days that faces are kept, from MIZAR_KEEP_DAYS. Throws for what is no number of days: faces must not be kept for ever by a typo. */
export function keepDays(setting: string | undefined): number {
  if (setting === undefined || setting === '') return DEFAULT_KEEP_DAYS;
  const days = Number(setting);
  if (!(days >= 1 / 24 && days <= 3650)) throw new Error(`MIZAR_KEEP_DAYS is ${setting}, not a number of days up to 3650`);
  return days;
}

/** Deletes what was indexed longer ago than `days`, every ten minutes, until `signal` aborts. */
export async function keepIndexSmall(
  index: Pick<FaceIndex, 'expire'>,
  days: number,
  now: () => number,
  onError: (error: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await index.expire(now() - days * DAY_MS).catch(onError);
    await sleep(SWEEP_EVERY_MS, undefined, { signal, ref: false }).catch(() => {});
  }
}
