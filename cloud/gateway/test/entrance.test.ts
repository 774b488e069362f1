/** Real: HTTP on sockets, tokens, Redis where there is one. The services behind are small servers that say what reached them. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, request as rawRequest, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Module } from '@nestjs/common';
import { createMetrics, createTokenIssuer, createTokenVerifier, loadSigningKey, type Metrics, type TokenIssuer } from '@star/platform';
import { createHttpApp, type HttpApp } from '@star/platform/nest';
import { platformTenantId } from '@stardipper/proto';
import { countInMemory, describeAll, type EntranceOptions, guardEntrance, passOn, routes } from '../src';

@Module({})
class Nothing {}

const realm = { issuer: 'http://star.test', audience: 'star' };
// Whose people may have every role there is.
const tenantId = platformTenantId;
let folder: string;
let tokens: TokenIssuer;
let app: HttpApp;
let base: string;
let metrics: Metrics;
let service: Server;
let alive: string;
/** Where nobody listens, until somebody does. */
let devicesPort: number;
let seen: { request: IncomingMessage; body: Buffer }[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

const open = async (own: Partial<EntranceOptions> = {}) => {
  const upstreams = { tenants: alive, search: alive, devices: `http://127.0.0.1:${devicesPort}` };
  const made = await createHttpApp(Nothing, {
    verifier: createTokenVerifier({ ...realm, keys: tokens.jwks }),
    describe: describeAll({ tenants: alive, search: alive, devices: alive }),
    entrance: (fastify) => guardEntrance(fastify, { verifier: createTokenVerifier({ ...realm, keys: tokens.jwks }), ...own }),
    extend: (fastify) =>
      passOn(fastify, {
        upstreams,
        breaker: { pauseMs: 300 },
        timeoutMsOf: (_method, path) => (path.endsWith('/in-use') ? 100 : 30_000),
        ...(own.metrics ? { metrics: own.metrics } : {}),
      }),
  });
  return { made, base: await made.listen() };
};
const bearer = async (roles = ['operator', 'tenant-admin'], userId = randomUUID()) => {
  const { token } = await tokens.issue({ tenantId, userId, username: 'lin', roles });
  return { authorization: `Bearer ${token}` };
};
const problem = async (response: Response) => ({
  status: response.status,
  ...((await response.json()) as { code: string; params: unknown }),
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-gateway-'));
  tokens = createTokenIssuer({ ...realm, key: await loadSigningKey(join(folder, 'key.json')) });
  service = createServer(async (request, response) => {
    const body = await buffer(request).catch(() => Buffer.alloc(0));
    seen.push({ request, body });
    answer(request, response);
  });
  service.listen(0, '127.0.0.1');
  await once(service, 'listening');
  alive = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
  const unused = createServer().listen(0, '127.0.0.1');
  await once(unused, 'listening');
  devicesPort = (unused.address() as AddressInfo).port;
  unused.close();
  metrics = createMetrics({ service: 'test', process: false });
  ({ made: app, base } = await open({ metrics, inFlight: { requests: 3, streams: 2, share: 1 } }));
});
afterAll(async () => {
  await app.close();
  service.closeAllConnections();
  service.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  seen = [];
  answer = (_request, response) => response.end('{}');
});

describe('what is passed on', () => {
  it('is bodies of every kind as they are, and no header that claims who is asking or where it came from', async () => {
    const photo = Buffer.from([0xff, 0xd8, 0, 1, 2, 3]);
    const claims = {
      'x-tenant-id': 'another',
      'x-user-id': 'x',
      'x-roles': 'admin',
      'x-forwarded-for': '1.2.3.4',
      'x-forwarded-anything': 'x',
      forwarded: 'for=x',
    };
    const headers = { ...(await bearer()), ...claims, 'x-star-internal': '1', 'content-type': 'image/jpeg' };
    await fetch(`${base}/api/v1/people/1/photos`, { method: 'POST', body: photo, headers });
    await fetch(`${base}/realms/star/token?x=1&y=%20`, {
      method: 'POST',
      body: '{"a": 1 }',
      headers: { 'content-type': 'application/json' },
    });
    expect(seen.map(({ request }) => request.url)).toEqual(['/api/v1/people/1/photos', '/realms/star/token?x=1&y=%20']);
    expect(seen.map(({ body }) => body.toString('latin1'))).toEqual([photo.toString('latin1'), '{"a": 1 }']);
    expect(seen[0]?.request.headers).toMatchObject({ authorization: headers.authorization, 'content-type': 'image/jpeg' });
    const arrived = Object.keys(seen[0]?.request.headers ?? {});
    for (const name of [...Object.keys(claims), 'x-star-internal'].filter((each) => each !== 'x-forwarded-for'))
      expect(arrived).not.toContain(name);
    // Where it really came from.
    expect(seen[0]?.request.headers['x-forwarded-for']).toBe('127.0.0.1');
  });

  it('is every route of the policy table, and nothing else', async () => {
    const headers = { ...(await bearer(['operator', 'tenant-admin', 'auditor', 'platform-operator'])), 'content-type': 'application/json' };
    for (const { method, path, service: owner } of routes) {
      const url = path.replace(/:\w+/g, randomUUID()).replace('*', 'x');
      const { status } = await fetch(`${base}${url}`, { method, headers, ...(method === 'GET' ? {} : { body: '{}' }) });
      expect([method, path, status]).toEqual([method, path, owner === 'devices' ? 503 : 200]);
    }
    const before = seen.length;
    for (const [method, path] of [
      ['GET', '/api/v1/nothing'],
      ['GET', '/api/v1/people/1/photos'],
      ['GET', '/api/v1/people/1/2/3'],
      ['DELETE', '/api/v1/people'],
      ['PUT', '/api/v1/me'],
      ['POST', '/objects/x'],
      ['TRACE', '/api/v1/people'],
    ])
      expect((await raw(method as string, path as string, headers)).status).toBe(404);
    expect(seen).toHaveLength(before);
  });

  it('never leads to another address than the one that was checked', async () => {
    const headers = await bearer();
    for (const path of [
      '/objects/../metrics',
      '/objects/%2e%2e/metrics',
      '/objects/.%2E/healthz',
      '/objects/..\\metrics',
      '/api/v1/searches/%2e%2e/events',
      '/api/v1/people/.',
      '/objects/..x/y',
      '/objects/a%2f..%2fb',
      '/objects/%5cx',
      'http://elsewhere.test/objects/x',
    ]) {
      expect([path, (await raw('GET', path, headers)).status]).toEqual([path, 404]);
    }
    expect(seen).toEqual([]);
    expect((await raw('GET', '/objects/a..b/.c/d?x=/../y', {})).status).toBe(200);
    expect(seen[0]?.request.url).toBe('/objects/a..b/.c/d?x=/../y');
  });

  it('is nothing that is between the client and us, and no word of a body that is not passed on', async () => {
    const { authorization } = await bearer();
    const spoken = await say(
      `GET /api/v1/people HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\nconnection: close, x-forwarded-for\r\n` +
        'trailer: x\r\nte: gzip\r\nupgrade: h2c\r\ncontent-type: text/plain\r\ncontent-length: 17\r\n\r\nGET /metrics HTTP',
    );
    expect(spoken).toMatch(/^HTTP\/1\.1 200/);
    const { headers } = seen[0]?.request ?? {};
    expect(headers).toMatchObject({ authorization, 'x-forwarded-for': '127.0.0.1' });
    for (const name of ['trailer', 'te', 'upgrade', 'content-type', 'content-length']) expect(headers).not.toHaveProperty(name);
  });

  it('is events as they come, not when the stream ends, and they end with their reader', async () => {
    let more: (text: string) => void = () => undefined;
    let closed: Promise<unknown> = Promise.resolve();
    answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('event: search\n\n');
      more = (text) => response.write(text);
      closed = once(response, 'close');
    };
    const reading = new AbortController();
    const headers = { ...(await bearer()), accept: 'text/event-stream' };
    const response = await fetch(`${base}/api/v1/searches/1/events`, { headers, signal: reading.signal });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('event: search\n\n');
    more('event: match\n\n');
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('event: match\n\n');
    reading.abort();
    await closed;
  });
});

