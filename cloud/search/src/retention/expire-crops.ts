import { keptFrom, type ListedObject, type SweepTenant } from '@star/platform';
import { forgetDoomedObject } from '../forgetting/doomed.store';
import type { SearchDeps } from '../ports';
import { doomExpired, timesOfSightings } from './expiring.store';

/** Ids of one query: parameters travel in its URL, which servers cut off at 16 KB. */
const cropsAtOnce = 100;

/**
 * Removes pictures of faces by when they were seen, at the latest with their matches. Those that no match knows any more, also of searches that were deleted
 * before the box had uploaded them, go by when they were uploaded, which was later. Looks at every picture there is.
 */
export const expireCrops =
  (deps: SearchDeps): SweepTenant =>
  async (tenantId, runId, signal) => {
    let page: ListedObject[] = [];
    for await (const crop of deps.objects.list(tenantId, 'crops')) {
      if (signal.aborted) return;
      page.push(crop);
      if (page.length < cropsAtOnce) continue;
      await expirePage(deps, tenantId, runId, page);
      page = [];
    }
    if (page.length > 0) await expirePage(deps, tenantId, runId, page);
  };

/** Of `{tenant}/crops/{edge}/{sighting}.jpg`. */
const sightingOf = ({ key }: ListedObject) => key.slice(key.lastIndexOf('/') + 1).replace(/\.jpg$/, '');
const edgeOf = ({ key }: ListedObject) => key.split('/')[2] ?? '';

async function expirePage(deps: SearchDeps, tenantId: string, runId: string, page: readonly ListedObject[]): Promise<void> {
  const { analytics, database, objects, retention } = deps;
  const seen = await timesOfSightings(analytics, tenantId, page.map(sightingOf));
  const { crops, matches, version: settingsVersion } = await retention.daysOf(tenantId);
  const at = deps.now();
  // Without its match nobody is shown a picture any more, nor finds it when the person is deleted.
  const before = keptFrom(at, Math.min(crops, matches));
  const old = page.filter((crop) => (seen.get(`${edgeOf(crop)} ${sightingOf(crop)}`) ?? crop.putAt.getTime()) < before.getTime());
  if (old.length === 0) return;
  // Counted with the note that they have to go: deleted now, or by whoever looks after the doomed.
  await database.tenant(tenantId, async (tx) => {
    const doomed = await doomExpired(
      tx,
      tenantId,
      old.map((crop) => crop.key),
    );
    const bytes = old.filter(({ key }) => doomed.has(key)).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    await retention.record(tx, { tenantId, runId, kind: 'crops', at, before, settingsVersion, items: doomed.size, bytes });
  });
  for (const { key } of old) {
    await objects.delete(tenantId, key);
    await database.tenant(tenantId, (tx) => forgetDoomedObject(tx, key));
  }
}
