import { objectKeys } from '@stardipper/proto';
import { countMatchesOfPerson, deleteMatches, deleteMatchesOfPerson, pageCropsOfPerson, pageCropsOfSearch } from '../matches/match.store';
import type { SearchDeps } from '../ports';
import { forgetDoomedPerson, listDoomedPeople, noteDeletionCrops, writeCleaned } from './deletion.store';
import { forgetDoomedMatches, forgetDoomedObject, listDoomedMatches, listDoomedObjects } from './doomed.store';

const atOnce = 200;
const cropsAtOnce = 500;

interface Sighted {
  readonly edgeId: string;
  readonly sightingId: string;
}

/**
 * Deletes objects and matches whose rows are gone, with the pictures of those matches; answers how many. Storage that is
 * down is no error here: the lists keep them and the next sweep tries again. Also called by the sweep, for what a crash
 * left.
 */
export const deleteDoomed = (deps: SearchDeps) => async (): Promise<number> => {
  const { database, objects } = deps;
  let deleted = 0;
  const attempt = async (work: () => Promise<unknown>, forget: () => Promise<unknown>) => {
    try {
      await work();
    } catch {
      return;
    }
    await forget();
    deleted += 1;
  };
  const doomed = await database.system('delete what has no owner', async (tx) => ({
    keys: await listDoomedObjects(tx, atOnce),
    searches: await listDoomedMatches(tx, atOnce),
    people: await listDoomedPeople(tx, atOnce),
  }));
  for (const { tenant_id, object_key } of doomed.keys)
    await attempt(
      () => objects.delete(tenant_id, object_key),
      () => database.tenant(tenant_id, (tx) => forgetDoomedObject(tx, object_key)),
    );
  for (const { tenant_id, search_id } of doomed.searches)
    await attempt(
      () => deleteOfSearch(deps, tenant_id, search_id),
      () => database.tenant(tenant_id, (tx) => forgetDoomedMatches(tx, search_id)),
    );
  for (const { tenant_id, person_id } of doomed.people)
    await attempt(
      () => deleteOfPerson(deps, tenant_id, person_id),
      () => database.tenant(tenant_id, (tx) => forgetDoomedPerson(tx, person_id)),
    );
  return deleted;
};

const cropKey = (tenantId: string, { edgeId, sightingId }: Sighted) => objectKeys.crop(tenantId, edgeId, sightingId);

/** Pictures that another search shows as well stay. */
async function deleteOfSearch(deps: SearchDeps, tenantId: string, searchId: string): Promise<void> {
  await eachPage(
    (after) => pageCropsOfSearch(deps.analytics, tenantId, searchId, after, cropsAtOnce),
    async (page) => {
      for (const crop of page) await deps.objects.delete(tenantId, cropKey(tenantId, crop));
    },
  );
  await deleteMatches(deps.analytics, tenantId, searchId);
}

/** Pictures go although they may match somebody else as well: it is the deleted person's face that they show. */
async function deleteOfPerson(deps: SearchDeps, tenantId: string, personId: string): Promise<void> {
  const { analytics, database, objects } = deps;
  const matches = await countMatchesOfPerson(analytics, tenantId, personId);
  let crops = 0;
  await eachPage(
    (after) => pageCropsOfPerson(analytics, tenantId, personId, after, cropsAtOnce),
    async (page) => {
      const noted = page.map((crop) => ({ edgeId: crop.edgeId, key: cropKey(tenantId, crop) }));
      await database.tenant(tenantId, (tx) => noteDeletionCrops(tx, tenantId, personId, noted));
      for (const { key } of noted) {
        if (!(await objects.head(tenantId, key))) continue;
        await objects.delete(tenantId, key);
        crops += 1;
      }
    },
  );
  await deleteMatchesOfPerson(analytics, tenantId, personId);
  await database.tenant(tenantId, (tx) => writeCleaned(tx, personId, deps.now(), matches, crops));
}

async function eachPage(
  read: (after: Sighted | undefined) => Promise<Sighted[]>,
  work: (page: readonly Sighted[]) => Promise<void>,
): Promise<void> {
  let after: Sighted | undefined;
  for (let more = true; more; ) {
    const page = await read(after);
    await work(page);
    after = page.at(-1);
    more = page.length === cropsAtOnce;
  }
}
