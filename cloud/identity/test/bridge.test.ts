import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSigningKey, Secret } from '@star/platform';
import fastify, { type FastifyInstance } from 'fastify';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { feishu, registerBridge, wechat } from '../src/bridge';
import { UpstreamSimulator } from './support/upstream-sim';

const redirectUri = 'http://127.0.0.1:1/realms/star/broker/feishu/endpoint';
const client = { id: 'keycloak', secret: new Secret('bridge secret: 1+1') };
const basic = `Basic ${Buffer.from(`${encodeURIComponent(client.id)}:${encodeURIComponent(client.secret.reveal())}`).toString('base64')}`;
const li = { unionId: 'on_union', openId: 'ou_open', name: '王丽', email: 'li@example.org' };

let folder: string;
let upstream: UpstreamSimulator;
let app: FastifyInstance;
let base: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-bridge-'));
  upstream = new UpstreamSimulator();
  const url = await upstream.listen();
  const secret = new Secret(upstream.appSecret);
  app = fastify();
  base = `http://127.0.0.1:${await freePort()}`;
  await registerBridge(app, {
    publicUrl: base,
    upstreams: {
      feishu: feishu({ appId: upstream.appId, appSecret: secret, accountsUrl: url, apiUrl: url }),
      wechat: wechat({ appId: upstream.appId, appSecret: secret, openUrl: url, apiUrl: url }),
    },
    client,
    redirectUris: [redirectUri],
    key: await loadSigningKey(join(folder, 'bridge.jwk')),
    sealSecret: new Secret('0123456789abcdef0123456789abcdef'),
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
});

const freePort = async () => {
  const probe = fastify();
  const address = await probe.listen({ host: '127.0.0.1', port: 0 });
  await probe.close();
  return new URL(address).port;
};
const query = (fields: Record<string, string>) => new URLSearchParams(fields).toString();
const asked = { client_id: client.id, redirect_uri: redirectUri, response_type: 'code', scope: 'openid', state: 's t/ä', nonce: 'n1' };
const hop = (address: string, cookie = '') => fetch(address, { redirect: 'manual', headers: { cookie } });
const locationOf = (answer: Response) => answer.headers.get('location') ?? '';

/** As a browser goes, up to Keycloak's door. */
async function walk(name: string, changed: Record<string, string> = {}): Promise<{ back: URL; callback: string; cookie: string }> {
  const start = await hop(`${base}/log-in/${name}/authorize?${query({ ...asked, ...changed })}`);
  expect(start.status).toBe(302);
  const cookie = (start.headers.getSetCookie()[0] ?? '').split(';')[0] ?? '';
  const callback = locationOf(await hop(locationOf(start)));
  expect(callback.startsWith(`${base}/log-in/${name}/callback?`)).toBe(true);
  return { back: new URL(locationOf(await hop(callback, cookie))), callback, cookie };
}
async function redeem(name: string, code: string | null, changed: Record<string, string> = {}, authorization = basic) {
  const body = new URLSearchParams({ grant_type: 'authorization_code', code: code ?? '', redirect_uri: redirectUri, ...changed });
  const answer = await fetch(`${base}/log-in/${name}/token`, { method: 'POST', headers: { authorization }, body });
  return { status: answer.status, body: (await answer.json()) as Record<string, string | number> };
}

describe.each(['feishu', 'wechat'])('%s as an OpenID provider', (name) => {
  it('gives an id token that its published key signed, and userinfo', async () => {
    const { back } = await walk(name);
    expect(back.searchParams.get('state')).toBe('s t/ä');
    const { status, body } = await redeem(name, back.searchParams.get('code'));
    expect(status).toBe(200);
    const about = (await (await fetch(`${base}/log-in/${name}/.well-known/openid-configuration`)).json()) as Record<string, string>;
    const keys = createRemoteJWKSet(new URL(about.jwks_uri ?? ''));
    const { payload } = await jwtVerify(String(body.id_token), keys, { issuer: about.issuer ?? '', audience: client.id });
    expect(payload).toMatchObject({ sub: li.unionId, name: li.name, nonce: 'n1', ...(name === 'feishu' && { email: li.email }) });
    const info = await fetch(about.userinfo_endpoint ?? '', { headers: { authorization: `Bearer ${body.access_token}` } });
    expect(await info.json()).toMatchObject({ sub: li.unionId, name: li.name });
    expect((await fetch(about.userinfo_endpoint ?? '', { headers: { authorization: `Bearer ${body.id_token}` } })).status).toBe(401);
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

  it('sends nobody but to Keycloak, and takes nobody back who did not set out in this browser', async () => {
    for (const changed of [{ redirect_uri: 'https://evil.example/' }, { client_id: 'other' }, { response_type: 'token' }]) {
      const answer = await hop(`${base}/log-in/${name}/authorize?${query({ ...asked, ...changed })}`);
      expect([answer.status, locationOf(answer)]).toEqual([400, '']);
    }
    const { callback, cookie } = await walk(name);
    for (const stolen of ['', `${cookie}x`, cookie.replace(name, 'other')]) expect((await hop(callback, stolen)).status).toBe(400);
    expect((await hop(callback.replace(/state=\w+/, 'state=another'), cookie)).status).toBe(400);
  });

  it('tells Keycloak when the user refused, and when the service is away', async () => {
    upstream.user = undefined;
    expect((await walk(name)).back.searchParams.get('error')).toBe('access_denied');
    upstream.user = li;
    for (const fault of ['down', 'html'] as const) {
      const code = (await walk(name)).back.searchParams.get('code');
      upstream.fault = fault;
      expect(await redeem(name, code)).toMatchObject({ status: 503, body: { error: 'temporarily_unavailable' } });
      upstream.fault = 'none';
      expect((await redeem(name, code)).status).toBe(200);
    }
  });

  it('holds the one who began with PKCE to it', async () => {
    const challenge = { code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' };
    const code = (await walk(name, challenge)).back.searchParams.get('code');
    expect(await redeem(name, code, { code_verifier: 'wrong' })).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect((await redeem(name, code, { code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk' })).status).toBe(200);
  });
});

it('calls it an outage, not a wrong code, when WeChat is busy', async () => {
  const code = (await walk('wechat')).back.searchParams.get('code');
  upstream.fault = 'system_busy';
  expect(await redeem('wechat', code)).toMatchObject({ status: 503, body: { error: 'temporarily_unavailable' } });
});

it('does not answer rubbish with an error of its own', async () => {
  const long = 'x'.repeat(5000);
  for (const path of [`/authorize?state=${long}`, '/callback', `/callback?state=a&code=${long}`, '/userinfo']) {
    expect([400, 401]).toContain((await hop(`${base}/log-in/feishu${path}`)).status);
  }
  const answer = await fetch(`${base}/log-in/feishu/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: basic },
    body: '{',
  });
  expect(answer.status).toBeLessThan(500);
  const large = await fetch(`${base}/log-in/feishu/token`, { method: 'POST', body: new URLSearchParams({ code: 'x'.repeat(20_000) }) });
  expect(large.status).toBe(413);
});
