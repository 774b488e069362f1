import type { Permission } from './permissions';
import type { PolicyRow } from './route';
import { accessOf, isAreaScoped } from './routes';

/** As `GET /api/v1/me` tells it. */
export interface Held {
  readonly permissions: readonly Permission[];
  readonly onAreas: readonly { readonly areaId: string; readonly permissions: readonly Permission[] }[];
}

/** A row of the policy table under /api/v1: `GET /api/v1/edges`. */
export type RouteName = `${PolicyRow['method']} /api/v1/${string}`;

/** Whether the guard lets somebody who is logged in and holds this through to the route; which things are there, the service decides. */
export function opens(held: Held, route: RouteName): boolean {
  const [method, path] = route.split(' ') as [string, string];
  const access = accessOf(method, path);
  if (access === undefined || access === 'probe') return false;
  if (access === 'anyone' || access === 'public') return true;
  const onSome = isAreaScoped(method, path) && held.onAreas.some(({ permissions }) => permissions.includes(access));
  return onSome || held.permissions.includes(access);
}

/** Whether the permission is held on an area, told by its id and the ids of all above it. */
export const holdsOn = (held: Held, permission: Permission, line: readonly string[]): boolean =>
  held.permissions.includes(permission) ||
  held.onAreas.some(({ areaId, permissions }) => line.includes(areaId) && permissions.includes(permission));
