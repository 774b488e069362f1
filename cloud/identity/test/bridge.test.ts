import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { loadSigningKey, Secret } from '@star/platform';
import fastify, { type FastifyInstance } from 'fastify';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { feishu, registerBridge, wechat } from '../src/bridge';
import { UpstreamSimulator } from './support/upstream-sim';

const redirectUriOf = (name: string) => `http://127.0.0.1:1/realms/star/broker/${name}/endpoint`;
const client = { id: 'keycloak', secret: new Secret('bridge secret: 1+1') };
const basic = `Basic ${Buffer.from(`${encodeURIComponent(client.id)}:${encodeURIComponent(client.secret.reveal())}`).toString('base64')}`;
const li = { unionId: 'on_union', openId: 'ou_open', name: '王丽', email: 'li@example.org' };

let folder: string;
let upstream: UpstreamSimulator;
let app: FastifyInstance;
let base: string;
let said: object[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-bridge-'));
  upstream = new UpstreamSimulator();
  const url = await upstream.listen();
  const own = { appId: upstream.appId, appSecret: new Secret(upstream.appSecret), timeoutMs: 300 };
  const note = (details: object, message: string) => void said.push({ ...details, message });
  app = fastify();
  base = `http://127.0.0.1:${await freePort()}`;
  await registerBridge(app, {
    publicUrl: base,
    services: {
      feishu: { upstream: feishu({ ...own, accountsUrl: url, apiUrl: url }), redirectUri: redirectUriOf('feishu') },
      wechat: { upstream: wechat({ ...own, openUrl: url, apiUrl: url }), redirectUri: redirectUriOf('wechat') },
    },
    client,
    key: await loadSigningKey(join(folder, 'bridge.json')),
    sealKey: randomBytes(32),
    log: { debug: note, info: note, warn: note, error: note },
  });
  await app.listen({ host: '127.0.0.1', port: Number(new URL(base).port) });
});
afterAll(async () => {
  await app.close();
  await upstream.close();
  await rm(folder, { recursive: true });
});
beforeEach(() => {
  upstream.user = li;
  upstream.fault = 'none';
  said = [];
});

afterEach(() => jest.useRealTimers());

const everythingButDate = [
  'hrtime',
  'nextTick',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'clearImmediate',
  'setInterval',
  'clearInterval',
  'setTimeout',
  'clearTimeout',
] as const;

const freePort = async () => {
  const probe = fastify();
  const address = await probe.listen({ host: '127.0.0.1', port: 0 });
  await probe.close();
  return new URL(address).port;
};
const query = (fields: Record<string, string>) => new URLSearchParams(fields).toString();
const asked = { client_id: client.id, response_type: 'code', scope: 'openid', state: 's t/ä', nonce: 'n1' };
const hop = (address: string, cookie = '') => fetch(address, { redirect: 'manual', headers: { cookie } });
const locationOf = (answer: Response) => answer.headers.get('location') ?? '';

/** As a browser goes, up to Keycloak's door. */
async function walk(name: string, changed: Record<string, string> = {}): Promise<{ back: URL; callback: string; cookie: string }> {
  const start = await hop(`${base}/log-in/${name}/authorize?${query({ ...asked, redirect_uri: redirectUriOf(name), ...changed })}`);
  expect(start.status).toBe(302);
  const cookie = (start.headers.getSetCookie()[0] ?? '').split(';')[0] ?? '';
  const callback = locationOf(await hop(locationOf(start)));
  expect(callback.startsWith(`${base}/log-in/${name}/callback?`)).toBe(true);
  return { back: new URL(locationOf(await hop(callback, cookie))), callback, cookie };
}
async function redeem(name: string, code: string | null, changed: Record<string, string> = {}, authorization = basic) {
  const body = new URLSearchParams({ grant_type: 'authorization_code', code: code ?? '', redirect_uri: redirectUriOf(name), ...changed });
  const answer = await fetch(`${base}/log-in/${name}/token`, { method: 'POST', headers: { authorization }, body });
  return { status: answer.status, body: (await answer.json()) as Record<string, string | number> };
}

