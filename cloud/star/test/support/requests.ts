/** For every route of the policy table: how to ask for it about somebody's things. A new route with ids or a body is added here, or `policy.test` fails. */
import { gzipSync } from 'node:zlib';
import { defaultTenantSettings, type PolicyRow, policy } from '@stardipper/proto';
import type { Furnished, Thing } from './furnish';
import type { Ask } from './whole-star';

/** Without the identity provider's and the bridge's own pages, which decide for themselves. */
export const rows: readonly PolicyRow[] = [...policy.tenants, ...policy.devices, ...policy.search].filter(({ path }) =>
  path.startsWith('/api/'),
);
export const nameOf = ({ method, path }: PolicyRow): string => `${method} ${path}`;
/** Answers until its reader leaves. */
export const isStream = ({ path }: PolicyRow): boolean => path.endsWith('/events');
/** The provider's, who works on all tenants. */
export const isProviders = ({ access }: PolicyRow): boolean => access === 'tenants.read' || access === 'tenants.write';
/** Names something in its path. */
export const namesThings = ({ path }: PolicyRow): boolean => path.includes(':');

/** Parameters of paths that are not called as the thing they name. */
const thingOf: Readonly<Record<string, Thing>> = {
  '/api/v1/provisioning-keys/:keyId': 'provisioningKeyId',
  '/api/v1/api-keys/:keyId': 'apiKeyId',
  '/api/v1/people/:personId/deletion': 'deletedPersonId',
};
/** What a route's path names. */
export const thingsIn = ({ path }: PolicyRow): Thing[] => [...path.matchAll(/:(\w+)/g)].map(([, name]) => thingOf[path] ?? (name as Thing));

type Body = (about: Furnished) => unknown;
const range = { from: '2026-01-01T00:00:00Z', to: '2026-01-01T01:00:00Z' };
const renamed: Body = () => ({ name: 'Renamed' });

const settings: Body = () => ({ version: 0, settings: defaultTenantSettings });

/** A body that is right in every way, about the things of `about`. */
const bodies: Readonly<Record<string, Body>> = {
  'POST /api/v1/users': () => ({ username: `u-${Math.random()}`, displayName: 'X', roles: ['viewer'] }),
  'PATCH /api/v1/users/:userId': () => ({ displayName: 'Y' }),
  'POST /api/v1/users/:userId/password': () => ({}),
  'POST /api/v1/tenants': () => ({
    name: 'Garden',
    admin: { username: `a-${Math.random()}`, displayName: 'X', password: 'a first password' },
  }),
  'POST /api/v1/tenants/:tenantId/disable': () => ({ reason: 'test' }),
  'PUT /api/v1/tenants/:tenantId/settings': settings,
  'PUT /api/v1/settings': settings,
  'POST /api/v1/areas': () => ({ kind: 'community', name: `Garden ${Math.random()}` }),
  'PATCH /api/v1/areas/:areaId': () => ({ name: `Garden ${Math.random()}` }),
  'POST /api/v1/areas/:areaId/move': () => ({ parentId: null }),
  'POST /api/v1/areas/:areaId/merge': ({ ids }) => ({ intoId: ids.areaId }),
  'POST /api/v1/grants': ({ ids }) => ({ userId: ids.userId, areaId: ids.areaId, role: 'viewer' }),
  'POST /api/v1/api-keys': () => ({ name: 'A program', permissions: ['areas.read'] }),
  'POST /api/v1/provisioning-keys': ({ ids }) => ({ areaId: ids.areaId }),
  'PATCH /api/v1/edges/:edgeId': () => ({ name: `Box ${Math.random()}` }),
  'POST /api/v1/edges/:edgeId/recorders': () => ({
    name: `NVR ${Math.random()}`,
    baseUrl: 'http://x.invalid',
    username: 'x',
    password: 'x',
  }),
  'PATCH /api/v1/recorders/:recorderId': () => ({ maxSessions: 2 }),
  'PATCH /api/v1/cameras/:cameraId': renamed,
  'POST /api/v1/software/packages': () => gzipSync('x'),
  'PUT /api/v1/software/assignment': ({ ids }) => ({ packageId: ids.packageId }),
  'POST /api/v1/people': renamed,
  'PATCH /api/v1/people/:personId': renamed,
  'POST /api/v1/people/:personId/photos': () => Buffer.from([0xff, 0xd8, 0xff]),
  'POST /api/v1/searches': ({ ids }) => ({ personIds: [ids.personId], cameraIds: [ids.cameraId], purpose: 'test', ...range }),
  'POST /api/v1/searches/:searchId/approval': () => ({ decision: 'refuse', reason: 'Not needed' }),
  'PUT /api/v1/approvals/rule': () => ({ required: false }),
  'POST /api/v1/searches/:searchId/matches/:matchId/verdict': () => ({ verdict: 'confirmed' }),
};
const bodiless = new Set([
  'POST /api/v1/searches/:searchId/start',
  'POST /api/v1/searches/:searchId/cancel',
  'POST /api/v1/tenants/:tenantId/enable',
  'POST /api/v1/tenants/:tenantId/restore',
  'POST /api/v1/tenants/:tenantId/export',
]);
const mediaTypes: Readonly<Record<string, string>> = {
  'POST /api/v1/software/packages': 'application/gzip',
  'POST /api/v1/people/:personId/photos': 'image/jpeg',
};
const queries: Readonly<Record<string, string>> = { 'POST /api/v1/software/packages': '?title=x&version=1' };

/** Routes whose bodies name things; the same from another tenant finds none of them. */
export const bodyNamesThings = new Set([
  'POST /api/v1/provisioning-keys',
  'POST /api/v1/grants',
  'PUT /api/v1/software/assignment',
  'POST /api/v1/searches',
]);

/** The request of a route about the things of `about`. Throws for a route that nobody has told this file about. */
export function requestFor(row: PolicyRow, about: Furnished): Required<Omit<Ask, 'body'>> & { readonly body: unknown } {
  const name = nameOf(row);
  const url = row.path.replace(/:(\w+)/g, (_, parameter: string) => {
    const thing = thingOf[row.path] ?? parameter;
    const id = (about.ids as Readonly<Record<string, string>>)[thing];
    if (id === undefined) throw new Error(`${name}: say in furnish.ts what a ${thing} is`);
    return id;
  });
  const body = bodies[name]?.(about);
  if (body === undefined && ['POST', 'PUT', 'PATCH'].includes(row.method) && !bodiless.has(name))
    throw new Error(`${name}: say in requests.ts what its body is`);
  const headers: Record<string, string> = mediaTypes[name] ? { 'content-type': mediaTypes[name] } : {};
  return { method: row.method, url: url + (queries[name] ?? ''), headers, body };
}
