/** Access tokens end with what they say. Real: PostgreSQL, log-in, HTTP, two replicas that share nothing but the database. */
import { randomUUID } from 'node:crypto';
import { oidcClients } from '@star/platform';
import { connectBus, type HttpApp } from '@star/platform/nest';
import { type Base, openBase } from '../src/base';
import { openServicesHttp } from '../src/open-http';
import { composeServices, type Services } from '../src/services';
import { type Furnished, furnish } from './support/furnish';
import { soon } from './support/token-ends';
import { startWholeStar, type WholeStar } from './support/whole-star';

let star: WholeStar;
let east: Furnished;
let other: { base: Base; services: Services; app: HttpApp };

beforeAll(async () => {
  star = await startWholeStar();
  east = await furnish(star, 'east');
  const base = await openBase(star.base.settings);
  const services = composeServices(base, 'all');
  other = { base, services, app: await openServicesHttp(base, services) };
  connectBus(other.app.nest, { bus: base.bus, group: 'all' });
});
afterAll(async () => {
  await other?.app.close();
  await other?.services.stop();
  await other?.base.close();
  await star?.close();
});

interface Person {
  readonly userId: string;
  readonly logIn: () => Promise<string>;
}

async function aPerson(roles: readonly string[] = ['viewer']): Promise<Person> {
  const username = `somebody-${randomUUID().slice(0, 8)}`;
  const password = 'long enough';
  const { userId } = await star.base.identity.admin.createUser({ tenantId: east.tenantId, username, displayName: 'x', roles, password });
  return {
    userId,
    logIn: async () => {
      const answer = await fetch(`${star.address}/realms/star/protocol/openid-connect/token`, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'password', client_id: oidcClients.cli, scope: 'openid', username, password }),
      });
      return ((await answer.json()) as { access_token: string }).access_token;
    },
  };
}

const headers = (token: string) => ({ authorization: `Bearer ${token}` });
/** What both replicas say of a token. */
const taken = async (token: string, url = '/api/v1/me') => {
  const mine = await star.ask({ method: 'GET', url, headers: headers(token) });
  const theirs = await other.app.nest.inject({ method: 'GET', url, headers: headers(token) });
  return [mine.status, theirs.statusCode];
};
const asAdmin = (method: string, path: string, body?: unknown) =>
  star.ask({ method, url: `/api/v1/users/${path}`, headers: headers(east.token), body });

it.each([
  ['is disabled', (id: string) => asAdmin('PATCH', id, { enabled: false })],
  ['gets other roles', (id: string) => asAdmin('PATCH', id, { roles: ['operator'] })],
  ['is deleted', (id: string) => asAdmin('DELETE', id)],
  ['gets another password', (id: string) => asAdmin('POST', `${id}/password`)],
  ['loses her second factor', (id: string) => asAdmin('DELETE', `${id}/second-factor`)],
  ['is logged out everywhere', (id: string) => asAdmin('DELETE', `${id}/sessions`)],
])('of a user who %s, at once and in every process; nobody else notices', async (_, change) => {
  const [her, neighbour] = [await aPerson(), await aPerson()];
  const [token, theirs] = [await her.logIn(), await neighbour.logIn()];
  expect(await taken(token)).toEqual([200, 200]);
  expect(await taken(theirs)).toEqual([200, 200]);
  expect((await change(her.userId)).status).toBeLessThan(300);
  const refused = await star.ask({ method: 'GET', url: '/api/v1/me', headers: headers(token) });
  expect([refused.status, refused.body.code]).toEqual([401, 'auth.token_expired']);
  await soon(async () => (await taken(token)).every((status) => status === 401));
  expect(await taken(theirs)).toEqual([200, 200]);
});

it('of whoever logs herself out everywhere, and the next log-in works in the same second', async () => {
  const her = await aPerson();
  for (let round = 0; round < 3; round++) {
    const token = await her.logIn();
    await soon(async () => (await taken(token)).every((status) => status === 200));
    expect((await star.ask({ method: 'DELETE', url: '/api/v1/me/sessions', headers: headers(token) })).status).toBe(204);
    await soon(async () => (await taken(token)).every((status) => status === 401));
  }
});

it('not of a user whose name or mail is changed, or who is given the roles she has', async () => {
  const her = await aPerson(['viewer', 'operator']);
  const token = await her.logIn();
  await asAdmin('PATCH', her.userId, { displayName: 'New', email: null, roles: ['operator', 'viewer'], enabled: true });
  expect(await taken(token)).toEqual([200, 200]);
});

describe('an event stream', () => {
  const open = async (token: string) => {
    const url = `${star.address}/api/v1/searches/${east.ids.searchId}/events`;
    const answer = await fetch(url, { headers: { ...headers(token), accept: 'text/event-stream' } });
    expect(answer.status).toBe(200);
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    return reader;
  };
  /** Resolves when Star has ended it. */
  const ended = async (reader: ReadableStreamDefaultReader<Uint8Array>) => {
    while (!(await reader.read()).done);
  };

  it('ends with the session of whoever reads it, and nobody else’s does', async () => {
    const [her, neighbour] = [await aPerson(), await aPerson()];
    const [hers, theirs] = [await open(await her.logIn()), await open(await neighbour.logIn())];
    let stopped = false;
    const neighbours = ended(theirs).then(() => {
      stopped = true;
    });
    await asAdmin('DELETE', `${her.userId}/sessions`);
    await ended(hers);
    expect(stopped).toBe(false);
    await theirs.cancel();
    await neighbours;
  });

  it('ends when its reader is let see the search no longer', async () => {
    const her = await aPerson([]);
    const given = await star.ask({
      method: 'POST',
      url: '/api/v1/grants',
      headers: headers(east.token),
      body: { userId: her.userId, areaId: east.ids.areaId, role: 'viewer' },
    });
    expect(given.status).toBe(201);
    const stream = await open(await her.logIn());
    await star.ask({ method: 'DELETE', url: `/api/v1/grants/${given.body.id}`, headers: headers(east.token) });
    await ended(stream);
  });

  it('ends with its tenant', async () => {
    const stream = await open(east.token);
    const key = await open(east.apiKey);
    await star.base.database.system('test', (tx) =>
      tx.execute("UPDATE tenants.tenants SET state = 'disabled' WHERE tenant_id = $1", [east.tenantId]),
    );
    await other.base.cache.invalidate(east.tenantId);
    await Promise.all([ended(stream), ended(key)]);
  });
});