describe.each(['feishu', 'wechat'])('%s as an OpenID provider', (name) => {
  it('gives an id token that its published key signed', async () => {
    const { back } = await walk(name);
    expect(back.searchParams.get('state')).toBe('s t/ä');
    const { status, body } = await redeem(name, back.searchParams.get('code'));
    expect(status).toBe(200);
    const about = (await (await fetch(`${base}/log-in/${name}/.well-known/openid-configuration`)).json()) as Record<string, string>;
    const keys = createRemoteJWKSet(new URL(about.jwks_uri ?? ''));
    const { payload } = await jwtVerify(String(body.id_token), keys, { issuer: about.issuer ?? '', audience: client.id });
    expect(payload).toMatchObject({ sub: li.unionId, name: li.name, nonce: 'n1', ...(name === 'feishu' && { email: li.email }) });
    expect(said).toMatchObject([{ upstream: name, subject: li.unionId, ip: '127.0.0.1' }]);
  });

  it('takes a code once, from Keycloak, for the address it was given for, within its kind', async () => {
    const { back } = await walk(name);
    const code = back.searchParams.get('code');
    expect(await redeem(name, code, {}, 'Basic rubbish')).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    expect(await redeem(name, code, { redirect_uri: 'http://elsewhere/' })).toMatchObject({
      status: 400,
      body: { error: 'invalid_grant' },
    });
    expect(await redeem(name === 'feishu' ? 'wechat' : 'feishu', code)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(await redeem(name, `${code}x`)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(await redeem(name, code, { grant_type: 'password' })).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
    expect((await redeem(name, code)).status).toBe(200);
    expect(await redeem(name, code)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
  });

  it('sends nobody but to Keycloak, and takes nobody back who did not set out in this browser; a page says what to do', async () => {
    const other = name === 'feishu' ? 'wechat' : 'feishu';
    for (const changed of [
      { redirect_uri: 'https://evil.example/' },
      { redirect_uri: redirectUriOf(other) },
      { client_id: 'other' },
      { response_type: 'token' },
    ]) {
      const answer = await hop(`${base}/log-in/${name}/authorize?${query({ ...asked, redirect_uri: redirectUriOf(name), ...changed })}`);
      expect([answer.status, locationOf(answer)]).toEqual([400, '']);
      expect(await answer.text()).toContain('This did not work');
    }
    const { callback, cookie } = await walk(name);
    const foreign = (await walk(other)).cookie.replace(other, name);
    for (const stolen of ['', `${cookie}x`, cookie.replace(name, 'other'), foreign]) {
      const answer = await hop(callback, stolen);
      expect([answer.status, locationOf(answer)]).toEqual([400, '']);
      expect(await answer.text()).toContain('Go back to the console and log in again.');
    }
    const answer = await fetch(callback.replace(/state=\w+/, 'state=another'), {
      headers: { cookie, 'accept-language': 'zh-CN,zh;q=0.9' },
    });
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining('请返回控制台重新登录。')]);
    expect(answer.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  });

  it('forgets a log-in that has come back, so that going back in the browser leads nowhere', async () => {
    const start = await hop(`${base}/log-in/${name}/authorize?${query({ ...asked, redirect_uri: redirectUriOf(name) })}`);
    const back = await hop(locationOf(await hop(locationOf(start))), (start.headers.getSetCookie()[0] ?? '').split(';')[0]);
    expect(back.headers.getSetCookie()).toEqual([expect.stringMatching(/^star_log_in_\w+=; Path=\/log-in\/\w+; Max-Age=0$/)]);
  });

  it('knows no log-in and no code that has grown old', async () => {
    const { back, callback, cookie } = await walk(name);
    const code = back.searchParams.get('code');
    // The library under the seal asks `new Date()`.
    jest.useFakeTimers({ now: Date.now() + 121_000, doNotFake: [...everythingButDate] });
    expect(await redeem(name, code)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect((await hop(callback, cookie)).status).toBe(302);
    jest.setSystemTime(Date.now() + 500_000);
    expect((await hop(callback, cookie)).status).toBe(400);
  });

  it('tells Keycloak when the user refused, and when the service is away, with nothing lost', async () => {
    upstream.user = undefined;
    expect((await walk(name)).back.searchParams.get('error')).toBe('access_denied');
    upstream.user = li;
    for (const fault of ['down', 'html', 'hangs', 'cut', 1] as const) {
      const code = (await walk(name)).back.searchParams.get('code');
      upstream.fault = fault;
      expect([fault, await redeem(name, code)]).toMatchObject([fault, { status: 503, body: { error: 'temporarily_unavailable' } }]);
      expect(said.at(-1)).toMatchObject({ upstream: name, why: 'outage', ip: '127.0.0.1' });
      upstream.fault = 'none';
      expect((await redeem(name, code)).status).toBe(200);
    }
  });

  it('tells its owner, and nobody else, when the application is set up wrongly', async () => {
    const [setup, person] = name === 'feishu' ? [20002, 20010] : [40125, 50002];
    const code = (await walk(name)).back.searchParams.get('code');
    upstream.fault = setup;
    expect(await redeem(name, code)).toEqual({ status: 500, body: { error: 'server_error' } });
    expect(said).toMatchObject([{ upstream: name, why: 'setup', reason: expect.stringContaining(String(setup)) }]);
    upstream.fault = person;
    expect(await redeem(name, code)).toEqual({ status: 400, body: { error: 'invalid_grant' } });
    expect(said.at(-1)).toMatchObject({ why: 'person' });
  });

  it('logs no code, token or secret', async () => {
    for (const fault of ['none', 'down', 'html', 'hangs', 'cut', 20002, 40125] as const) {
      const code = (await walk(name)).back.searchParams.get('code') ?? '';
      upstream.fault = fault;
      const { body } = await redeem(name, code);
      await redeem(name, code, {}, 'Basic rubbish');
      upstream.fault = 'none';
      const secrets = [code, body.id_token, body.access_token, upstream.appSecret, client.secret.reveal(), ...upstream.given].filter(
        Boolean,
      );
      const text = inspect(said, { depth: 9 }) + JSON.stringify(said);
      expect(secrets.filter((secret) => text.includes(String(secret)))).toEqual([]);
    }
  });

  it('holds the one who began with PKCE to it', async () => {
    const challenge = { code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' };
    const code = (await walk(name, challenge)).back.searchParams.get('code');
    expect(await redeem(name, code, { code_verifier: 'wrong' })).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect((await redeem(name, code, { code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk' })).status).toBe(200);
    // Somebody took the challenge out on its way: Keycloak sent one (RFC 9700, 2.1.1).
    const bare = (await walk(name)).back.searchParams.get('code');
    expect(await redeem(name, bare, { code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk' })).toMatchObject({
      status: 400,
      body: { error: 'invalid_grant' },
    });
  });
});

it('is not there for a service that is not configured, nor anything of it without any', async () => {
  const none = fastify();
  await registerBridge(none, undefined);
  for (const path of ['authorize', 'callback', 'certs', '.well-known/openid-configuration']) {
    expect((await hop(`${base}/log-in/dingtalk/${path}`)).status).toBe(404);
    expect((await hop(`${base}/log-in/__proto__/${path}`)).status).toBe(404);
    expect((await none.inject(`/log-in/feishu/${path}`)).statusCode).toBe(404);
  }
  expect((await redeem('dingtalk', 'x')).status).toBe(404);
  await none.close();
});

it('does not answer rubbish with an error of its own', async () => {
  const long = 'x'.repeat(5000);
  for (const path of [`/authorize?state=${long}`, '/authorize', '/callback', '/callback?state=a&state=b', `/callback?state=a&code=${long}`])
    expect((await hop(`${base}/log-in/feishu${path}`)).status).toBe(400);
  const answer = await fetch(`${base}/log-in/feishu/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: basic },
    body: '{',
  });
  expect(answer.status).toBeLessThan(500);
  const large = await fetch(`${base}/log-in/feishu/token`, { method: 'POST', body: new URLSearchParams({ code: 'x'.repeat(20_000) }) });
  expect(large.status).toBe(413);
});
