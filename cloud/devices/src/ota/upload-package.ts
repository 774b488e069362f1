import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { type Audit, type Caller, type Database, type Objects, type RequireStorage, who } from '@star/platform';
import { objectKeys, type SoftwarePackage, type uploadSoftware } from '@stardipper/proto';
import type { z } from 'zod';
import { devicesErrors } from '../devices.errors';
import * as store from './package.store';
import { checkDeclared, checkedPackage, type PackageDigest } from './package-body';
import { findShownPackage, shownPackage } from './software-list.read';

export interface PackagesDeps {
  readonly db: Database;
  readonly objects: Pick<Objects, 'put' | 'delete'>;
  readonly audit: Audit;
  readonly requireStorage?: RequireStorage;
}

/** Of one tenant; each may take 600 MB of storage. */
const maxPackages = 100;
/** From the first byte until the row stands; longer than the entrance lets a request take. */
const uploadSeconds = 7200;

/**
 * Stores a package, streamed. The same bytes under the same title and version again are the same package. Throws
 * `software.version_taken` for other bytes, `software.too_many`, `software.upload_too_slow`, and what a body can be
 * wrong in (see `checkedPackage`); nothing is kept then.
 */
export const uploadPackage =
  ({ db, objects, audit, requireStorage }: PackagesDeps) =>
  async (
    caller: Caller,
    input: z.infer<typeof uploadSoftware>,
    body: AsyncIterable<Buffer>,
    declaredBytes: number | undefined,
  ): Promise<SoftwarePackage> => {
    const { tenantId } = caller;
    const { title, version } = input;
    const declared = { bytes: declaredBytes, sha256: input.sha256 };
    checkDeclared(declared);
    await requireStorage?.(tenantId, declaredBytes ?? 0);
    const id = randomUUID();
    const key = objectKeys.software(tenantId, id);
    await db.tenant(tenantId, async (tx) => {
      const known = await store.findPackageByVersion(tx, title, version);
      if (known && input.sha256 !== undefined && input.sha256 !== known.sha256) throw taken(title, version);
      if (!known && (await store.countPackages(tx)) >= maxPackages) throw devicesErrors.error('software.too_many', { max: maxPackages });
      await store.doomObject(tx, tenantId, key, uploadSeconds);
    });
    let digest: PackageDigest | undefined;
    const checked = checkedPackage(body, declared, (found) => {
      digest = found;
    });
    await objects.put(tenantId, key, Readable.from(checked, { objectMode: false }), 'application/gzip');
    const { sizeBytes, sha256, pack } = digest as unknown as PackageDigest;
    return db.tenant(tenantId, async (tx) => {
      const row = await store.insertPackage(tx, tenantId, { id, title, version, sizeBytes, sha256, pack });
      if (!row) {
        // Uploaded before, or at the same time; this copy goes.
        const known = await store.findPackageByVersion(tx, title, version);
        if (known?.sha256 !== sha256) throw taken(title, version);
        await store.doomObject(tx, tenantId, key, 0);
        return (await findShownPackage(tx, known.id)) as SoftwarePackage;
      }
      if (!(await store.pardonObject(tx, key))) throw devicesErrors.error('software.upload_too_slow');
      await audit(tx, { ...who(caller), action: 'software.uploaded', subject: id, details: { title, version, sha256 } });
      return shownPackage(row, false);
    });
  };

const taken = (title: string, version: string) => devicesErrors.error('software.version_taken', { title, version });
