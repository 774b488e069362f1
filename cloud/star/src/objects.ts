import { join } from 'node:path';
import { type DiskObjects, openDiskObjects, type TenantKeys } from '@star/platform';
import { maxSoftwareBytes } from '@stardipper/proto';
import { lastingSecret } from './secrets';

/**
 * Object storage of the installation. Signed addresses start with `publicUrl`. Without `keys` only software can be read
 * and nothing may be written.
 */
export const openObjects = async (data: string, publicUrl: string, keys?: Pick<TenantKeys, 'keyOf'>): Promise<DiskObjects> =>
  openDiskObjects({
    folder: join(data, 'objects'),
    secret: (await lastingSecret(data, 'objects')).toString('base64url'),
    publicUrl,
    // Software (with its model packs) is no person's, and is read where there are no keys. The ends of audit chains have to
    // outlive the tenant's key.
    ...(keys && { sealing: { keyOf: keys.keyOf, unsealedFolders: ['software', 'audit'] } }),
    // Nothing larger is kept than a package of software; every address that is signed for an upload has a limit of its own.
    maxBytes: maxSoftwareBytes,
  });
