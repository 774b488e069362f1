/** What the embedded provider does beyond the contract. Real: PostgreSQL, HTTP, tokens, scrypt. Only the clock is ours. */
import { randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { type Database, oidcClients } from '@star/platform';
import { Browser, codeOf, newPkce, OidcClient, totpCode, totpSecretOf } from '@star/platform/test-kit';
import type { AdapterPayload } from 'oidc-provider';
import { checkPassword } from '../src/check-password';
import { createOidcAdapter } from '../src/oidc-adapter';
import { openWorld, redirectUri, type World } from './world';

const password = 'correct horse 7';
const tenantId = randomUUID();
let world: World;
let client: OidcClient;
let made = 0;
/** Of the provider, until a test lets time pass. */
let nowMs: number;

beforeAll(async () => {
  world = await openWorld();
  client = new OidcClient(world.issuer, redirectUri);
});
afterAll(async () => {
  await world?.close();
});
beforeEach(() => {
  nowMs = Date.now();
  world.nowMs = nowMs;
  world.audited.length = 0;
});

const aUser = async (changed: object = {}) => {
  const username = `user${++made}`;
  const { userId } = await world.admin.createUser({ tenantId, username, displayName: '王丽', roles: ['operator'], password, ...changed });
  return { userId, username };
};
const count = async (sql: string, ...params: unknown[]) =>
  (await world.database.db.system('test', (tx) => tx.query<{ n: number }>(sql, params)))[0]?.n;

describe('sessions', () => {
  it('outlive the provider: cookies, refresh tokens and a log-in under way go on after a restart', async () => {
    const { username } = await aUser();
    const browser = new Browser();
    const { body } = await client.logIn(browser, username, password);
    const other = new Browser();
    const page = await other.get(client.authorizationUrl(newPkce()));
    await world.restart();
    codeOf(await browser.get(client.authorizationUrl(newPkce())));
    expect((await client.refresh(body.refresh_token)).status).toBe(200);
    codeOf(await other.submit(page, { username, password }));
  });

  it('leave nothing in the database that would open them', async () => {
    const { username } = await aUser();
    const browser = new Browser();
    const { body } = await client.logIn(browser, username, password);
    await browser.get(client.authorizationUrl(newPkce(), { prompt: 'login' }));
    const rows = await world.database.db.system('test', (tx) => tx.query('SELECT * FROM identity.oidc_records'));
    const dump = JSON.stringify(rows);
    expect(browser.cookies.get('star_session')).toBeDefined();
    for (const secret of [body.refresh_token, browser.cookies.get('star_session'), body.access_token]) expect(dump).not.toContain(secret);
  });

  it('two that use one refresh token at once: one wins at most, and the session is over', async () => {
    const { username } = await aUser();
    const { body } = await client.logIn(new Browser(), username, password);
    const answers = await Promise.all([1, 2, 3, 4].map(() => client.refresh(body.refresh_token)));
    const winners = answers.filter(({ status }) => status === 200);
    expect(winners.length).toBeLessThanOrEqual(1);
    for (const { body: refused } of answers.filter(({ status }) => status !== 200)) expect(refused.error).toBe('invalid_grant');
    for (const { body: won } of winners) expect((await client.refresh(won.refresh_token)).body.error).toBe('invalid_grant');
  });

  it('are over also for a winner whose new token is stored after the loser ended the session', async () => {
    const adapter = createOidcAdapter({ database: world.database.db, now: () => new Date() });
    const [tokens, grants] = [adapter('RefreshToken'), adapter('Grant')];
    const [grantId, used, given] = [randomUUID(), randomUUID(), randomUUID()];
    await grants.upsert(grantId, { kind: 'Grant' } as AdapterPayload, 60);
    await tokens.upsert(used, { kind: 'RefreshToken', grantId } as AdapterPayload, 60);
    await tokens.consume(used);
    await expect(tokens.consume(used)).rejects.toThrow('invalid_grant');
    await tokens.upsert(given, { kind: 'RefreshToken', grantId } as AdapterPayload, 60);
    expect(await grants.find(grantId)).toBeUndefined();
  });

  it('end after a working day, however often they were refreshed', async () => {
    const { userId, username } = await aUser();
    const browser = new Browser();
    const { body } = await client.logIn(browser, username, password);
    const hers = 'FROM identity.oidc_records WHERE user_id = $1';
    expect(await count(`SELECT count(*)::int AS n ${hers}`, userId)).toBeGreaterThan(0);
    // Longer ago than anything another test has left: at most twenty records go at a time, the oldest first.
    await world.database.db.system('test', (tx) =>
      tx.execute("UPDATE identity.oidc_records SET expires_at = now() - interval '10 years' WHERE user_id = $1", [userId]),
    );
    expect((await client.refresh(body.refresh_token)).body.error).toBe('invalid_grant');
    expect((await browser.get(client.authorizationUrl(newPkce()))).status).toBe(200);
    // Beginning a log-in swept what had expired.
    expect(await count(`SELECT count(*)::int AS n ${hers}`, userId)).toBe(0);
  });

  it('end after a working day, also in a browser that comes by all the time', async () => {
    const { username } = await aUser();
    const browser = new Browser();
    const { body } = await client.logIn(browser, username, password);
    const hour = 3_600_000;
    world.nowMs = nowMs + 6 * hour;
    codeOf(await browser.get(client.authorizationUrl(newPkce())));
    world.nowMs = nowMs + 11.9 * hour;
    codeOf(await browser.get(client.authorizationUrl(newPkce())));
    world.nowMs = nowMs + 12.1 * hour;
    expect((await browser.get(client.authorizationUrl(newPkce()))).status).toBe(200);
    expect((await browser.get(`${world.issuer}/account`)).status).toBe(401);
    expect((await client.refresh(body.refresh_token)).body.error).toBe('invalid_grant');
  });

  it('of one tenant are changed by a transaction of that tenant only', async () => {
    const { userId, username } = await aUser();
    const { body } = await client.logIn(new Browser(), username, password);
    const stranger = world.database.db.tenant(randomUUID(), (tx) => world.admin.endSessions(userId, tx));
    await expect(stranger).rejects.toMatchObject({ code: 'user.not_found' });
    const undone = world.database.db.tenant(tenantId, async (tx) => {
      await world.admin.endSessions(userId, tx);
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    const next = await client.refresh(body.refresh_token);
    expect(next.status).toBe(200);
    await world.database.db.tenant(tenantId, (tx) => world.admin.endSessions(userId, tx));
    expect((await client.refresh(next.body.refresh_token)).status).toBe(400);
  });
});

describe('lock-out', () => {
  it.each([['known'], ['unknown']])(
    'of a name that is %s counts tries that come at once, waits longer each time, and ends',
    async (kind) => {
      const { username: known } = await aUser();
      const username = kind === 'known' ? known : 'nobody-at-all';
      const tries = await Promise.all(Array.from({ length: 9 }, () => client.password(username, 'guess')));
      expect(tries.every(({ body }) => body.error === 'invalid_grant')).toBe(true);
      const page = async (typed: string) => (await client.enter(new Browser(), newPkce(), username, typed)).html;
      expect(await page(password)).toContain('Too many failed attempts. Try again in 15 seconds.');
      world.nowMs = nowMs + 15_001;
      expect(await page('guess')).toContain('User name or password is wrong.');
      expect(await page('guess')).toContain('Try again in 30 seconds.');
      world.nowMs = nowMs + 45_002;
      expect((await client.password(username, password)).status).toBe(kind === 'known' ? 200 : 400);
      if (kind === 'known') expect((await client.password(username, 'guess')).status).toBe(400);
    },
  );

  it('ends when an administrator sets a new password', async () => {
    const { userId, username } = await aUser();
    for (let tries = 0; tries < 6; tries++) await client.password(username, 'guess');
    await world.admin.setPassword(userId, 'another horse 8', { temporary: false });
    expect((await client.password(username, 'another horse 8')).status).toBe(200);
  });

  it('counts guesses at the second factor, which a known password does not reset', async () => {
    const { username } = await aUser({ secondFactorRequired: true });
    const browser = new Browser();
    const page = await client.enter(browser, newPkce(), username, password);
    const codes = await browser.submit(page, { totp: totpCode(totpSecretOf(page), nowMs) });
    codeOf(await browser.submit(codes, {}));
    let last = '';
    for (let tries = 0; tries < 8 && !last.includes('Too many'); tries++) {
      const thief = new Browser();
      const asked = await client.enter(thief, newPkce(), username, password);
      last = asked.html.includes('otp') ? (await thief.submit(asked, { otp: '000000' })).html : asked.html;
    }
    expect(last).toContain('Too many failed attempts');
  });
});

describe('the second factor', () => {
  const enrolled = async () => {
    const user = await aUser({ secondFactorRequired: true });
    const browser = new Browser();
    const page = await client.enter(browser, newPkce(), user.username, password);
    const secret = totpSecretOf(page);
    expect(page.html).toContain('<svg');
    const shown = await browser.submit(page, { totp: totpCode(secret, nowMs) });
    const codes = [...shown.html.matchAll(/<li>([^<]+)<\/li>/g)].map(([, code]) => code as string);
    codeOf(await browser.submit(shown, {}));
    return { ...user, secret, codes };
  };

  it('is kept sealed; a recovery code lets in once; a code of long ago never', async () => {
    const { username, userId, secret, codes } = await enrolled();
    expect(codes).toHaveLength(10);
    const rows = await world.database.db.system('test', (tx) =>
      tx.query<{ secret: Buffer }>('SELECT secret FROM identity.authenticators WHERE user_id = $1', [userId]),
    );
    expect(rows[0]?.secret.includes(secret)).toBe(false);
    const enter = async (otp: string) => {
      const browser = new Browser();
      return browser.submit(await client.enter(browser, newPkce(), username, password), { otp });
    };
    codeOf(await enter(codes[3]?.toUpperCase() ?? ''));
    expect((await enter(codes[3] ?? '')).html).toContain('This code is wrong');
    expect((await enter(totpCode(secret, nowMs - 300_000))).html).toContain('This code is wrong');
    codeOf(await enter(codes[4]?.replaceAll('-', '') ?? ''));
  });

  it('sent twice at once lets in once', async () => {
    const { username, secret } = await enrolled();
    const asked = await Promise.all(
      [new Browser(), new Browser(), new Browser()].map(async (browser) => ({
        browser,
        page: await client.enter(browser, newPkce(), username, password),
      })),
    );
    const otp = totpCode(secret, nowMs + 30_000);
    const pages = await Promise.all(asked.map(({ browser, page }) => browser.submit(page, { otp })));
    expect(pages.filter(({ status }) => status === 302)).toHaveLength(1);
  });

  it('asked for, does not let in who was disabled meanwhile', async () => {
    const { username, userId, secret } = await enrolled();
    const browser = new Browser();
    const asked = await client.enter(browser, newPkce(), username, password);
    await world.admin.setEnabled(userId, false);
    expect((await browser.submit(asked, { otp: totpCode(secret, nowMs + 30_000) })).status).not.toBe(302);
  });

  it('asked for, does not go on after the password was changed meanwhile', async () => {
    const { username, userId, secret } = await enrolled();
    const browser = new Browser();
    const asked = await client.enter(browser, newPkce(), username, password);
    await world.admin.setPassword(userId, 'another horse 8', { temporary: false });
    const page = await browser.submit(asked, { otp: totpCode(secret, nowMs + 30_000) });
    expect(page.html).toContain('name="password"');
  });
});

describe('pages', () => {
  it('set cookies that scripts and other sites do not get, and may not be framed', async () => {
    const { username } = await aUser();
    const browser = new Browser();
    const page = await client.enter(browser, newPkce(), username, 'wrong');
    await browser.submit(page, { username, password });
    expect(browser.setCookies.length).toBeGreaterThan(3);
    for (const line of browser.setCookies) {
      expect(line).toMatch(/;\s*httponly/i);
      expect(line).toMatch(/;\s*samesite=lax/i);
      expect(line).toMatch(/;\s*path=\/realms\/star/i);
    }
    // With the browser's end the session is out of reach.
    expect(browser.setCookies.filter((line) => line.startsWith('star_session=')).at(-1)).not.toMatch(/expires/i);
    expect(page.headers.get('x-frame-options')).toBe('DENY');
    expect(page.headers.get('content-security-policy')).toMatch(
      /default-src 'none'.*form-action 'self' http:\/\/console\.test; frame-ancestors 'none'/,
    );
    expect(page.html).not.toMatch(/<script|https?:\/\/(?!console\.test)/);
  });

  it('set Secure cookies where the realm is reached by https, whatever the proxy in front does not say', async () => {
    const secure = await openWorld('https');
    try {
      const response = await fetch(new OidcClient(secure.issuer, redirectUri).authorizationUrl(newPkce()).replace('https:', 'http:'), {
        redirect: 'manual',
      });
      expect(response.headers.get('location')).toMatch(/^(https:\/\/127|\/realms\/star\/log-in)/);
      expect(response.headers.getSetCookie().length).toBeGreaterThan(1);
      for (const line of response.headers.getSetCookie()) expect(line).toMatch(/;\s*secure/i);
    } finally {
      await secure.close();
    }
  });

  it('speak the reader’s language, and never what was typed as markup', async () => {
    const chinese = await new Browser().get(client.authorizationUrl(newPkce(), { ui_locales: 'zh' }));
    expect(chinese.html).toContain('lang="zh-CN"');
    expect(chinese.html).toContain('用户名');
    const browser = new Browser();
    const page = await client.enter(browser, newPkce(), '"><script>alert(1)</script>', 'x');
    expect(page.html).toContain('&quot;&gt;&lt;script&gt;');
    expect(page.html).not.toContain('<script>');
  });

  it('lead nowhere but where the issuer is, whatever host a client claims to ask', async () => {
    const { hostname, port } = new URL(world.issuer);
    const path = client.authorizationUrl(newPkce()).slice(new URL(world.issuer).origin.length);
    const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' };
    const location = await new Promise<string>((resolve, reject) => {
      httpRequest({ hostname, port, path, headers }, (response) => {
        response.resume();
        resolve(JSON.stringify(response.headers));
      })
        .on('error', reject)
        .end();
    });
    expect(location).not.toContain('evil');
  });

  it('belong to the browser that began: another one’s address is of no use', async () => {
    const { username } = await aUser();
    const page = await new Browser().get(client.authorizationUrl(newPkce()));
    const stranger = new Browser();
    expect((await stranger.get(page.url)).status).toBe(400);
    await stranger.get(client.authorizationUrl(newPkce()));
    expect((await stranger.submit({ ...page }, { username, password })).status).toBe(400);
  });

  it('hand tokens to the console’s origin only', async () => {
    const ask = (origin: string) =>
      fetch(client.endpoint('token'), {
        method: 'POST',
        headers: { origin },
        body: new URLSearchParams({ grant_type: 'refresh_token', client_id: oidcClients.console, refresh_token: 'x' }),
      });
    expect((await ask(new URL(redirectUri).origin)).headers.get('access-control-allow-origin')).toBe(new URL(redirectUri).origin);
    const stranger = await ask('https://evil.example');
    expect([stranger.status, stranger.headers.get('access-control-allow-origin')]).toEqual([400, null]);
  });

  it('answer rubbish with a page, and nothing is our fault', async () => {
    const at = (path: string, init: RequestInit = {}) =>
      fetch(`${world.issuer}${path}`, { redirect: 'manual', ...init }).then(({ status }) => status);
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const token = '/protocol/openid-connect/token';
    const statuses = [
      await at('/'),
      await at('/nothing/here'),
      await at('/protocol/openid-connect/auth'),
      await at('/protocol/openid-connect/auth?client_id=%00&response_type=code'),
      await at(`/protocol/openid-connect/auth?client_id=star-console&client_id=star-cli`),
      await at('/log-in/nothing'),
      await at('/log-in/nothing', { method: 'POST', headers: form, body: 'username=a&password=b' }),
      await at('/account'),
      await at('/account', { method: 'POST', headers: form, body: 'do=everywhere' }),
      await at(token, { method: 'POST', headers: form, body: 'x'.repeat(200_000) }),
      await at(token, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"grant_type":' }),
      await at(token, { method: 'POST', headers: form, body: 'grant_type=password&client_id=star-cli&username=%00&password=%00' }),
      await at(token, { method: 'POST', headers: form, body: 'grant_type=refresh_token&client_id=star-cli&refresh_token=%00' }),
      await at(token, { method: 'POST', headers: form, body: 'grant_type=constructor&client_id=star-cli' }),
      await at('/protocol/openid-connect/logout?id_token_hint=a.b.c'),
      await at('/protocol/openid-connect/userinfo'),
    ];
    for (const status of statuses) expect([400, 401, 404, 405, 413]).toContain(status);
    const nul = await new Browser().get(client.authorizationUrl(newPkce(), { state: 'a\u0000b', login_hint: '\u0000\ud800' }));
    expect(nul.status).toBe(200);
    const { username } = await aUser();
    const browser = new Browser();
    const huge = await browser.submit(await browser.get(client.authorizationUrl(newPkce())), { username, password: 'x'.repeat(50_000) });
    expect(huge.html).toContain('Type your user name');
    expect(world.errors).toEqual([]);
  });
});

describe('my account', () => {
  const inside = async (changed: object = {}) => {
    const user = await aUser(changed);
    const browser = new Browser();
    await client.logIn(browser, user.username, password);
    return { ...user, browser, page: await browser.get(`${world.issuer}/account`) };
  };

  it('is closed to who has no session', async () => {
    expect((await new Browser().get(`${world.issuer}/account`)).status).toBe(401);
  });

  it('changes the password for who knows the present one, and ends all sessions', async () => {
    const { browser, page, username } = await inside();
    const fresh = { 'password-new': 'another horse 8', 'password-confirm': 'another horse 8' };
    expect((await browser.submit(page, { password: 'wrong', ...fresh })).status).toBe(400);
    expect((await browser.submit(page, { password, 'password-new': 'short', 'password-confirm': 'short' })).html).toContain('8 to 256');
    expect((await browser.submit(page, { password, ...fresh })).html).toContain('Your password is changed');
    expect((await browser.get(`${world.issuer}/account`)).status).toBe(401);
    expect((await client.password(username, 'another horse 8')).status).toBe(200);
    expect(world.audited.map(({ action }) => action)).toContain('user.password_changed');
  });

  const act = (browser: Browser, fields: Record<string, string>) => browser.post(`${world.issuer}/account`, new URLSearchParams(fields));

  it('sets a second factor up and takes it away', async () => {
    const { browser, userId } = await inside();
    expect((await act(browser, { do: 'enrol-begin', password: 'wrong' })).status).toBe(400);
    const page = await act(browser, { do: 'enrol-begin', password });
    const wrong = await browser.submit(page, { totp: '000000' });
    expect(totpSecretOf(wrong)).toEqual(totpSecretOf(page));
    const done = await browser.submit(wrong, { totp: totpCode(totpSecretOf(wrong), nowMs) });
    expect(done.html.match(/<li>/g)).toHaveLength(10);
    expect(await world.admin.findUser({ userId })).toMatchObject({ secondFactor: 'on' });
    expect((await act(browser, { do: 'renew', password })).html.match(/<li>/g)).toHaveLength(10);
    await act(browser, { do: 'remove', password });
    expect(await world.admin.findUser({ userId })).toMatchObject({ secondFactor: 'off' });
  });

  it('takes no secret that it did not give out itself', async () => {
    const { browser, userId } = await inside();
    for (const sealed of ['', 'rubbish', 'AAAA'.repeat(20)]) await act(browser, { do: 'enrol', sealed, totp: '000000' });
    expect(await world.admin.findUser({ userId })).toMatchObject({ secondFactor: 'off' });
    expect(world.errors).toEqual([]);
  });

  it('logs out everywhere', async () => {
    const { browser, username } = await inside();
    const program = await client.password(username, password);
    await act(browser, { do: 'everywhere' });
    expect((await client.refresh(program.body.refresh_token, oidcClients.cli)).status).toBe(400);
    expect((await browser.get(`${world.issuer}/account`)).status).toBe(401);
    const who = await fetch(client.endpoint('userinfo'), { headers: { authorization: `Bearer ${program.body.access_token}` } });
    expect(who.status).toBe(401);
  });
});

it('has no ways in that nobody uses, and keeps nothing for strangers who try them', async () => {
  const description = await (await fetch(`${world.issuer}/.well-known/openid-configuration`)).text();
  expect(description).not.toMatch(/pushed_authorization|dpop|"plain"|device_|introspection/);
  const pushed = new URL(client.authorizationUrl(newPkce())).searchParams;
  expect((await fetch(`${world.issuer}/request`, { method: 'POST', body: pushed })).status).toBe(404);
  expect(await count("SELECT count(*)::int AS n FROM identity.oidc_records WHERE kind = 'PushedAuthorizationRequest'")).toBe(0);
});

it('works as long for a name that nobody has as for one that somebody has: as many transactions', async () => {
  const { username } = await aUser();
  const transactionsFor = async (name: string) => {
    let transactions = 0;
    const { db } = world.database;
    const counted: Database = {
      ...db,
      system: (...args) => {
        transactions += 1;
        return db.system(...args);
      },
      tenant: (...args) => {
        transactions += 1;
        return db.tenant(...args);
      },
    };
    const deps = { database: counted, now: () => new Date(), audit: async () => undefined };
    expect(await checkPassword(deps, { username: name, password: 'wrong' })).toEqual({ why: 'wrong' });
    return transactions;
  };
  expect(await transactionsFor(`nobody-${randomUUID()}`)).toBe(await transactionsFor(username));
});

it('tells the audit who came in and who was refused', async () => {
  const { username, userId } = await aUser();
  await client.logIn(new Browser(), username, password);
  await client.password(username, 'wrong');
  await client.password('nobody', 'wrong');
  expect(world.audited).toMatchObject([
    { tenantId, userId, username, action: 'session.opened', details: { client: oidcClients.console } },
    { tenantId, userId, username, action: 'session.refused' },
  ]);
});
