import { createKeycloakAdmin, Secret } from '@star/platform';
import { Browser, newPkce, OidcClient, type Page, totpCode, totpSecretOf } from '@star/platform/test-kit';
import fastify from 'fastify';
import { type RunningKeycloak, startKeycloak, whyNoKeycloak } from '../../../tools/stack/keycloak';
import { UpstreamSimulator } from '../../identity/test/support/upstream-sim';
import { startWholeStar, type WholeStar } from './support/whole-star';

const consoleUrl = 'http://127.0.0.1:1';
const missing = whyNoKeycloak();
if (missing) console.warn(missing);
const tenantId = '22222222-2222-4222-8222-222222222222';
const password = 'correct horse 7';
const bridgeSecret = 'bridge secret of the test, 32 letters';

/** A whole Star with its bridge, the broker of a real Keycloak in front of it, and a simulated Feishu and WeChat behind. */
(missing ? describe.skip : describe)('log-in with Feishu and WeChat through Keycloak', () => {
  const upstream = new UpstreamSimulator();
  let keycloak: RunningKeycloak;
  let star: WholeStar;

  beforeAll(async () => {
    const url = await upstream.listen();
    // Star and Keycloak must know each other's address before they start.
    const probe = fastify();
    const starUrl = await probe.listen({ host: '127.0.0.1', port: 0 });
    await probe.close();
    keycloak = await startKeycloak(consoleUrl, {
      STAR_BRIDGE_URL: starUrl,
      STAR_BRIDGE_SECRET: bridgeSecret,
      STAR_FEISHU_ENABLED: 'true',
      STAR_WECHAT_ENABLED: 'true',
    });
    star = await startWholeStar({
      STAR_PUBLIC_URL: starUrl,
      STAR_HTTP_PORT: new URL(starUrl).port,
      STAR_KEYCLOAK_URL: keycloak.url,
      STAR_KEYCLOAK_SECRET: keycloak.adminSecret,
      STAR_BRIDGE_SECRET: bridgeSecret,
      STAR_FEISHU_APP_ID: upstream.appId,
      STAR_FEISHU_APP_SECRET: upstream.appSecret,
      STAR_FEISHU_ACCOUNTS_URL: url,
      STAR_FEISHU_API_URL: url,
      STAR_WECHAT_APP_ID: upstream.appId,
      STAR_WECHAT_APP_SECRET: upstream.appSecret,
      STAR_WECHAT_OPEN_URL: url,
      STAR_WECHAT_API_URL: url,
      STAR_FIRST_TENANT: 'Two Courts',
      STAR_FIRST_ADMIN: 'guo',
      STAR_FIRST_PASSWORD: password,
    });
  }, 300_000);
  afterAll(async () => {
    await star?.close();
    await upstream.close();
    await keycloak?.stop();
  });

  const console_ = () => new OidcClient(`${keycloak.url}/realms/star`, `${consoleUrl}/callback`);
  /** From Keycloak's log-in page over the button of the service, through every redirect, until a page is shown or the console is reached. */
  const through = async (browser: Browser, name: string, challenge = newPkce()): Promise<Page> => {
    const page = await browser.get(console_().authorizationUrl(challenge));
    const href = new RegExp(`href="([^"]*/broker/${name}/login[^"]*)"`).exec(page.html)?.[1]?.replaceAll('&amp;', '&');
    let at = await browser.get(new URL(href ?? '', page.url).href);
    for (let hops = 0; hops < 10 && at.status === 302 && !at.url.startsWith(consoleUrl); hops++) at = await browser.get(at.url);
    return at;
  };

  const admin = () =>
    createKeycloakAdmin({ url: keycloak.url, realm: 'star', clientId: 'star-admin', clientSecret: new Secret(keycloak.adminSecret) });
  const comeAs = (who: string) => {
    upstream.user = { unionId: `on-${who}`, openId: `ou-${who}`, name: '王丽' };
  };

  it.each(['feishu', 'wechat'])('%s: linked once to a user of a tenant, who then needs no password', async (name) => {
    comeAs('guo');

    // The first time, whoever comes proves to be a user.
    const browser = new Browser();
    const wrong = await browser.submit(await through(browser, name), { username: 'guo', password: 'wrong' });
    expect(wrong.status).toBe(200);
    const linked = await browser.submit(wrong, { username: 'guo', password });
    expect(linked.url.startsWith(consoleUrl)).toBe(true);

    const pkce = newPkce();
    const again = await through(new Browser(), name, pkce);
    const { body } = await console_().exchange(new URL(again.url).searchParams.get('code') ?? '', pkce);
    const headers = { authorization: `Bearer ${body.access_token}` };
    expect((await star.ask({ method: 'GET', url: '/api/v1/me', headers })).body).toMatchObject({
      tenantName: 'Two Courts',
      username: 'guo',
    });

    // Somebody nobody knows gets no further, and is not made a user.
    comeAs(`stranger-${name}`);
    const stranger = new Browser();
    const page = await stranger.submit(await through(stranger, name), { username: 'nobody', password });
    expect([page.status, new URL(page.url).origin]).toEqual([200, keycloak.url]);
    expect(await admin().findUser({ username: `${name}.on-stranger-${name}` })).toBeUndefined();
  });

  it('whoever has a second factor shows it every time, and once', async () => {
    const username = 'zhao';
    await admin().createUser({ tenantId, username, displayName: '赵', roles: ['operator'], password, secondFactorRequired: true });
    comeAs(username);
    const browser = new Browser();
    const enrolling = await browser.submit(await through(browser, 'feishu'), { username, password });
    const secret = totpSecretOf(enrolling);
    // No code works twice: the last one, the present one, the next one.
    const [first, second, third] = [-30_000, 0, 30_000].map((later) => totpCode(secret, Date.now() + later)) as [string, string, string];
    expect((await browser.submit(enrolling, { totp: first })).url.startsWith(consoleUrl)).toBe(true);

    const other = new Browser();
    const linking = await other.submit(await through(other, 'wechat'), { username, password });
    expect((await other.submit(linking, { otp: second })).url.startsWith(consoleUrl)).toBe(true);

    const thief = new Browser();
    const asked = await through(thief, 'feishu');
    const refused = await thief.submit(asked, { otp: '000000' });
    expect(new URL(refused.url).origin).toBe(keycloak.url);
    expect((await thief.submit(refused, { otp: third })).url.startsWith(consoleUrl)).toBe(true);
  });

  it('shows a page of its own, in the reader’s language, when the service is away; trying again works; who refused can choose again', async () => {
    comeAs('guo');
    upstream.fault = 'down';
    const browser = new Browser();
    const page = await through(browser, 'feishu');
    upstream.fault = 'none';
    expect([page.status, page.html]).toEqual([502, expect.stringContaining('与身份提供程序进行身份验证时出现意外错误')]);
    expect((await through(browser, 'feishu')).url.startsWith(consoleUrl)).toBe(true);
    upstream.user = undefined;
    const refused = await through(new Browser(), 'feishu');
    expect([refused.status, refused.html]).toEqual([200, expect.stringContaining('id="social-feishu"')]);
  });
});
