import type { Access, PolicyRow } from './route';
import { rows } from './route';
import { devicesRoutes } from './routes.devices';
import { searchRoutes } from './routes.search';
import { tenantsRoutes } from './routes.tenants';

/** Every process has these; the signature in an object's address is its permission. */
const commonRoutes = rows({
  'GET /healthz': 'probe',
  'GET /readyz': 'probe',
  'GET /metrics': 'probe',
  'GET /api/openapi.json': 'public',
  'GET /objects/*': 'public',
  'PUT /objects/*': 'public',
});

/** The one table of who may call what. Guards, the gateway, the OpenAPI document and the console's menu read it. */
export const policy = { tenants: tenantsRoutes, devices: devicesRoutes, search: searchRoutes, common: commonRoutes } as const;

const byRoute: ReadonlyMap<string, PolicyRow> = new Map(
  (Object.values(policy) as (readonly PolicyRow[])[]).flat().map((row) => [`${row.method} ${row.path}`, row]),
);
const rowOf = (method: string, path: string) => byRoute.get(`${method === 'HEAD' ? 'GET' : method} ${path}`);

/** Undefined for a route nobody has classified: nobody may call it. HEAD is GET without the body. */
export const accessOf = (method: string, path: string): Access | undefined => rowOf(method, path)?.access;

/** Whether holding the permission on an area, instead of in the whole tenant, opens the route. */
export const isAreaScoped = (method: string, path: string): boolean => rowOf(method, path)?.areaScoped ?? false;