describe('who gets in', () => {
  it('is nobody without a token that works, and nobody without the permission; no service hears of the others', async () => {
    const expired = createTokenIssuer({
      ...realm,
      key: await loadSigningKey(join(folder, 'key.json')),
      nowMs: () => Date.now() - 7_200_000,
    });
    const stranger = createTokenIssuer({ ...realm, key: await loadSigningKey(join(folder, 'other.json')) });
    const caller = { tenantId, userId: randomUUID(), username: 'x', roles: ['operator'] };
    const bad = [
      [{}, 401, 'auth.token_missing'],
      [{ authorization: 'Bearer x' }, 401, 'auth.token_invalid'],
      [{ authorization: `Bearer ${(await expired.issue(caller)).token}` }, 401, 'auth.token_expired'],
      [{ authorization: `Bearer ${(await stranger.issue(caller)).token}` }, 401, 'auth.token_invalid'],
      [await bearer(['platform-finance']), 403, 'auth.forbidden'],
    ] as const;
    for (const [headers, status, code] of bad)
      expect(await problem(await fetch(`${base}/api/v1/audit`, { headers: headers as Record<string, string> }))).toMatchObject({
        status,
        code,
      });
    expect(seen).toEqual([]);
  });
});

describe('bodies', () => {
  const headersOf = async () => ({ ...(await bearer()), 'content-type': 'application/json' });

  it('larger than the route takes are refused, named or not, and what fits goes through', async () => {
    const [fits, over] = ['x'.repeat(1_000_000), 'x'.repeat(1_000_001)];
    const send = async (body: string, chunked: boolean) =>
      fetch(`${base}/api/v1/people`, {
        method: 'POST',
        headers: await headersOf(),
        ...(chunked ? { body: new Blob([body]).stream(), duplex: 'half' } : { body }),
      } as RequestInit);
    expect((await send(fits, false)).status).toBe(200);
    expect((await send(fits, true)).status).toBe(200);
    for (const chunked of [false, true])
      expect(await problem(await send(over, chunked))).toMatchObject({
        status: 413,
        code: 'request.too_large',
        params: { maxBytes: 1_000_000 },
      });
    expect(seen.filter(({ body }) => body.length > 0).map(({ body }) => body.length)).toEqual([1_000_000, 1_000_000]);
    expect(
      (await fetch(`${base}/realms/star/token`, { method: 'POST', body: 'x'.repeat(1_000_001), headers: await headersOf() })).status,
    ).toBe(413);
  });
});

