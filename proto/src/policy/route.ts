import type { Permission } from './permissions';

/**
 * Who may call a route: the holders of a permission; `anyone` who is logged in; `public`: nobody need be; `probe`: public,
 * and not passed on from outside.
 */
export type Access = Permission | 'anyone' | 'public' | 'probe';

export interface PolicyRow {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** As the router knows it: `/api/v1/edges/:edgeId`. */
  readonly path: string;
  readonly access: Access;
  /** Whoever holds the permission on some area is let in as well: the service answers what is within those areas. */
  readonly areaScoped: boolean;
}

/** A permission that is enough when it is held on an area. */
export interface OnAnArea {
  readonly permission: Permission;
}
export const onAnArea = (permission: Permission): OnAnArea => ({ permission });

/** Rows of one service, written as `GET /path` to be read down like a list. */
export const rows = (table: Readonly<Record<string, Access | OnAnArea>>): readonly PolicyRow[] =>
  Object.entries(table).map(([route, access]) => {
    const [method, path] = route.split(' ') as [PolicyRow['method'], string];
    const areaScoped = typeof access === 'object';
    return { method, path, access: areaScoped ? access.permission : access, areaScoped };
  });
