/**
 * Every route that may change something, asked by somebody who may and answered with success, left a line in the audit
 * log. A new route is walked by itself: it writes its line, or is put among the exceptions with a reason.
 */
import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { defaultTenantSettings, type PolicyRow, platformTenantId, policy } from '@stardipper/proto';
import { provision } from '../../devices/test/world';
import { picture } from '../../search/test/support/world';
import { type Furnished, furnish, type Thing } from './support/furnish';
import { isProviders, nameOf, requestFor, thingsIn } from './support/requests';
import { type Body, startWholeStar, type WholeStar } from './support/whole-star';

/** What is sent with a method that changes things and needs no line of its own, and why. */
const exceptions: Readonly<Record<string, string>> = {
  'POST /realms/star/*': 'pages of the identity provider, which records log-ins and changes of one’s own account by itself',
  'POST /log-in/:service/token': 'Keycloak swaps a code for what another service says of somebody; nothing of a tenant changes',
  'PUT /objects/*': 'a box hands in pictures of a search, whose start is recorded, with a signature that Star gave it',
};
const all: readonly PolicyRow[] = Object.values(policy).flat();
const writing = all.filter(({ method }) => method !== 'GET');
const walked = writing.filter((row) => !(nameOf(row) in exceptions));

/** Says what was and what is, in fields of its own. */
const changing = (row: PolicyRow) =>
  (['PUT', 'PATCH'].includes(row.method) || /\/(move|disable|enable|restore|verdict)$/.test(row.path)) && !(nameOf(row) in namesNobody);
/** Of enrolled people only that they were changed: a name in the log would outlive them. */
const namesNobody: Readonly<Record<string, true>> = { 'PATCH /api/v1/people/:personId': true };

let star: WholeStar;
let east: Furnished;

beforeAll(async () => {
  star = await startWholeStar();
  east = await furnish(star, 'east');
});
afterAll(() => star?.close());

interface Line {
  readonly user_id: string | null;
  readonly username: string;
  readonly action: string;
  readonly subject: string;
  readonly before: Body;
  readonly after: Body;
  readonly details: Body;
}
const linesOf = (tenantId: string): Promise<Line[]> =>
  star.base.database.tenant(tenantId, (tx) =>
    tx.query('SELECT user_id, username, action, subject, before, after, details FROM tenants.audit_log WHERE tenant_id = $1 ORDER BY id', [
      tenantId,
    ]),
  );

