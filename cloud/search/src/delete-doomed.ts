import { forgetDoomedMatches, forgetDoomedObject, listDoomedMatches, listDoomedObjects } from './doomed.store';
import { deleteMatches } from './match.store';
import type { SearchDeps } from './ports';

const atOnce = 200;

/**
 * Deletes objects and matches whose rows are gone; answers how many. Storage that is down is no error here: the lists
 * keep them and the next sweep tries again. Also called by the sweep, for what a crash left.
 */
export const deleteDoomed = (deps: SearchDeps) => async (): Promise<number> => {
  const { database, objects, analytics } = deps;
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
  const [keys, searches] = await database.system(
    'delete what has no owner',
    async (tx) => [await listDoomedObjects(tx, atOnce), await listDoomedMatches(tx, atOnce)] as const,
  );
  for (const { tenant_id, object_key } of keys)
    await attempt(
      () => objects.delete(tenant_id, object_key),
      () => database.tenant(tenant_id, (tx) => forgetDoomedObject(tx, object_key)),
    );
  for (const { tenant_id, search_id } of searches)
    await attempt(
      () => deleteMatches(analytics, tenant_id, search_id),
      () => database.tenant(tenant_id, (tx) => forgetDoomedMatches(tx, search_id)),
    );
  return deleted;
};