describe('services in trouble', () => {
  it('are answered for, left alone after ten failures, and asked again after a pause', async () => {
    const headers = await bearer();
    const ask = () => fetch(`${base}/api/v1/edges`, { headers });
    for (let n = 0; n < 12; n++)
      expect(await problem(await ask())).toMatchObject({ status: 503, code: 'service.unavailable', params: { service: 'devices' } });
    const refused = await ask();
    expect(refused.headers.get('retry-after')).toBe('2');
    expect(await metrics.registry.metrics()).toMatch(/star_gateway_circuit_open\{service="devices".*\} 1/);
    // The others go on.
    expect((await fetch(`${base}/api/v1/people`, { headers })).status).toBe(200);
    const back = createServer((_request, response) => response.end('{}')).listen(devicesPort, '127.0.0.1');
    await once(back, 'listening');
    while ((await ask()).status !== 200) await sleep(20);
    expect(await metrics.registry.metrics()).toMatch(/star_gateway_circuit_open\{service="devices".*\} 0/);
    back.closeAllConnections();
    back.close();
  });

  it('are waited for as long as the route says', async () => {
    answer = () => undefined;
    const answered = await fetch(`${base}/api/v1/packs/in-use`, { headers: await bearer() });
    expect(await problem(answered)).toMatchObject({ status: 504, code: 'service.timeout' });
  });

  it('and their own refusals are no reason to leave them alone, nor asked for twice', async () => {
    answer = (_request, response) =>
      response.writeHead(503, { 'retry-after': '1', 'content-type': 'application/problem+json' }).end('{"code":"database.unavailable"}');
    const headers = await bearer();
    for (let n = 0; n < 12; n++)
      expect(await problem(await fetch(`${base}/api/v1/people`, { headers }))).toMatchObject({ code: 'database.unavailable' });
    expect(seen).toHaveLength(12);
  });

  it('are not given up for what clients do: broken bodies, headers nobody can pass on', async () => {
    const own = await open();
    const post = 'POST /realms/star/token HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf';
    const get = (url: string) => say(`GET ${url} HTTP/1.1\r\nhost: x\r\ntrailer: x\r\nconnection: close\r\n\r\n`, own.base);
    for (let n = 0; n < 12; n++) {
      hangUp(post, own.base);
      expect(await get('/realms/star/x')).toMatch(/^HTTP\/1\.1 200/);
      expect(await get('http://x/realms/star/x')).toMatch(/^HTTP\/1\.1 404/);
    }
    while (seen.filter(({ request }) => request.method === 'POST').length < 12) await sleep(5);
    expect(await get('/realms/star/x')).toMatch(/^HTTP\/1\.1 200/);
    await own.made.close();
  });

  it.each([
    ['hangs up', 'GET /api/v1/edges HTTP/1.1\r\nhost: x\r\n', true],
    ['sends slowly', 'POST /api/v1/provisioning-keys HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n', false],
  ])('are asked again when the one who was let through to see %s', async (_, head, hangsUp) => {
    const own = await open();
    const headers = await bearer();
    const ask = async () => (await fetch(`${own.base}/api/v1/edges`, { headers })).status;
    for (let n = 0; n < 12; n++) expect(await ask()).toBe(503);
    let arrived = 0;
    let answers = false;
    const back = createServer((_request, response) => {
      arrived += 1;
      if (answers) response.end('{}');
    }).listen(devicesPort, '127.0.0.1');
    await once(back, 'listening');
    const first: ReturnType<typeof connect>[] = [];
    while (arrived === 0) {
      first.push(write(`${head}authorization: ${headers.authorization}\r\n\r\n${hangsUp ? '' : '{'}`, own.base));
      await sleep(50);
    }
    answers = true;
    if (hangsUp) for (const each of first) each.destroy();
    let status = 0;
    for (let tries = 0; tries < 100 && status !== 200; tries++) {
      status = await ask();
      await sleep(20);
    }
    expect(status).toBe(200);
    for (const each of first) each.destroy();
    back.closeAllConnections();
    back.close();
    await own.made.close();
  });

  it('are not kept from others by one tenant or one stranger, nor from people by who fetches objects', async () => {
    const counted = createMetrics({ service: 'test', process: false });
    const own = await open({ inFlight: { requests: 8 }, metrics: counted });
    const waiting: ServerResponse[] = [];
    answer = (request, response) => {
      if (request.url?.startsWith('/realms')) response.end('{}');
      else waiting.push(response);
    };
    const ask = (path: string, headers?: Record<string, string>) => fetch(`${own.base}${path}`, { headers: headers ?? {} });
    const headers = await bearer();
    const hers = [ask('/api/v1/people', headers), ask('/api/v1/people', headers)];
    const objects = Array.from({ length: 8 }, () => ask('/objects/x'));
    while (waiting.length < 10) await sleep(5);
    expect(await problem(await ask('/api/v1/people', headers))).toMatchObject({ status: 503, code: 'service.overloaded' });
    expect((await ask('/objects/x')).status).toBe(503);
    const { token } = await tokens.issue({ tenantId: randomUUID(), userId: randomUUID(), username: 'wei', roles: ['operator'] });
    const others = ask('/api/v1/people', { authorization: `Bearer ${token}` });
    const slow = [1, 2].map(() => write('POST /realms/star/token HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n', own.base));
    while (!/in_flight\{service="tenants",kind="request".*\} 2/.test(await counted.registry.metrics())) await sleep(5);
    expect((await ask('/realms/star/x')).status).toBe(503);
    while (waiting.length < 11) await sleep(5);
    for (const response of waiting) response.end('{}');
    expect((await Promise.all([...hers, ...objects, others])).every(({ status }) => status === 200)).toBe(true);
    for (const each of slow) each.destroy();
    while ((await ask('/realms/star/x')).status !== 200) await sleep(5);
    await own.made.close();
  });

  it('have room again for whoever hung up before it was known who he is', async () => {
    const counted = createMetrics({ service: 'test', process: false });
    const inside = async () => /in_flight\{service="search",kind="request".*\} 1/.test(await counted.registry.metrics());
    let look: () => void = () => undefined;
    const looking = new Promise<void>((resolve) => {
      look = resolve;
    });
    const caller = { tenantId, userId: randomUUID(), username: 'lin', roles: ['operator'] };
    const own = await open({ inFlight: { requests: 4 }, metrics: counted, verifier: { verify: () => looking.then(() => caller) } });
    const socket = write('GET /api/v1/people HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\n\r\n', own.base);
    while (!(await inside())) await sleep(5);
    socket.destroy();
    while (await inside()) await sleep(5);
    look();
    expect((await fetch(`${own.base}/api/v1/people`, { headers: { authorization: 'Bearer x' } })).status).toBe(200);
    expect(seen).toHaveLength(1);
    await own.made.close();
  });

  it('are not given more at once than they bear; event streams have a bound of their own', async () => {
    const waiting: ServerResponse[] = [];
    answer = (request, response) => {
      if (request.url?.endsWith('/events')) response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hello\n\n');
      waiting.push(response);
    };
    const headers = await bearer();
    const stop = new AbortController();
    const ask = (path: string) => fetch(`${base}/api/v1/${path}`, { headers, signal: stop.signal });
    const streams = await Promise.all([ask('searches/1/events'), ask('searches/2/events')]);
    expect(streams.map((each) => each.status)).toEqual([200, 200]);
    expect((await ask('searches/3/events')).status).toBe(503);
    const three = [ask('people'), ask('people'), ask('people')];
    while (waiting.length < 5) await sleep(5);
    const refused = await ask('people');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    expect(((await refused.json()) as { code: string }).code).toBe('service.overloaded');
    // Another service has room, and so has this one when it has answered.
    const other = ask('me');
    while (waiting.length < 6) await sleep(5);
    for (const response of waiting.slice(2)) response.end('{}');
    expect((await Promise.all([...three, other])).map((each) => each.status)).toEqual([200, 200, 200, 200]);
    stop.abort();
  });
});

