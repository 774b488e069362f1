import { mkdtemp, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Controller, Get, Module, Post, Sse } from '@nestjs/common';
import {
  AppError,
  type Caller,
  createMetrics,
  createTokenIssuer,
  createTokenVerifier,
  currentTrace,
  loadSigningKey,
  type TokenIssuer,
} from '@star/platform';
import { CurrentCaller, createHttpApp, type HttpApp, ZodAnswer, ZodBody, ZodParam, ZodQuery } from '@star/platform/nest';
import { SignJWT } from 'jose';
import { Observable } from 'rxjs';
import { z } from 'zod';
import { problemOf } from './problem-of';

/** The real application on a real socket, with tokens signed by a real key; only the controller is made up. */
const createThing = z.strictObject({ name: z.string().min(1).max(10), size: z.int().min(1).optional(), 'a/b~c': z.string().optional() });
const listThings = z.object({ limit: z.coerce.number().int().min(1).max(100).default(20) });
const caller: Caller = {
  tenantId: '11111111-1111-4111-8111-111111111111',
  userId: '33333333-3333-4333-8333-333333333333',
  username: 'lin',
  roles: ['operator'],
};

@Controller('things')
class ThingsController {
  @Get()
  list(@CurrentCaller() who: Caller, @ZodQuery(listThings) query: z.infer<typeof listThings>) {
    return { who, query };
  }

  @Post()
  @ZodAnswer(createThing, 201)
  create(@ZodBody(createThing) body: z.infer<typeof createThing>) {
    return body;
  }

  @Get('by-id/:id')
  one(@ZodParam('id', z.uuid()) id: string) {
    throw new AppError('thing.not_found', 'not_found', { id });
  }

  @Get('trace')
  async trace() {
    await new Promise((next) => setTimeout(next, 5));
    return { traceId: currentTrace()?.traceId };
  }

  @Post('trace')
  traceAfterBody() {
    return { traceId: currentTrace()?.traceId };
  }

  @Get('admin')
  admin() {
    return 'ok';
  }

  @Sse('events')
  events(@CurrentCaller() who: Caller): Observable<{ data: string }> {
    return new Observable((subscriber) => subscriber.next({ data: who.username }));
  }

  @Get('broken')
  broken() {
    throw Object.assign(new Error('password=hunter2 in table demo.users'), { code: '42P01', table: 'users' });
  }

  @Get('busy')
  busy() {
    throw new AppError('thing.busy', 'limited', { retryAfterS: 7 }, { cause: new Error('inside') });
  }
}

const open = ['/things/trace', '/things/broken', '/things/busy', '/healthz', '/readyz', '/metrics', '/api/openapi.json'];
const accessOf = (_method: string, path: string) => (open.includes(path) ? 'public' : path === '/things/admin' ? 'edges.write' : 'anyone');

@Module({ controllers: [ThingsController] })
class ThingsModule {}

const realm = { issuer: 'http://127.0.0.1/realms/star', audience: 'star' };
let folder: string;
let tokens: TokenIssuer;
let app: HttpApp;
let base: string;
let token: string;
let healthy = true;
let hanging = false;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-http-'));
  const key = await loadSigningKey(join(folder, 'keys/token.jwk'));
  tokens = createTokenIssuer({ ...realm, key });
  app = await createHttpApp(ThingsModule, {
    verifier: createTokenVerifier({ ...realm, keys: tokens.jwks }),
    accessOf,
    metrics: createMetrics({ service: 'test', process: false }),
    checks: {
      postgres: { run: async () => healthy || Promise.reject(new Error('secret reason')) },
      bus: { run: () => (hanging ? new Promise(() => {}) : Promise.resolve()), timeoutMs: 50 },
    },
    closeWithinMs: 200,
  });
  base = await app.listen();
  token = (await tokens.issue(caller)).token;
});
afterAll(async () => {
  await app.close();
  await rm(folder, { recursive: true });
});

