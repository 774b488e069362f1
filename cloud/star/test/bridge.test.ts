/** Log-in with Feishu and WeChat on a whole Star, through its one entrance in both shapes; Feishu is simulated, Keycloak is this test. */
import type { RateCounters } from '@star/gateway';
import { type ConfigError, readConfig } from '@star/platform';
import type { HttpApp } from '@star/platform/nest';
import { UpstreamSimulator } from '../../identity/test/support/upstream-sim';
import { openGatewayHttp } from '../src/open-http';
import { starSettings } from '../src/settings';
import { startWholeStar, type WholeStar } from './support/whole-star';

const keycloakUrl = 'http://127.0.0.1:1';
const bridgeSecret = 'a secret of the bridge, of 32 letters or more';
const feishu = new UpstreamSimulator();
let settings: Record<string, string>;

beforeAll(async () => {
  const url = await feishu.listen();
  settings = {
    STAR_KEYCLOAK_URL: keycloakUrl,
    STAR_KEYCLOAK_SECRET: 'the secret of star-admin',
    STAR_BRIDGE_SECRET: bridgeSecret,
    STAR_FEISHU_APP_ID: feishu.appId,
    STAR_FEISHU_APP_SECRET: feishu.appSecret,
    STAR_FEISHU_ACCOUNTS_URL: url,
    STAR_FEISHU_API_URL: url,
  };
});
afterAll(() => feishu.close());

/** In memory, refusing from now on when told; says whose calls were counted. */
class Counters implements RateCounters {
  readonly keys = new Set<string>();
  allowed = true;
  async take({ key }: { readonly key: string }) {
    this.keys.add(key);
    return { allowed: this.allowed, remaining: 0, waitMs: 1000, fullInMs: 1000 };
  }
  async close() {}
}

const gatewayTo = (star: WholeStar, counters: RateCounters): Promise<HttpApp> =>
  openGatewayHttp(
    {
      ...star.base.settings,
      STAR_ROLE: 'gateway',
      STAR_UPSTREAM_TENANTS: star.address,
      STAR_UPSTREAM_DEVICES: star.address,
      STAR_UPSTREAM_SEARCH: star.address,
    },
    { counters },
  );