describe('calls per minute', () => {
  const limits = async () => ({ tenant: 5, user: 3, key: 4 });
  /** Nothing is filled up while a slow machine asks. */
  const stopped = () => countInMemory({ nowMs: () => 0 });

  it('are a user’s and a tenant’s, and the answers say so', async () => {
    const own = await open({ apiLimitsOf: limits, counters: stopped() });
    const [lin, wei] = [await bearer(['operator'], randomUUID()), await bearer(['operator'], randomUUID())];
    const ask = (headers: Record<string, string>) => fetch(`${own.base}/api/v1/people`, { headers });
    const first = await ask(lin);
    expect([first.status, first.headers.get('ratelimit-limit'), first.headers.get('ratelimit-remaining')]).toEqual([200, '3', '2']);
    expect([(await ask(lin)).status, (await ask(lin)).status]).toEqual([200, 200]);
    const refused = await ask(lin);
    expect(refused.headers.get('content-type')).toContain('application/problem+json');
    expect([refused.headers.get('retry-after'), refused.headers.get('ratelimit-remaining')]).toEqual(['20', '0']);
    expect(await problem(refused)).toMatchObject({ status: 429, code: 'request.limited', params: { perMinute: 3, retryAfterS: 20 } });
    // Lin's fourth took nothing from the tenant's five.
    expect([(await ask(wei)).status, (await ask(wei)).status, (await ask(wei)).status]).toEqual([200, 200, 429]);
    await own.made.close();
  });

  it('hold for strangers by address, whose tokens do not work either', async () => {
    const own = await open({ counters: stopped() });
    const statuses: number[] = [];
    const ask = () => fetch(`${own.base}/api/v1/me`, { headers: { authorization: 'Bearer x' } });
    for (let n = 0; n < 61; n++) for (const { status } of await Promise.all(Array.from({ length: 10 }, ask))) statuses.push(status);
    expect([statuses.filter((each) => each === 401).length, statuses.filter((each) => each === 429).length]).toEqual([600, 10]);
    await own.made.close();
  });

  it('go on with the usual limits while nobody knows the tenant’s', async () => {
    const own = await open({ apiLimitsOf: () => Promise.reject(new Error('away')) });
    const answered = await fetch(`${own.base}/api/v1/people`, { headers: await bearer() });
    expect([answered.status, answered.headers.get('ratelimit-limit')]).toEqual([200, '1200']);
    await own.made.close();
  });
});

