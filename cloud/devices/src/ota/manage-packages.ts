import { type Caller, type Database, isForeignKeyViolation, type Objects, who } from '@star/platform';
import { objectKeys, type SoftwarePackage } from '@stardipper/proto';
import { devicesErrors } from '../devices.errors';
import type { PageRequest } from '../paging';
import { deletePackage, doomObject, takeDoomedObjects } from './package.store';
import { findShownPackage, listPackages } from './software-list.read';
import type { PackagesDeps } from './upload-package';

export const readPackages =
  ({ db }: Pick<PackagesDeps, 'db'>) =>
  (tenantId: string, page: PageRequest) =>
    db.tenant(tenantId, (tx) => listPackages(tx, page));

/** Throws `software.not_found`. */
export const readPackage =
  ({ db }: Pick<PackagesDeps, 'db'>) =>
  async (tenantId: string, packageId: string): Promise<SoftwarePackage> => {
    const found = await db.tenant(tenantId, (tx) => findShownPackage(tx, packageId));
    if (!found) throw devicesErrors.error('software.not_found', { packageId });
    return found;
  };

/** Throws `software.not_found`, `software.assigned`. */
export const removePackage =
  (deps: PackagesDeps) =>
  async (caller: Caller, packageId: string): Promise<void> => {
    try {
      await deps.db.tenant(caller.tenantId, async (tx) => {
        if (!(await deletePackage(tx, packageId))) throw devicesErrors.error('software.not_found', { packageId });
        await doomObject(tx, caller.tenantId, objectKeys.software(caller.tenantId, packageId), 0);
        await deps.audit(tx, { ...who(caller), action: 'software.deleted', subject: packageId });
      });
    } catch (error) {
      if (isForeignKeyViolation(error)) throw devicesErrors.error('software.assigned', { packageId });
      throw error;
    }
  };

const atOnce = 20;

/** Deletes the objects of packages that are gone, and of uploads that broke off. Those it could not delete are tried again. */
export const deleteDoomedObjects =
  ({ db, objects }: { db: Database; objects: Pick<Objects, 'delete'> }) =>
  async (): Promise<void> => {
    for (let taken = atOnce; taken === atOnce; ) {
      taken = await db.system('software objects nobody needs', async (tx) => {
        const doomed = await takeDoomedObjects(tx, atOnce);
        // Before the commit: a row that is gone while its object is there would leave it there for good.
        for (const { tenantId, key } of doomed) await objects.delete(tenantId, key);
        return doomed.length;
      });
    }
  };
