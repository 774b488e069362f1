import type { Edge, Page, Search } from '@stardipper/proto';
import type { RouteName } from '@stardipper/proto/rules';
import { request } from '../api/client';
import { listRecorders } from '../api/devices';
import { getPackInUse } from '../api/packs';
import { listTenants } from '../api/tenants';

/** In the order in which each needs the ones before it. */
export const stepNames = ['tenant', 'box', 'recorder', 'person', 'search'] as const;
export type StepName = (typeof stepNames)[number];

/** `says`: what is known of it so far, as a key of the texts `start.says`. */
export interface Step {
  readonly name: StepName;
  readonly state: 'open' | 'begun' | 'done';
  readonly says?: string;
}

/** A step is for whoever may do it. */
export const stepNeeds: Readonly<Record<StepName, RouteName>> = {
  tenant: 'POST /api/v1/tenants',
  box: 'POST /api/v1/provisioning-keys',
  recorder: 'POST /api/v1/edges/:edgeId/recorders',
  person: 'POST /api/v1/people',
  search: 'POST /api/v1/searches',
};

/** The first page of each list is enough to know whether there is anything. */
const first = <T>(path: string) => request<Page<T>>('GET', path);

const open = (name: StepName, says?: string): Step => ({ name, state: 'open', ...(says && { says }) });
const begun = (name: StepName, says: string): Step => ({ name, state: 'begun', says });
const done = (name: StepName): Step => ({ name, state: 'done' });

/** How far each step is, by what Star has and nothing else: they may be done elsewhere, and undone. Throws ApiError. */
const readers: Readonly<Record<StepName, () => Promise<Step>>> = {
  tenant: async () => {
    const customers = (await listTenants()).items.filter((tenant) => tenant.kind === 'customer');
    if (customers.some((tenant) => tenant.state === 'enabled')) return done('tenant');
    return customers.some((tenant) => tenant.state === 'opening') ? begun('tenant', 'opening') : open('tenant', 'noTenant');
  },
  box: async () => {
    const { items } = await first<Edge>('/edges?limit=50');
    if (items.some((edge) => edge.online)) return done('box');
    if (items.length > 0) return begun('box', 'offline');
    const keys = await first('/provisioning-keys?limit=1');
    return keys.items.length > 0 ? begun('box', 'keyMade') : open('box');
  },
  recorder: async () => {
    if ((await first('/cameras?limit=1')).items.length > 0) return done('recorder');
    const { items } = await first<Edge>('/edges?limit=5');
    const recorders = (await Promise.all(items.map((edge) => listRecorders(edge.id)))).flat();
    if (recorders.some((recorder) => recorder.reachable === false || recorder.errorCode !== null)) return begun('recorder', 'unreachable');
    return recorders.length > 0 ? begun('recorder', 'noCameras') : open('recorder');
  },
  person: async () => {
    // Counts, not people: every look at a face is recorded.
    const { people } = await getPackInUse();
    if (people.ready > 0) return done('person');
    return people.waiting + people.refused > 0 ? begun('person', people.waiting > 0 ? 'faceWaits' : 'faceRefused') : open('person');
  },
  search: async () => {
    const { items, nextCursor } = await first<Search>('/searches?limit=20');
    if (nextCursor !== null || items.some((search) => search.state === 'finished')) return done('search');
    return items.some((search) => search.startedAt !== null) ? begun('search', 'searching') : open('search');
  },
};

export const readStep = (name: StepName): Promise<Step> => readers[name]();
