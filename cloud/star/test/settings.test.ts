/** What a tenant's settings say is what every service does, from the moment they are changed. Real: all of Star in one process. */
import { randomBytes, randomUUID } from 'node:crypto';
import { defaultTenantSettings, platformTenantId, type TenantSettings } from '@stardipper/proto';
import { picture } from '../../search/test/support/world';
import { writeStorageUsage } from '../../tenants/src/storage/storage.store';
import { type Furnished, furnish } from './support/furnish';
import { type Answer, startWholeStar, type WholeStar } from './support/whole-star';

let star: WholeStar;
let east: Furnished;
let west: Furnished;
let provider: string;

beforeAll(async () => {
  star = await startWholeStar();
  [east, west] = [await furnish(star, 'east'), await furnish(star, 'west')];
  provider = await star.tokenFor({ tenantId: platformTenantId, roles: ['platform-operator'] });
});
afterAll(() => star?.close());

const ask = (token: string, method: string, path: string, body?: unknown): Promise<Answer> =>
  star.ask({ method, url: `/api/v1${path}`, headers: { authorization: `Bearer ${token}` }, ...(body === undefined ? {} : { body }) });

type Parts = { readonly [part in 'limits' | 'features' | 'storage']?: Partial<TenantSettings[part]> };
async function set(tenantId: string, parts: Parts): Promise<void> {
  const path = `/tenants/${tenantId}/settings`;
  const { version } = (await ask(provider, 'GET', path)).body;
  const settings = {
    ...defaultTenantSettings,
    storage: { ...defaultTenantSettings.storage, ...parts.storage },
    limits: { ...defaultTenantSettings.limits, ...parts.limits },
    features: { ...defaultTenantSettings.features, ...parts.features },
  };
  expect((await ask(provider, 'PUT', path, { version, settings })).status).toBe(200);
}

it('limits people, and tells which limit it was; other tenants have their own', async () => {
  await set(east.tenantId, { limits: { people: 2 } });
  const add = (token: string) => ask(token, 'POST', '/people', { name: `somebody ${randomUUID()}` });
  expect(await add(east.token)).toMatchObject({ status: 201 });
  expect(await add(east.token)).toMatchObject({ status: 409, body: { code: 'quota.exceeded', params: { what: 'people', limit: 2 } } });
  expect(await add(west.token)).toMatchObject({ status: 201 });
  await set(east.tenantId, {});
  expect(await add(east.token)).toMatchObject({ status: 201 });
});

it('switches off what a tenant has not, and leaves what is there to be read', async () => {
  const search = {
    personIds: [east.ids.personId],
    cameraIds: [east.ids.cameraId],
    purpose: 'x',
    from: '2026-01-01T00:00:00Z',
    to: '2026-01-01T01:00:00Z',
  };
  const key = { name: 'another', permissions: ['people.read'] };
  await set(east.tenantId, { features: { search: false, apiKeys: false, modelPacks: false } });
  const off = (feature: string) => ({ status: 403, body: { code: 'auth.feature_off', params: { feature } } });
  expect(await ask(east.token, 'POST', '/searches', search)).toMatchObject(off('search'));
  expect(await ask(east.token, 'POST', `/searches/${east.ids.searchId}/start`)).toMatchObject(off('search'));
  expect(await ask(east.token, 'POST', '/api-keys', key)).toMatchObject(off('apiKeys'));
  expect(await ask(east.apiKey, 'GET', '/people')).toMatchObject(off('apiKeys'));
  expect(await ask(east.token, 'PUT', '/software/assignment', { packageId: east.ids.packageId })).toMatchObject(off('modelPacks'));
  for (const path of ['/searches', `/searches/${east.ids.searchId}`, '/api-keys', '/software/packages'])
    expect([path, (await ask(east.token, 'GET', path)).status]).toEqual([path, 200]);
  expect((await ask(west.apiKey, 'GET', '/people')).status).toBe(200);
  await set(east.tenantId, {});
  expect((await ask(east.apiKey, 'GET', '/people')).status).toBe(200);
});

it('refuses photos and packages when storage is full, and tells how full it was', async () => {
  const { base } = star;
  const usage = { bytes: 999_999_900, objects: 7, measured_at: new Date() };
  await base.database.tenant(east.tenantId, (tx) => writeStorageUsage(tx, east.tenantId, usage));
  await base.cache.invalidate(east.tenantId, 'storage');
  await set(east.tenantId, { storage: { quotaGb: 1 } });
  const upload = async (token: string, path: string, contentType: string, body: Buffer) =>
    star.ask({ method: 'POST', url: `/api/v1${path}`, headers: { authorization: `Bearer ${token}`, 'content-type': contentType }, body });
  const full = { status: 409, body: { code: 'quota.exceeded', params: { what: 'storage', limit: 1 } } };
  const photo = await picture('white');
  expect(await upload(east.token, `/people/${east.ids.personId}/photos`, 'image/jpeg', photo)).toMatchObject(full);
  const software = randomBytes(200);
  expect(await upload(east.token, '/software/packages?title=full&version=1', 'application/gzip', software)).toMatchObject(full);
  expect((await ask(east.token, 'GET', '/settings')).body.storageUsed).toEqual({
    bytes: usage.bytes,
    objects: 7,
    measuredAt: usage.measured_at.toISOString(),
  });
  await set(east.tenantId, {});
  expect((await upload(east.token, `/people/${east.ids.personId}/photos`, 'image/jpeg', photo)).status).toBeLessThan(409);
});

it('lets nobody in while the tenant is disabled: neither people nor programs', async () => {
  await ask(provider, 'POST', `/tenants/${east.tenantId}/disable`, { reason: 'test' });
  for (const token of [east.token, east.apiKey])
    expect(await ask(token, 'GET', '/people')).toMatchObject({ status: 403, body: { code: 'auth.tenant_disabled' } });
  expect((await ask(west.token, 'GET', '/people')).status).toBe(200);
  await ask(provider, 'POST', `/tenants/${east.tenantId}/enable`);
  expect((await ask(east.apiKey, 'GET', '/people')).status).toBe(200);
});