it('describes all services together', async () => {
  let asked = 0;
  answer = (_request, response) => response.end(JSON.stringify({ openapi: '3.0.0', paths: { [`/of/${asked++}`]: {} }, components: {} }));
  const description = (await (await fetch(`${base}/api/openapi.json`)).json()) as { paths: object };
  expect(Object.keys(description.paths).sort()).toEqual(['/of/0', '/of/1', '/of/2']);
});

/** Bytes as they are, with the line left open. */
function write(text: string, to = base) {
  const { hostname, port } = new URL(to);
  const socket = connect(Number(port), hostname, () => socket.write(text));
  return socket.on('error', () => undefined);
}
const hangUp = (text: string, to: string) => {
  const socket = write(text, to);
  setTimeout(() => socket.destroy(), 50);
};
/** What is answered until the line is closed. */
const say = async (text: string, to = base) => (await buffer(write(text, to))).toString('latin1');

/** As written: `fetch` tidies addresses up before it sends them. */
async function raw(method: string, path: string, headers: Record<string, string>): Promise<{ status: number | undefined }> {
  const { hostname, port } = new URL(base);
  const sent = rawRequest({ hostname, port, method, path, headers });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.resume();
  return { status: response.statusCode };
}

it('believes what a proxy says of the client only when the proxy is a known one', async () => {
  const addressFor = async (trustedProxies: string[]) => {
    const made = await createHttpApp(Nothing, {
      verifier: { verify: () => Promise.reject(new Error('not asked')) },
      trustedProxies,
      entrance: (fastify) => guardEntrance(fastify, { verifier: { verify: () => Promise.reject(new Error('not asked')) } }),
      extend: (fastify) => passOn(fastify, { upstreams: { tenants: alive, search: alive, devices: alive } }),
    });
    await fetch(`${await made.listen()}/realms/star/token`, { method: 'POST', headers: { 'x-forwarded-for': '203.0.113.9' } });
    await made.close();
    return seen.at(-1)?.request.headers['x-forwarded-for'];
  };
  expect([await addressFor([]), await addressFor(['10.0.0.0/8']), await addressFor(['127.0.0.1'])]).toEqual([
    '127.0.0.1',
    '127.0.0.1',
    '203.0.113.9',
  ]);
});
