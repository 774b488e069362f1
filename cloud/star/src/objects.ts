import { join } from 'node:path';
import { type DiskObjects, openDiskObjects } from '@star/platform';
import { maxSoftwareBytes } from '@stardipper/proto';
import { lastingSecret } from './secrets';

/** Object storage of the installation. Signed addresses start with `publicUrl`. */
export const openObjects = async (data: string, publicUrl: string): Promise<DiskObjects> =>
  openDiskObjects({
    folder: join(data, 'objects'),
    secret: (await lastingSecret(data, 'objects')).toString('base64url'),
    publicUrl,
    // Nothing larger is kept than a package of software; every address that is signed for an upload has a limit of its own.
    maxBytes: maxSoftwareBytes,
  });
