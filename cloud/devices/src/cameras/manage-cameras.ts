import type { Database } from '@star/platform';
import type { Camera, devices } from '@stardipper/proto';
import { devicesErrors } from '../devices.errors';
import type { PageRequest } from '../paging';
import { renameCamera } from './camera.store';
import { type CameraFilter, cameraRefs, findCamera, listCameras } from './camera-list.read';

export interface CamerasDeps {
  readonly db: Database;
}

export const readCameras =
  ({ db }: CamerasDeps) =>
  (tenantId: string, filter: CameraFilter, page: PageRequest) =>
    db.tenant(tenantId, (tx) => listCameras(tx, filter, page));

/** The given name stays whatever the recorder calls the channel later. Throws `camera.not_found`. */
export const changeCameraName =
  ({ db }: CamerasDeps) =>
  (tenantId: string, cameraId: string, name: string): Promise<Camera> =>
    db.tenant(tenantId, async (tx) => {
      const camera = (await renameCamera(tx, cameraId, name)) ? await findCamera(tx, cameraId) : undefined;
      if (!camera) throw devicesErrors.error('camera.not_found', { cameraId });
      return camera;
    });

/** For other services: unknown and foreign ids are left out; no ids means all. */
export const readCameraRefs =
  ({ db }: CamerasDeps) =>
  (tenantId: string, cameraIds: readonly string[]): Promise<devices.CameraRef[]> =>
    db.tenant(tenantId, (tx) => cameraRefs(tx, cameraIds));
