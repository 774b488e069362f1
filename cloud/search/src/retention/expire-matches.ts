import { keptFrom, type SweepTenant } from '@star/platform';
import type { SearchDeps } from '../ports';
import {
  addExpiredMatches,
  deleteVerdicts,
  findExpiringDay,
  type MatchRef,
  matchesBySearch,
  oldestDayOfMatches,
  pageMatches,
  takeExpiringDay,
  writeExpiringDay,
} from './expiring.store';

const dayMs = 86_400_000;
const verdictsAtOnce = 1000;

/**
 * Removes matches by when the face was seen, with their verdicts, a UTC day at a time: a day is a partition, and one
 * deletion of it costs the same however many searches it has. What a search covered stays, and how many of its matches
 * are gone. May be broken off anywhere.
 */
export const expireMatches =
  (deps: SearchDeps): SweepTenant =>
  async (tenantId, runId, signal) => {
    while (!signal.aborted && (await expireDay(deps, tenantId, runId)));
  };

/** Answers whether there was a day. */
async function expireDay(deps: SearchDeps, tenantId: string, runId: string): Promise<boolean> {
  const { analytics, database, retention } = deps;
  const { matches: days, version: settingsVersion } = await retention.daysOf(tenantId);
  const at = deps.now();
  const before = keptFrom(at, days);
  const day =
    (await database.tenant(tenantId, (tx) => findExpiringDay(tx, tenantId))) ??
    (await oldestDayOfMatches(analytics, tenantId, before.getTime()));
  if (day === undefined) return false;
  const fromMs = Date.parse(`${day}T00:00:00Z`);
  const toMs = fromMs + dayMs;
  const found = await matchesBySearch(analytics, tenantId, fromMs, toMs);
  const left = Object.keys(found).length > 0;
  if (left && toMs > before.getTime()) {
    // The setting was raised while the day was going: what is still there stays.
    await database.tenant(tenantId, (tx) => takeExpiringDay(tx, tenantId, day));
    return true;
  }
  if (left) {
    await database.tenant(tenantId, (tx) => writeExpiringDay(tx, tenantId, day, found));
    await removeVerdicts(deps, tenantId, fromMs, toMs);
    await analytics.forTenant(tenantId).removeBetween('search_matches', 'at', fromMs, toMs);
  }
  await database.tenant(tenantId, async (tx) => {
    const gone = await takeExpiringDay(tx, tenantId, day);
    if (!gone) return;
    await addExpiredMatches(tx, gone);
    const items = Object.values(gone).reduce((sum, n) => sum + n, 0);
    await retention.record(tx, { tenantId, runId, kind: 'matches', at, before, settingsVersion, items, bytes: 0 });
  });
  return true;
}

async function removeVerdicts({ analytics, database }: SearchDeps, tenantId: string, fromMs: number, toMs: number): Promise<void> {
  let after: MatchRef | undefined;
  for (let more = true; more; ) {
    const page = await pageMatches(analytics, tenantId, fromMs, toMs, after, verdictsAtOnce);
    await database.tenant(tenantId, (tx) => deleteVerdicts(tx, page));
    after = page.at(-1);
    more = page.length === verdictsAtOnce;
  }
}
