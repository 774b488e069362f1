import type { Feature } from '../rest/settings';
import type { RouteName } from './held';

/** What a tenant must have switched on for a route, beside the permission its caller needs. What is there already can always be read. */
const needed: Readonly<Record<string, Feature>> = {
  'POST /api/v1/searches': 'search',
  'POST /api/v1/searches/:searchId/start': 'search',
  'POST /api/v1/api-keys': 'apiKeys',
  'POST /api/v1/software/packages': 'modelPacks',
  'PUT /api/v1/software/assignment': 'modelPacks',
};

/** Of a route as the router knows it. */
export const featureOf = (method: string, path: string): Feature | undefined => needed[`${method} ${path}`];

/** What the tenant is without that the route needs; undefined when nothing is in the way. */
export function featureMissing(has: readonly Feature[], route: RouteName): Feature | undefined {
  const feature = needed[route];
  return feature === undefined || has.includes(feature) ? undefined : feature;
}

/** Routes that need a feature, for the test that each of them exists. */
export const featuredRoutes: readonly string[] = Object.keys(needed);