const get = (path: string, headers: Record<string, string> = {}) => fetch(`${base}${path}`, { headers });
const signedIn = () => ({ authorization: `Bearer ${token}` });
const post = (body: string, headers: Record<string, string> = {}) =>
  fetch(`${base}/things`, { method: 'POST', body, headers: { 'content-type': 'application/json', ...signedIn(), ...headers } });

describe('who calls', () => {
  test('without a token it is 401 with a challenge, never 403', async () => {
    for (const path of ['/things', '/things/admin']) {
      const answer = await get(path);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
      expect(await problemOf(answer)).toMatchObject({ status: 401, code: 'auth.token_missing' });
    }
  });

  test('a good token tells who; a role that is missing is 403', async () => {
    expect(await (await get('/things', signedIn())).json()).toEqual({ who: caller, query: { limit: 20 } });
    expect(await problemOf(await get('/things/admin', signedIn()))).toMatchObject({ status: 403, code: 'auth.forbidden' });
    const admin = await tokens.issue({ ...caller, roles: ['tenant-admin'] });
    expect((await get('/things/admin', { authorization: `Bearer ${admin.token}` })).status).toBe(200);
  });

  test('tokens that are expired, foreign, changed, unsigned, for others, or shaped otherwise are refused', async () => {
    const key = await loadSigningKey(join(folder, 'keys/token.jwk'));
    const stranger = await loadSigningKey(join(folder, 'keys/other.jwk'));
    const issued = async (options: Partial<Parameters<typeof createTokenIssuer>[0]>) =>
      (await createTokenIssuer({ ...realm, key, ...options }).issue(caller)).token;
    const [head, body, signature] = token.split('.') as [string, string, string];
    const richer = Buffer.from(
      JSON.stringify({ ...JSON.parse(Buffer.from(body, 'base64url').toString()), realm_access: { roles: ['tenant-admin'] } }),
    ).toString('base64url');
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`;
    const confused = await new SignJWT({ tenant_id: caller.tenantId, preferred_username: 'x' })
      .setProtectedHeader({ alg: 'HS256', kid: key.kid })
      .setIssuer(realm.issuer)
      .setAudience(realm.audience)
      .setSubject('x')
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(Buffer.from(JSON.stringify(tokens.jwks)));
    const invalid = {
      stranger: await issued({ key: stranger }),
      audience: await issued({ audience: 'other' }),
      issuer: await issued({ issuer: 'http://evil' }),
      changed: `${head}.${richer}.${signature}`,
      none,
      confused,
      noTenant: (await createTokenIssuer({ ...realm, key }).issue({ ...caller, tenantId: 'all' })).token,
      nonsense: 'abc',
      long: 'a'.repeat(9000),
    };
    for (const [name, bad] of Object.entries(invalid)) {
      expect([name, await problemOf(await get('/things', { authorization: `Bearer ${bad}` }))]).toMatchObject([
        name,
        { status: 401, code: 'auth.token_invalid' },
      ]);
    }
    const at = (ageS: number) => issued({ ttlS: 60, nowMs: () => Date.now() - ageS * 1000 });
    expect((await get('/things', { authorization: `Bearer ${await at(75)}` })).status).toBe(200);
    expect(await problemOf(await get('/things', { authorization: `Bearer ${await at(100)}` }))).toMatchObject({
      code: 'auth.token_expired',
    });
    expect(await problemOf(await get('/things', { authorization: 'Basic YTpi' }))).toMatchObject({ code: 'auth.token_invalid' });
  });

  test('an address carries no token, not for an event stream either', async () => {
    const accept = 'text/event-stream';
    expect((await get(`/things?access_token=${token}`)).status).toBe(401);
    expect((await get(`/things/events?access_token=${token}`, { accept })).status).toBe(401);
    const stream = await get('/things/events', { accept, authorization: `Bearer ${token}` });
    expect(stream.headers.get('content-type')).toMatch('text/event-stream');
    const reader = stream.body!.getReader();
    let text = '';
    while (!text.includes('data: lin')) text += Buffer.from((await reader.read()).value!).toString();
    await reader.cancel();
  });

  test('the key is kept for its owner alone, and the same one is read by all who start at once', async () => {
    const path = join(folder, 'raced/token.jwk');
    const keys = await Promise.all([1, 2, 3, 4].map(() => loadSigningKey(path)));
    expect(new Set(keys.map((key) => key.kid)).size).toBe(1);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(JSON.stringify(tokens.jwks)).not.toContain('"d"');
  });
});

describe('what is sent', () => {
  test('every wrong field is named by pointer and code', async () => {
    const answer = await post(JSON.stringify({ size: 0, 'a/b~c': 5, more: true }));
    const problem = await problemOf(answer);
    expect(problem).toMatchObject({ status: 400, code: 'request.invalid', title: 'Bad Request', type: 'urn:star:problem:request.invalid' });
    expect(problem.errors).toEqual([
      { pointer: '/name', code: 'required', params: { expected: 'string' } },
      { pointer: '/size', code: 'too_small', params: { minimum: 1, inclusive: true } },
      { pointer: '/a~1b~0c', code: 'invalid_type', params: { expected: 'string' } },
      { pointer: '/more', code: 'unknown_field', params: {} },
    ]);
    expect(answer.headers.get('x-request-id')).toBe(problem.traceId);
    expect(await problemOf(await get('/things?limit=1000', signedIn()))).toMatchObject({
      errors: [{ pointer: '/limit', code: 'too_big' }],
    });
    expect(await problemOf(await get('/things/by-id/7', signedIn()))).toMatchObject({
      errors: [{ pointer: '/id', code: 'invalid_format' }],
    });
  });

  test('no body at all is a wrong body', async () => {
    expect(await problemOf(await post(''))).toMatchObject({ status: 400, errors: [{ pointer: '', code: 'required' }] });
  });

  test('JSON that is broken, poisoned, too deep or too large', async () => {
    const code = async (body: string, headers?: Record<string, string>) => {
      const { status, code } = await problemOf(await post(body, headers));
      return [status, code];
    };
    expect(await code('{"name":')).toEqual([400, 'request.malformed_json']);
    expect(await code('{"__proto__":{"admin":true}}')).toEqual([400, 'request.malformed_json']);
    expect(await code('['.repeat(500_000))).toEqual([400, 'request.too_deep']);
    expect(await code(`{"name":${'{"a":'.repeat(40)}1${'}'.repeat(41)}`)).toEqual([400, 'request.too_deep']);
    expect(await code(JSON.stringify({ name: 'x'.repeat(1_100_000) }))).toEqual([413, 'request.too_large']);
    expect(await code('name=x', { 'content-type': 'application/x-www-form-urlencoded' })).toEqual([415, 'request.media_type']);
    expect((await post(JSON.stringify({ name: '[[{"\\"[' }))).status).toBe(201);
  });

  test('a body of unknown length is cut off at the limit', async () => {
    const status = await new Promise<number | undefined>((done, fail) => {
      const upload = request(
        `${base}/things`,
        { method: 'POST', headers: { 'content-type': 'application/json', ...signedIn() } },
        (answer) => {
          answer.resume();
          done(answer.statusCode);
        },
      );
      upload.on('error', fail);
      for (let part = 0; part < 12; part++) upload.write('x'.repeat(100_000));
    });
    expect(status).toBe(413);
  });
});

describe('what is answered', () => {
  test('an unknown route, a missing thing, a busy one', async () => {
    expect(await problemOf(await get('/nowhere', signedIn()))).toMatchObject({ status: 404, code: 'route.not_found' });
    expect(await problemOf(await get(`/things/by-id/${caller.userId}`, signedIn()))).toMatchObject({
      status: 404,
      code: 'thing.not_found',
      params: { id: caller.userId },
    });
    const busy = await get('/things/busy');
    expect(busy.headers.get('retry-after')).toBe('7');
    expect(await problemOf(busy)).toMatchObject({ status: 429, code: 'thing.busy' });
  });

  test('nothing of what is inside', async () => {
    const text = await (await get('/things/broken')).text();
    expect(JSON.parse(text)).toEqual({
      type: 'urn:star:problem:internal',
      title: 'Internal Server Error',
      status: 500,
      code: 'internal',
      params: {},
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
  });

  test("the caller's trace goes through, a broken one is replaced", async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
    expect(await (await get('/things/trace', { traceparent })).json()).toEqual({ traceId });
    const posted = await fetch(`${base}/things/trace`, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json', traceparent },
    });
    expect(await posted.json()).toEqual({ traceId });
    for (const broken of ['nonsense', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`, `ff-${traceId}-b7ad6b7169203331-01`]) {
      const { traceId: made } = (await (await get('/things/trace', { traceparent: broken })).json()) as { traceId: string };
      expect(made).toMatch(/^[0-9a-f]{32}$/);
      expect(made).not.toBe(traceId);
    }
  });

  test('ready only while every check answers in time; reasons stay inside', async () => {
    expect((await get('/healthz')).status).toBe(200);
    const ready = async () => {
      const answer = await get('/readyz');
      const body = (await answer.json()) as { status: string; checks: Record<string, { ok: boolean }> };
      return [answer.status, body.status, body.checks.postgres?.ok, body.checks.bus?.ok];
    };
    expect(await ready()).toEqual([200, 'ready', true, true]);
    healthy = false;
    expect(await ready()).toEqual([503, 'unready', false, true]);
    healthy = true;
    hanging = true;
    expect(await ready()).toEqual([503, 'unready', true, false]);
    hanging = false;
    expect(await ready()).toEqual([200, 'ready', true, true]);
  });

  test('metrics count by route, not by address', async () => {
    await get(`/things/by-id/${caller.userId}`, signedIn());
    const text = await (await get('/metrics')).text();
    const counts = text.split('\n').filter((line) => line.startsWith('star_http_request_seconds_count'));
    expect(counts.some((line) => line.includes('route="/things/by-id/:id"') && line.includes('status="4xx"'))).toBe(true);
    expect(text).not.toContain(caller.userId);
  });

  test('the description names bodies, parameters and answers', async () => {
    const description = (await (await get('/api/openapi.json')).json()) as {
      paths: Record<string, Record<string, Record<string, unknown>>>;
    };
    expect(description.paths['/things']?.post).toMatchObject({
      requestBody: { content: { 'application/json': { schema: { type: 'object', required: ['name'] } } } },
      responses: { 201: { content: { 'application/json': { schema: { type: 'object' } } } } },
    });
    expect(description.paths['/things']?.get?.parameters).toMatchObject([{ name: 'limit', in: 'query', required: false }]);
    expect(Object.keys(description.paths)).not.toContain('/readyz');
  });
});