/** By somebody else every time: who asks for an approval does not give it. */
async function did(tenantId: string, method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Body> {
  const token = await star.tokenFor({ tenantId });
  const answer = await star.ask({ method, url: `/api/v1${path}`, headers: { authorization: `Bearer ${token}`, ...headers }, body });
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  return answer.body;
}
const inEast = (...asked: [method: string, path: string, body?: unknown, headers?: Record<string, string>]) => did(east.tenantId, ...asked);
const byProvider = (...asked: [method: string, path: string, body?: unknown]) => did(platformTenantId, ...asked);

interface Prepared {
  readonly ids?: Partial<Record<Thing, string>>;
  readonly body?: unknown;
  /** Of whoever asks; somebody nobody knows unless told. */
  readonly userId?: string;
}
let made = 0;
const another = (what: string) => `another ${what} ${++made}`;
const anArea = async (): Promise<Prepared> => ({
  ids: { areaId: (await inEast('POST', '/areas', { kind: 'community', name: another('garden') })).id },
});
const aTenant = async (): Promise<Prepared> => {
  const tenantId = randomUUID();
  await star.base.database.tenant(tenantId, (tx) =>
    tx.execute('INSERT INTO tenants.tenants (tenant_id, name) VALUES ($1, $2)', [tenantId, another('tenant')]),
  );
  return { ids: { tenantId } };
};
const aUser = async (): Promise<string> =>
  (await inEast('POST', '/users', { username: `u-${randomUUID()}`, displayName: 'X', roles: ['viewer'] })).id;
const aPackage = async (): Promise<Prepared> => {
  const path = `/software/packages?title=${++made}&version=1`;
  return { ids: { packageId: (await inEast('POST', path, gzipSync(`${made}`), { 'content-type': 'application/gzip' })).id } };
};
const aSearch = async (): Promise<Prepared> => {
  const to = Math.floor(Date.now() / 60_000) * 60_000 - 7_200_000;
  const range = { from: new Date(to - 3_600_000).toISOString(), to: new Date(to).toISOString() };
  const wanted = { name: another('search'), purpose: 'test', personIds: [east.ids.personId], cameraIds: [east.ids.cameraId], ...range };
  return { ids: { searchId: (await inEast('POST', '/searches', wanted)).id } };
};
const aStartedSearch = async (): Promise<Prepared> => {
  const search = await aSearch();
  await inEast('POST', `/searches/${search.ids?.searchId}/start`);
  return search;
};
/** Photos are embedded with the installation's pack, where none is assigned. */
const withoutPack = () => inEast('DELETE', '/software/assignment');
const settings = { version: 0, settings: { ...defaultTenantSettings, timeZone: 'Asia/Urumqi' } };

/** What a route needs so that it succeeds and changes something; what it takes away is made for it. */
const prepared: Readonly<Record<string, () => Promise<Prepared>>> = {
  'DELETE /api/v1/me/sessions': async () => ({ userId: await aUser() }),
  'DELETE /api/v1/users/:userId': async () => ({ ids: { userId: await aUser() } }),
  'PATCH /api/v1/areas/:areaId': anArea,
  'DELETE /api/v1/areas/:areaId': anArea,
  'POST /api/v1/areas/:areaId/move': async () => ({
    ids: { areaId: (await inEast('POST', '/areas', { kind: 'building', name: another('house'), parentId: east.ids.areaId })).id },
    body: { parentId: (await anArea()).ids?.areaId },
  }),
  'POST /api/v1/areas/:areaId/merge': async () => ({ ...(await anArea()), body: { intoId: east.ids.areaId } }),
  'POST /api/v1/grants': anArea,
  'DELETE /api/v1/grants/:grantId': async () => {
    const grant = { userId: east.ids.userId, areaId: (await anArea()).ids?.areaId, role: 'viewer' };
    return { ids: { grantId: (await inEast('POST', '/grants', grant)).id } };
  },
  'DELETE /api/v1/api-keys/:keyId': async () => ({
    ids: { apiKeyId: (await inEast('POST', '/api-keys', { name: another('program'), permissions: ['areas.read'] })).id },
  }),
  'PUT /api/v1/settings': async () => ({ body: settings }),
  'PUT /api/v1/tenants/:tenantId/settings': async () => ({ ...(await aTenant()), body: settings }),
  'DELETE /api/v1/tenants/:tenantId': aTenant,
  'POST /api/v1/tenants/:tenantId/disable': aTenant,
  'POST /api/v1/tenants/:tenantId/export': aTenant,
  'POST /api/v1/tenants/:tenantId/enable': async () => {
    const tenant = await aTenant();
    await byProvider('POST', `/tenants/${tenant.ids?.tenantId}/disable`, { reason: 'test' });
    return tenant;
  },
  'POST /api/v1/tenants/:tenantId/restore': async () => {
    const tenant = await aTenant();
    await byProvider('DELETE', `/tenants/${tenant.ids?.tenantId}`);
    return tenant;
  },
  'DELETE /api/v1/provisioning-keys/:keyId': async () => ({
    ids: { provisioningKeyId: (await inEast('POST', '/provisioning-keys', { areaId: east.ids.areaId })).id },
  }),
  'DELETE /api/v1/edges/:edgeId': async () => {
    const deviceName = another('box');
    await provision(star.mqttPort, await inEast('POST', '/provisioning-keys', { areaId: east.ids.areaId }), { deviceName });
    const { items } = (await inEast('GET', '/edges')) as { items: { id: string; name: string }[] };
    return { ids: { edgeId: items.find(({ name }) => name === deviceName)?.id as string } };
  },
  'DELETE /api/v1/recorders/:recorderId': async () => {
    const recorder = { name: another('recorder'), baseUrl: 'http://x.invalid', username: 'x', password: 'x' };
    return { ids: { recorderId: (await inEast('POST', `/edges/${east.ids.edgeId}/recorders`, recorder)).id } };
  },
  'DELETE /api/v1/software/packages/:packageId': aPackage,
  'PUT /api/v1/software/assignment': aPackage,
  'DELETE /api/v1/software/assignment': async () => {
    const { ids } = await aPackage();
    await inEast('PUT', '/software/assignment', { packageId: ids?.packageId });
    return {};
  },
  'DELETE /api/v1/people/:personId': async () => ({ ids: { personId: (await inEast('POST', '/people', { name: another('person') })).id } }),
  'POST /api/v1/people/:personId/photos': async () => {
    await withoutPack();
    return { body: await picture('white') };
  },
  'DELETE /api/v1/people/:personId/photos/:photoId': async () => {
    await withoutPack();
    const path = `/people/${east.ids.personId}/photos`;
    const { photos } = await inEast('POST', path, await picture('silver'), { 'content-type': 'image/jpeg' });
    return { ids: { photoId: photos.find(({ id }: { id: string }) => id !== east.ids.photoId).id } };
  },
  'POST /api/v1/searches/:searchId/start': aSearch,
  'POST /api/v1/searches/:searchId/cancel': aStartedSearch,
  'DELETE /api/v1/searches/:searchId': aSearch,
  'POST /api/v1/searches/:searchId/approval': async () => {
    await inEast('PUT', '/approvals/rule', { required: true });
    const search = await aStartedSearch();
    await inEast('PUT', '/approvals/rule', { required: false });
    return search;
  },
  'PUT /api/v1/approvals/rule': async () => {
    await inEast('PUT', '/approvals/rule', { required: true });
    return {};
  },
};

it('knows of no exception that is none, and prepares no route that is none', () => {
  const names = writing.map(nameOf);
  expect(walked.length).toBeGreaterThan(40);
  expect([...Object.keys(exceptions), ...Object.keys(prepared)].filter((name) => !names.includes(name))).toEqual([]);
});

it.each(walked.map((row) => [nameOf(row), row] as const))('%s is recorded: who did it, and on what', async (name, row) => {
  const own = await prepared[name]?.();
  const about: Furnished = { ...east, ids: { ...east.ids, ...own?.ids } };
  const asked = requestFor(row, about);
  const caller = { userId: own?.userId ?? randomUUID(), tenantId: isProviders(row) ? platformTenantId : east.tenantId };
  const headers = { ...asked.headers, authorization: `Bearer ${await star.tokenFor(caller)}` };
  const answer = await star.ask({ ...asked, body: own?.body ?? asked.body, headers });
  expect([answer.status < 300, answer.text]).toEqual([true, answer.text]);
  // The provider's deeds are in its own log, and in that of the tenant they were done to.
  const logs = new Set([caller.tenantId, ...(thingsIn(row).includes('tenantId') ? [about.ids.tenantId] : [])]);
  for (const log of logs) {
    const lines = (await linesOf(log)).filter((line) => line.user_id === caller.userId && !line.action.endsWith('.viewed'));
    expect([name, log, lines.length]).toEqual([name, log, 1]);
    expect(lines[0]).toMatchObject({ username: `somebody of ${caller.tenantId}`, subject: expect.stringMatching(/\S/) });
    if (changing(row)) expect([name, lines[0]]).toMatchObject([name, { before: expect.any(Object), after: expect.any(Object) }]);
  }
});

it('a box that registers is recorded by its name, with the key that let it in', async () => {
  const { id: provisioningKeyId, ...key } = await inEast('POST', '/provisioning-keys', { areaId: east.ids.areaId });
  const name = another('box');
  const token = { deviceName: name, token: randomUUID() };
  await provision(star.mqttPort, key, token);
  // A box that lost the answer asks again: nothing happens, and nothing is recorded.
  await provision(star.mqttPort, key, token);
  const lines = (await linesOf(east.tenantId)).filter((line) => line.after?.name === name);
  const edgeId = lines[0]?.subject;
  expect(lines).toMatchObject([
    {
      action: 'edge.registered',
      user_id: edgeId,
      username: `edge:${name}`,
      after: { name, areaId: east.ids.areaId },
      details: { provisioningKeyId },
    },
  ]);
});

it('what is changed of boxes and recorders is there as it was and as it is, and never a password', async () => {
  const { edgeId } = east.ids;
  const recorder = { name: another('recorder'), baseUrl: 'http://x.invalid/', username: 'x', password: 'hidden-one' };
  const { id } = await inEast('POST', `/edges/${edgeId}/recorders`, recorder);
  await inEast('PATCH', `/recorders/${id}`, { maxSessions: 3, password: 'hidden-two' });
  await inEast('DELETE', `/recorders/${id}`);
  const lines = (await linesOf(east.tenantId)).filter((line) => line.subject === id);
  expect(lines).toMatchObject([
    {
      action: 'recorder.created',
      before: null,
      after: { name: recorder.name, baseUrl: 'http://x.invalid/', maxSessions: 1 },
      details: { edgeId },
    },
    { action: 'recorder.changed', before: { maxSessions: 1 }, after: { maxSessions: 3 }, details: { edgeId, passwordChanged: true } },
    { action: 'recorder.deleted', before: { name: recorder.name }, after: null, details: { edgeId } },
  ]);
  expect(JSON.stringify(lines)).not.toContain('hidden');
  await inEast('PATCH', `/edges/${edgeId}`, { name: 'Gate' });
  await inEast('PATCH', `/edges/${edgeId}`, { name: 'Garage' });
  expect((await linesOf(east.tenantId)).at(-1)).toMatchObject({
    action: 'edge.changed',
    before: { name: 'Gate' },
    after: { name: 'Garage' },
  });
});

it('the names of enrolled people are in no line', async () => {
  await inEast('PATCH', `/people/${east.ids.personId}`, { name: 'Hidden Person', note: 'Hidden Note' });
  const lines = await linesOf(east.tenantId);
  for (const name of ['Hidden', `${east.mark} person`, `${east.mark} deleted`, 'another person'])
    expect([name, JSON.stringify(lines).includes(name)]).toEqual([name, false]);
});