describe.each(['all', 'services'])('in the shape %s', (shape) => {
  const counters = new Counters();
  let star: WholeStar;
  let gateway: HttpApp | undefined;
  let entrance: string;
  beforeAll(async () => {
    // Nobody is made at the start: no Keycloak listens.
    star = await startWholeStar({ ...settings, STAR_PLATFORM_PASSWORD: '' }, shape === 'all' ? { counters } : {});
    gateway = shape === 'all' ? undefined : await gatewayTo(star, counters);
    entrance = (await gateway?.listen()) ?? star.address;
  });
  afterAll(async () => {
    await gateway?.close();
    await star?.close();
  });

  const hop = (url: string, cookie = '') =>
    fetch(url.replace('http://star.test', entrance), { redirect: 'manual', headers: { cookie, 'accept-language': 'zh-CN' } });
  const locationOf = (answer: Response) => answer.headers.get('location') ?? '';
  const redirectUri = `${keycloakUrl}/realms/star/broker/feishu/endpoint`;
  const query = new URLSearchParams({ client_id: 'keycloak', redirect_uri: redirectUri, response_type: 'code', state: 's', nonce: 'n' });

  it('vouches for somebody, from Keycloak to Feishu and back', async () => {
    feishu.user = { unionId: 'on-li', openId: 'ou-li', name: '王丽' };
    const start = await hop(`http://star.test/log-in/feishu/authorize?${query}`);
    const callback = locationOf(await hop(locationOf(start)));
    expect(callback).toMatch(/^http:\/\/star\.test\/log-in\/feishu\/callback\?/);
    const back = new URL(locationOf(await hop(callback, (start.headers.getSetCookie()[0] ?? '').split(';')[0])));
    expect([back.origin + back.pathname, back.searchParams.get('state')]).toEqual([redirectUri, 's']);
    const body = new URLSearchParams({
      grant_type: 'authorization_code',
      code: back.searchParams.get('code') ?? '',
      redirect_uri: redirectUri,
      client_id: 'keycloak',
      client_secret: bridgeSecret,
    });
    const redeem = () => fetch(`${entrance}/log-in/feishu/token`, { method: 'POST', body });
    const answer = await redeem();
    const { id_token } = (await answer.json()) as { id_token: string };
    const claims = JSON.parse(Buffer.from(id_token.split('.')[1] ?? '', 'base64url').toString());
    expect(claims).toMatchObject({ iss: 'http://star.test/log-in/feishu', aud: 'keycloak', sub: 'on-li', name: '王丽', nonce: 'n' });
    expect((await redeem()).status).toBe(400);
    const again = await hop(callback);
    expect([again.status, await again.text()]).toEqual([400, expect.stringContaining('请返回控制台重新登录。')]);
  });

  it('is 404 for what is not configured, and for every other method', async () => {
    for (const path of ['authorize', 'callback', 'certs', '.well-known/openid-configuration', 'userinfo']) {
      const answer = await hop(`http://star.test/log-in/wechat/${path}`);
      expect([path, answer.status, await answer.json()]).toMatchObject([path, 404, { code: 'route.not_found' }]);
    }
    expect((await fetch(`${entrance}/log-in/feishu/authorize`, { method: 'PUT' })).status).toBe(404);
  });

  it('is counted by address like all that strangers may call', async () => {
    expect([...counters.keys]).toEqual(['rate:address:127.0.0.1']);
    counters.allowed = false;
    for (const path of ['authorize', 'callback']) {
      const answer = await hop(`http://star.test/log-in/feishu/${path}`);
      expect([answer.status, await answer.json()]).toMatchObject([429, { code: 'request.limited' }]);
    }
    expect((await fetch(`${entrance}/log-in/feishu/token`, { method: 'POST', body: new URLSearchParams() })).status).toBe(429);
  });
});

it('is not there when it is not configured', async () => {
  const star = await startWholeStar();
  try {
    for (const path of ['authorize', 'callback', 'certs', '.well-known/openid-configuration'])
      expect((await star.ask({ method: 'GET', url: `/log-in/feishu/${path}` })).body).toMatchObject({ code: 'route.not_found' });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    expect((await star.ask({ method: 'POST', url: '/log-in/feishu/token', headers })).status).toBe(404);
  } finally {
    await star.close();
  }
});

describe('settings', () => {
  const problemsWithout = (...names: string[]) => {
    const env = { STAR_DATA: '/tmp/x', ...settings };
    try {
      readConfig(starSettings, Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name))));
      return [];
    } catch (error) {
      return [...(error as ConfigError).problems];
    }
  };

  it('stop a start with a half of them, and say which is missing and why', () => {
    expect(problemsWithout()).toEqual([]);
    expect(problemsWithout('STAR_KEYCLOAK_URL')).toEqual(['STAR_KEYCLOAK_URL: missing, and STAR_BRIDGE_SECRET needs it']);
    expect(problemsWithout('STAR_KEYCLOAK_SECRET')).toEqual(['STAR_KEYCLOAK_SECRET: missing, and STAR_KEYCLOAK_URL needs it']);
    expect(problemsWithout('STAR_FEISHU_APP_SECRET')).toEqual(['STAR_FEISHU_APP_SECRET: missing, and STAR_FEISHU_APP_ID needs it']);
    expect(problemsWithout('STAR_BRIDGE_SECRET')).toEqual(['STAR_BRIDGE_SECRET: missing, and STAR_FEISHU_APP_ID needs it']);
    expect(problemsWithout('STAR_FEISHU_APP_ID', 'STAR_FEISHU_APP_SECRET')).toEqual([
      'STAR_BRIDGE_SECRET: given, but neither STAR_FEISHU_APP_ID nor STAR_WECHAT_APP_ID is',
    ]);
  });
});