test('closing ends open event streams and lets requests in flight finish', async () => {
  const own = await createHttpApp(ThingsModule, { verifier: { verify: async () => caller }, accessOf, closeWithinMs: 100 });
  const address = await own.listen();
  const stream = await fetch(`${address}/things/events`, { headers: { ...signedIn(), accept: 'text/event-stream' } });
  const inFlight = fetch(`${address}/things/trace`);
  await inFlight;
  await Promise.all([own.close(), own.close()]);
  await expect(stream.text()).rejects.toThrow();
  await expect(fetch(`${address}/healthz`)).rejects.toThrow();
});

test('a request that takes too long is cut, unless it is one of those that may', async () => {
  const own = await createHttpApp(ThingsModule, {
    verifier: { verify: async () => caller },
    accessOf,
    timeoutMsOf: (_method, path) => (path === '/things/trace' ? 60_000 : 200),
  });
  const address = await own.listen();
  const slow = (path: string) =>
    new Promise<number | string>((resolve) => {
      const headers = { ...signedIn(), 'content-type': 'application/json', 'content-length': '2' };
      const upload = request(`${address}${path}`, { method: 'POST', headers }, (answer) => resolve(answer.statusCode ?? 0));
      upload.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
      upload.write('{');
      setTimeout(() => upload.end('}'), 1000);
    });
  expect(await Promise.all([slow('/things'), slow('/things/trace')])).toEqual(['ECONNRESET', 201]);
  await own.close();
});
