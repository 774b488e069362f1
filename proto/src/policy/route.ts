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
}

/** Rows of one service, written as `GET /path` to be read down like a list. */
export const rows = (table: Readonly<Record<string, Access>>): readonly PolicyRow[] =>
  Object.entries(table).map(([route, access]) => {
    const [method, path] = route.split(' ') as [PolicyRow['method'], string];
    return { method, path, access };
  });
