import { keptFrom, type SweepTenant } from '@star/platform';
import { deleteDoomed } from '../forgetting/delete-doomed';
import { doomObjects } from '../forgetting/doomed.store';
import type { SearchDeps } from '../ports';
import { expirePhotoRows, listPhotosBefore } from './expiring.store';

const photosAtOnce = 100;

/** Removes photos of people and their embeddings by when they were added. The people stay; searches that run go on. */
export const expirePhotos =
  (deps: SearchDeps): SweepTenant =>
  async (tenantId, runId, signal) => {
    const { database, objects, retention } = deps;
    for (let more = true; more && !signal.aborted; ) {
      const { photos: days, version: settingsVersion } = await retention.daysOf(tenantId);
      const at = deps.now();
      const before = keptFrom(at, days);
      const old = await database.tenant(tenantId, (tx) => listPhotosBefore(tx, tenantId, before, photosAtOnce));
      if (old.length === 0) return;
      const sizes = new Map<string, number>();
      for (const photo of old) sizes.set(photo.id, (await objects.head(tenantId, photo.object_key))?.sizeBytes ?? 0);
      await database.tenant(tenantId, async (tx) => {
        const gone = new Set(
          await expirePhotoRows(
            tx,
            old.map((photo) => photo.id),
            at,
          ),
        );
        const keys = old.filter((photo) => gone.has(photo.id)).map((photo) => photo.object_key);
        await doomObjects(tx, tenantId, keys);
        const bytes = [...gone].reduce((sum, id) => sum + (sizes.get(id) ?? 0), 0);
        await retention.record(tx, { tenantId, runId, kind: 'photos', at, before, settingsVersion, items: gone.size, bytes });
      });
      await deleteDoomed(deps)();
      more = old.length === photosAtOnce;
    }
  };
