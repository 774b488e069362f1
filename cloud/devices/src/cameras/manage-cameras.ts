import { type Audit, type Caller, type Database, inScope, type Tx, who } from '@star/platform';
import type { Camera, devices, patchCamera } from '@stardipper/proto';
import type { z } from 'zod';
import type { AreasPort } from '../areas';
import { changed } from '../audited-change';
import { devicesErrors } from '../devices.errors';
import type { PageRequest } from '../paging';
import { updateCamera } from './camera.store';
import { areaOfEdge, type CameraFilter, cameraRefs, findCamera, listCameras } from './camera-list.read';

export interface CamerasDeps extends AreasPort {
  readonly db: Database;
  readonly audit: Audit;
}

export const readCameras =
  ({ db, areasVisibleTo }: CamerasDeps) =>
  async (caller: Caller, filter: CameraFilter, page: PageRequest) => {
    const scope = await areasVisibleTo(caller, 'edges.read');
    return db.tenant(caller.tenantId, (tx) => listCameras(tx, scope, filter, page));
  };

/**
 * Another name, which stays whatever the recorder calls the channel later, and a building of its own below its edge's area,
 * or null to follow the edge. Throws `camera.not_found`, `area.unknown`, `area.kind_unfit`, `area.not_below_edge`.
 */
export const changeCamera =
  (deps: CamerasDeps) =>
  async (caller: Caller, cameraId: string, change: z.infer<typeof patchCamera>): Promise<Camera> => {
    const scope = await deps.areasVisibleTo(caller, 'edges.write');
    return deps.db.tenant(caller.tenantId, async (tx) => {
      const held = change.areaId ? await deps.holdArea(tx, change.areaId) : undefined;
      const camera = await findCamera(tx, cameraId, scope);
      if (!camera) throw devicesErrors.error('camera.not_found', { cameraId });
      if (change.areaId && !(held && inScope(scope, held.id))) throw devicesErrors.error('area.unknown', { areaId: change.areaId });
      if (held && held.kind !== 'building') throw devicesErrors.error('area.kind_unfit', { kind: held.kind });
      const edgeArea = await lockedAreaOfEdge(tx, camera);
      if (held && !held.path.includes(edgeArea)) throw devicesErrors.error('area.not_below_edge', { areaId: held.id });
      // Whoever may write on one building only must not put a camera where they may not.
      if (change.areaId === null && !inScope(scope, edgeArea)) throw devicesErrors.error('area.unknown', { areaId: edgeArea });
      // The edge's own building is no place of the camera's own: it follows.
      const areaId = change.areaId === undefined ? undefined : held && held.id !== edgeArea ? held.id : null;
      await updateCamera(tx, cameraId, { name: change.name, areaId });
      const after = (await findCamera(tx, cameraId, 'all')) as Camera;
      await deps.audit(tx, { ...who(caller), action: 'camera.changed', subject: cameraId, ...changed(camera, after, change) });
      return after;
    });
  };

async function lockedAreaOfEdge(tx: Tx, camera: Camera): Promise<string> {
  const area = await areaOfEdge(tx, camera.edgeId);
  if (area === undefined) throw devicesErrors.error('camera.not_found', { cameraId: camera.id });
  return area;
}

/** For other services: unknown and foreign ids are left out; no ids means all. */
export const readCameraRefs =
  ({ db }: Pick<CamerasDeps, 'db'>) =>
  (tenantId: string, cameraIds: readonly string[]): Promise<devices.CameraRef[]> =>
    db.tenant(tenantId, (tx) => cameraRefs(tx, cameraIds));
