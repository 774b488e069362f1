import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKeycloakAdmin, createKeycloakVerifier, loadSigningKey, Secret } from '@star/platform';
import { Browser, newPkce, OidcClient, type Page } from '@star/platform/test-kit';
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
    const secret = new Secret(upstream.appSecret);
    await registerBridge(app, {
      publicUrl: bridgeUrl,
      upstreams: {
        feishu: feishu({ appId: upstream.appId, appSecret: secret, accountsUrl: url, apiUrl: url }),
        wechat: wechat({ appId: upstream.appId, appSecret: secret, openUrl: url, apiUrl: url }),
      },
      client: { id: 'keycloak', secret: new Secret(bridgeSecret) },
      redirectUris: ['feishu', 'wechat'].map((name) => `${keycloak.url}/realms/star/broker/${name}/endpoint`),
      key: await loadSigningKey(join(folder, 'bridge.jwk')),
      sealSecret: new Secret('0123456789abcdef0123456789abcdef'),
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

  it.each(['feishu', 'wechat'])('%s: linked once to a user of a tenant, who then needs no password', async (name) => {
    const admin = createKeycloakAdmin({
      url: keycloak.url,
      realm: 'star',
      clientId: 'star-admin',
      clientSecret: new Secret(keycloak.adminSecret),
    });
    const verifier = createKeycloakVerifier({ url: keycloak.url, realm: 'star' });
    const username = `li-${name}`;
    const { userId } = await admin.createUser({ tenantId, username, displayName: '王丽', roles: ['operator'], password });
    upstream.user = { unionId: `on-${name}`, openId: `ou-${name}`, name: '王丽' };

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
    upstream.user = { unionId: `on-stranger-${name}`, openId: `ou-stranger-${name}`, name: 'Stranger' };
    const stranger = new Browser();
    const page = await stranger.submit(await through(stranger, name), { username: 'nobody', password });
    expect([page.status, new URL(page.url).origin]).toEqual([200, keycloak.url]);
    expect(await admin.findUser({ username: `${name}.on-stranger-${name}` })).toBeUndefined();
  });
});
