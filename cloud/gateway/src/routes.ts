import { type PolicyRow, policy } from '@stardipper/proto';

export const serviceNames = ['tenants', 'devices', 'search'] as const;
export type ServiceName = (typeof serviceNames)[number];

export interface Route extends PolicyRow {
  readonly service: ServiceName;
}

/** Every route that exists outside, and who answers it. Objects are in a folder that all services share; `search` serves them. */
export const routes: readonly Route[] = [
  ...serviceNames.flatMap((service) => policy[service].map((row) => ({ ...row, service }))),
  ...policy.common.filter(({ path }) => path.startsWith('/objects/')).map((row) => ({ ...row, service: 'search' as const })),
];

const byRoute = new Map(routes.map((route) => [`${route.method} ${route.path}`, route]));

/** As the router knows it; HEAD is GET without the body. */
export const routeOf = (method: string, path: string): Route | undefined => byRoute.get(`${method === 'HEAD' ? 'GET' : method} ${path}`);
