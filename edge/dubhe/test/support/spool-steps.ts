import type { NewReport } from '../../src/outgoing.store';

/** The reports that wait: all from `oldest` to `newest`. What a spool does next follows from it, so that a test knows it too. */
export interface Waiting {
  readonly oldest: number;
  readonly newest: number;
}

export const nothingYet: Waiting = { oldest: 1, newest: 0 };

/** Batches of one to five are added until there are many; then Star takes the oldest. */
export function nextStep({ oldest, newest }: Waiting): {
  readonly finish?: number;
  readonly add?: readonly number[];
  readonly after: Waiting;
} {
  if (newest - oldest >= 20) return { finish: 7, after: { oldest: oldest + 7, newest } };
  const add = Array.from({ length: (newest % 5) + 1 }, (_, i) => newest + 1 + i);
  return { add, after: { oldest, newest: newest + add.length } };
}

/** Long enough for SQLite to fold its log back into the database every fifty batches or so. */
export const reportNumber = (n: number): NewReport => ({
  id: `task:${n}`,
  key: 'taskReport',
  body: JSON.stringify({ n, pad: String(n).padEnd(10_000, 'x') }),
  atMs: n,
  cropSightingIds: [`sighting-${n}`],
});
