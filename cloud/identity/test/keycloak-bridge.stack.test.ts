import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKeycloakAdmin, createKeycloakVerifier, createLogger, loadSigningKey, Secret } from '@star/platform';
import { Browser, newPkce, OidcClient, type Page, totpCode, totpSecretOf } from '@star/platform/test-kit';
import fastify from 'fastify';
import { type RunningKeycloak, startKeycloak, whyNoKeycloak } from '../../../tools/stack/keycloak';
import { feishu, registerBridge, wechat } from '../src/bridge';
import { UpstreamSimulator } from './support/upstream-sim';

const consoleUrl = 'http://127.0.0.1:1';
const missing = whyNoKeycloak();
if (missing) console.warn(missing);
const tenantId = '22222222-2222-4222-8222-222222222222';
const password = 'correct horse 7';
const bridgeSecret = 'bridge secret of the test';

/** Keycloak's own broker, our bridge behind it, and a simulated Feishu and WeChat behind that. */
(missing ? describe.skip : describe)('log-in with Feishu and WeChat through Keycloak', () => {
  const upstream = new UpstreamSimulator();
  const app = fastify();
  let folder: string;
  let keycloak: RunningKeycloak;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'star-broker-'));
    const url = await upstream.listen();
    const probe = fastify();
    const bridgeUrl = await probe.listen({ host: '127.0.0.1', port: 0 });
    await probe.close();
    keycloak = await startKeycloak(consoleUrl, {
      STAR_BRIDGE_URL: bridgeUrl,
      STAR_BRIDGE_SECRET: bridgeSecret,
      STAR_FEISHU_ENABLED: 'true',
      STAR_WECHAT_ENABLED: 'true',
    });
    const own = { appId: upstream.appId, appSecret: new Secret(upstream.appSecret) };
    const redirectUri = (name: string) => `${keycloak.url}/realms/star/broker/${name}/endpoint`;
    await registerBridge(app, {
      publicUrl: bridgeUrl,
      services: {
        feishu: { upstream: feishu({ ...own, accountsUrl: url, apiUrl: url }), redirectUri: redirectUri('feishu') },
        wechat: { upstream: wechat({ ...own, openUrl: url, apiUrl: url }), redirectUri: redirectUri('wechat') },
      },
      client: { id: 'keycloak', secret: new Secret(bridgeSecret) },
      key: await loadSigningKey(join(folder, 'bridge.json')),
      sealKey: randomBytes(32),
      log: createLogger({ service: 'test', level: 'silent' }),
    });
    await app.listen({ host: '127.0.0.1', port: Number(new URL(bridgeUrl).port) });
  }, 300_000);
  afterAll(async () => {
    await app.close();
    await upstream.close();
    await keycloak?.stop();
    await rm(folder, { recursive: true, force: true });
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
    const verifier = createKeycloakVerifier({ url: keycloak.url, realm: 'star' });
    const username = `li-${name}`;
    const { userId } = await admin().createUser({ tenantId, username, displayName: '王丽', roles: ['operator'], password });
    comeAs(username);

    // The first time, whoever comes proves to be a user.
    const browser = new Browser();
    const form = await through(browser, name);
    const wrong = await browser.submit(form, { username, password: 'wrong' });
    expect(wrong.status).toBe(200);
    const linked = await browser.submit(wrong, { username, password });
    expect(linked.url.startsWith(consoleUrl)).toBe(true);

    const pkce = newPkce();
    const again = await through(new Browser(), name, pkce);
    const { body } = await console_().exchange(new URL(again.url).searchParams.get('code') ?? '', pkce);
    expect(await verifier.verify(body.access_token ?? '')).toMatchObject({ tenantId, userId, username });

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
    comeAs('li-feishu');
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
