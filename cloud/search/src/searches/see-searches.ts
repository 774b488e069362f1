import { type Caller, inScope } from '@star/platform';
import type { Permission } from '@stardipper/proto';
import type { SearchDeps } from '../ports';
import { searchError } from '../search.errors';
import { requireSearch } from './require-search';
import type { SeenSearches } from './search.store';

/**
 * Where a role holds on areas only, cameras decide, as they hang now: a search that looks at one camera outside is not shown
 * at all, because its coverage and matches cannot be told apart from its answer. A camera that is gone hangs nowhere.
 */
export async function searchesSeenBy(deps: SearchDeps, caller: Caller, permission: Permission): Promise<SeenSearches> {
  const scope = await deps.areasVisibleTo(caller, permission);
  if (scope === 'all') return 'all';
  const cameras = scope.size === 0 ? [] : await deps.edges.listCameras(caller.tenantId, []);
  return { userId: caller.userId, cameraIds: cameras.filter((camera) => inScope(scope, camera.areaId)).map((camera) => camera.cameraId) };
}

/** Throws `search.not_found` for a search that the caller may not see, as for one that does not exist. */
export async function requireSeen(deps: SearchDeps, caller: Caller, searchId: string, permission: Permission): Promise<void> {
  const scope = await deps.areasVisibleTo(caller, permission);
  if (scope === 'all') return;
  const search = await deps.database.tenant(caller.tenantId, (tx) => requireSearch(tx, searchId));
  if (search.created_by === caller.userId) return;
  const cameras = new Map((await deps.edges.listCameras(caller.tenantId, search.camera_ids)).map((camera) => [camera.cameraId, camera]));
  const seen = search.camera_ids.every((id) => {
    const areaId = cameras.get(id)?.areaId;
    return areaId !== undefined && inScope(scope, areaId);
  });
  if (!seen) throw searchError('search.not_found', { searchId });
}

/** A use case about one search, for those who may see it. */
export const onSeenSearch =
  <Rest extends unknown[], T>(
    deps: SearchDeps,
    permission: Permission,
    use: (caller: Caller, searchId: string, ...rest: Rest) => Promise<T>,
  ) =>
  async (caller: Caller, searchId: string, ...rest: Rest): Promise<T> => {
    await requireSeen(deps, caller, searchId, permission);
    return use(caller, searchId, ...rest);
  };
