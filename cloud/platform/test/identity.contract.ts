import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TokenVerifier } from '../src/identity/identity';
import { type IdentityAdmin, type NewUser, oidcClients, tokenAudience } from '../src/identity/identity-admin';
import { Browser, type Page, totpCode, totpSecretOf } from '../src/test-kit/browser';
import { claimsOf, codeOf, newPkce, OidcClient, type TokenAnswer } from '../src/test-kit/oidc-client';

export interface IdentityUnderTest {
  /** `https://…/realms/star`. */
  readonly issuer: string;
  /** Registered for the console's client, with another origin than the issuer's. */
  readonly redirectUri: string;
  readonly admin: IdentityAdmin;
  readonly verifier: TokenVerifier;
}

const password = 'correct horse 7';

/** What every identity provider of Star does, asked through the port and the addresses a Keycloak has. Call inside `describe`. */
export function identityContract(underTest: () => IdentityUnderTest): void {
  const tenantId = randomUUID();
  const client = () => new OidcClient(underTest().issuer, underTest().redirectUri);
  const admin = () => underTest().admin;
  const aName = () => `user-${randomBytes(5).toString('hex')}`;
  const aUser = async (changed: Partial<NewUser> = {}) => {
    const username = aName();
    const { userId } = await admin().createUser({ tenantId, username, displayName: 'Wang Li', roles: ['operator'], password, ...changed });
    return { userId, username };
  };
  const problem = (work: Promise<unknown>) =>
    work.then(
      () => 'no problem',
      (error: unknown) => (error as { code?: string }).code,
    );
  /** The page after enrolling the authenticator it shows; a provider may go on to show recovery codes. */
  const enrol = async (browser: Browser, page: Page, secret: Buffer) => {
    const enrolled = await browser.submit(page, { totp: totpCode(secret, Date.now()) });
    return enrolled.status === 302 ? enrolled : browser.submit(enrolled, {});
  };

  describe('users', () => {
    it('are made once, with a name that nobody else has in any tenant', async () => {
      const user = { tenantId, username: aName(), displayName: '王丽', email: 'li@example.org', roles: ['viewer', 'auditor'], password };
      const first = await admin().createUser(user);
      expect(first.created).toBe(true);
      expect(await admin().createUser({ ...user, displayName: 'Another' })).toEqual({ userId: first.userId, created: false });
      const elsewhere = { ...user, tenantId: randomUUID(), username: user.username.toUpperCase() };
      expect(await problem(admin().createUser(elsewhere))).toBe('user.username_taken');
      const found = await admin().findUser({ username: user.username.toUpperCase() });
      expect(found).toMatchObject({
        userId: first.userId,
        tenantId,
        username: user.username,
        displayName: '王丽',
        email: 'li@example.org',
      });
      expect(found).toMatchObject({ enabled: true, temporaryPassword: false, secondFactor: 'off' });
      expect([...(found?.roles ?? [])].sort()).toEqual(['auditor', 'viewer']);
    });

    it('made at once with one name are one', async () => {
      const user = { tenantId, username: aName(), displayName: 'Twice', roles: [], password };
      const made = await Promise.all(Array.from({ length: 4 }, () => admin().createUser(user)));
      expect(new Set(made.map(({ userId }) => userId)).size).toBe(1);
    });

    it('refuse names and passwords that are none', async () => {
      for (const username of ['', ' a', 'a b', 'x'.repeat(65), '<b>', 'a\u0000b', 'ａｄｍｉｎ', 'аdmin', 'οwner'])
        expect(await problem(admin().createUser({ tenantId, username, displayName: 'x', roles: [], password }))).toBe(
          'user.username_invalid',
        );
      expect(await problem(aUser({ password: 'short' }))).toBe('user.password_refused');
    });

    it('are listed by name, a page at a time, and only the tenant asked for', async () => {
      const ours = randomUUID();
      const names = [aName(), aName(), aName()].sort();
      for (const username of names) await aUser({ tenantId: ours, username });
      const first = await admin().listUsers(ours, { limit: 2 });
      expect(first.items.map(({ username }) => username)).toEqual(names.slice(0, 2));
      const rest = await admin().listUsers(ours, { limit: 2, cursor: first.nextCursor ?? '' });
      expect(rest.items.map(({ username }) => username)).toEqual(names.slice(2));
      expect(rest.nextCursor).toBeNull();
      expect(await problem(admin().listUsers(ours, { limit: 2, cursor: 'rubbish' }))).toBe('user.cursor_invalid');
    });

    it('that are unknown are not found; deleting one twice is no error', async () => {
      const { userId, username } = await aUser();
      await admin().setProfile(userId, { displayName: 'Li', email: null });
      expect(await admin().findUser({ userId })).toMatchObject({ displayName: 'Li', email: null });
      const { body } = await client().password(username, password);
      await admin().deleteUser(userId);
      await admin().deleteUser(userId);
      expect(await admin().findUser({ userId })).toBeUndefined();
      expect((await client().refresh(body.refresh_token, oidcClients.cli)).status).toBe(400);
      for (const work of [
        () => admin().setRoles(userId, []),
        () => admin().setEnabled(userId, true),
        () => admin().setPassword(userId, password, { temporary: false }),
        () => admin().requireSecondFactor(userId, true),
        () => admin().resetSecondFactor(userId),
        () => admin().endSessions(userId),
      ])
        expect(await problem(work())).toBe('user.not_found');
    });
  });

  describe('log-in', () => {
    it('is announced where a Keycloak announces it', async () => {
      const about = (await (await fetch(`${underTest().issuer}/.well-known/openid-configuration`)).json()) as Record<string, unknown>;
      expect(about).toMatchObject({
        issuer: underTest().issuer,
        authorization_endpoint: client().endpoint('auth'),
        token_endpoint: client().endpoint('token'),
        end_session_endpoint: client().endpoint('logout'),
        jwks_uri: client().endpoint('certs'),
        userinfo_endpoint: client().endpoint('userinfo'),
        code_challenge_methods_supported: expect.arrayContaining(['S256']),
      });
      const { keys } = (await (await fetch(client().endpoint('certs'))).json()) as { keys: Record<string, unknown>[] };
      expect(keys.length).toBeGreaterThan(0);
      expect(keys.some((key) => 'd' in key || 'p' in key)).toBe(false);
    });

    it('by code and PKCE gives tokens with the claims of a Keycloak, for five minutes', async () => {
      const { userId, username } = await aUser({ roles: ['operator', 'tenant-admin'] });
      const { status, body } = await client().logIn(new Browser(), username, password);
      expect(status).toBe(200);
      expect(body.expires_in).toBeGreaterThan(240);
      expect(body.expires_in).toBeLessThanOrEqual(300);
      const claims = claimsOf(body.access_token);
      expect(claims).toMatchObject({ iss: underTest().issuer, sub: userId, typ: 'Bearer', azp: oidcClients.console });
      expect(claims).toMatchObject({ tenant_id: tenantId, preferred_username: username });
      expect([claims.aud].flat()).toContain(tokenAudience);
      expect(claimsOf(body.id_token)).toMatchObject({ sub: userId, aud: oidcClients.console, nonce: 'nonce-1' });
      const caller = await underTest().verifier.verify(body.access_token ?? '');
      expect(caller).toMatchObject({ tenantId, userId, username });
      expect(caller.roles).toEqual(expect.arrayContaining(['operator', 'tenant-admin']));
      const info = await fetch(client().endpoint('userinfo'), { headers: { authorization: `Bearer ${body.access_token}` } });
      expect(await info.json()).toMatchObject({ sub: userId, preferred_username: username });
      expect((await fetch(client().endpoint('userinfo'), { headers: { authorization: 'Bearer rubbish' } })).status).toBe(401);
    });

    it('comes back with the state, and a second one in the same browser asks nothing', async () => {
      const { username } = await aUser();
      const browser = new Browser();
      const page = await client().enter(browser, newPkce(), username, password);
      expect(new URL(page.url).searchParams.get('state')).toBe('state-1');
      expect(page.url.startsWith(underTest().redirectUri)).toBe(true);
      codeOf(await browser.get(client().authorizationUrl(newPkce())));
    });

    it('needs PKCE: none, the wrong verifier and a code used twice get nothing', async () => {
      const { username } = await aUser();
      const browser = new Browser();
      const none = await browser.get(client().authorizationUrl(newPkce(), { code_challenge: undefined, code_challenge_method: undefined }));
      expect(new URL(none.url).searchParams.get('error')).toBe('invalid_request');
      const plain = await browser.get(client().authorizationUrl(newPkce(), { code_challenge_method: 'plain' }));
      expect(new URL(plain.url).searchParams.get('error')).toBe('invalid_request');
      const pkce = newPkce();
      const code = codeOf(await client().enter(browser, pkce, username, password));
      expect(await client().exchange(code, newPkce())).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
      const next = codeOf(await browser.get(client().authorizationUrl(pkce)));
      expect(await client().exchange(next, pkce)).toMatchObject({ status: 200 });
      expect(await client().exchange(next, pkce)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    });

    it('sends nobody to an address that is not registered', async () => {
      for (const redirect_uri of ['https://evil.example/', `${underTest().redirectUri}.evil.example`, 'javascript:alert(1)']) {
        const page = await new Browser().get(client().authorizationUrl(newPkce(), { redirect_uri }));
        expect([page.status, new URL(page.url).origin]).toEqual([400, new URL(underTest().issuer).origin]);
      }
      const unknown = await new Browser().get(client().authorizationUrl(newPkce(), { client_id: 'nobody' }));
      expect([400, 401]).toContain(unknown.status);
    });

    it('tells a wrong password and an unknown name alike, and takes the right one after', async () => {
      const { username } = await aUser();
      const browser = new Browser();
      const pkce = newPkce();
      const wrong = await client().enter(browser, pkce, username, 'wrong');
      const unknown = await client().enter(new Browser(), newPkce(), aName(), 'wrong');
      expect([wrong.status, unknown.status]).toEqual([wrong.status, wrong.status]);
      expect(new URL(wrong.url).origin).toBe(new URL(underTest().issuer).origin);
      codeOf(await browser.submit(wrong, { username, password }));
    });

    it('is locked after repeated failures, and then not even the right password helps', async () => {
      const { username } = await aUser();
      for (let failures = 0; failures < 6; failures++)
        expect((await client().password(username, 'guess')).body.error).toBe('invalid_grant');
      expect((await client().password(username, password)).body.error).toBe('invalid_grant');
      const page = await client().enter(new Browser(), newPkce(), username, password);
      expect(page.status).not.toBe(302);
    });

    it('of a disabled user fails, and her sessions have ended', async () => {
      const { userId, username } = await aUser();
      const browser = new Browser();
      const { body } = await client().logIn(browser, username, password);
      await admin().setEnabled(userId, false);
      expect(await client().refresh(body.refresh_token)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
      expect((await browser.get(client().authorizationUrl(newPkce()))).status).toBe(200);
      expect((await client().enter(new Browser(), newPkce(), username, password)).status).not.toBe(302);
      expect((await client().password(username, password)).status).toBeGreaterThanOrEqual(400);
      await admin().setEnabled(userId, true);
      expect((await client().logIn(new Browser(), username, password)).status).toBe(200);
    });

    it('with a temporary password goes on only after it was changed', async () => {
      const { username } = await aUser({ temporary: true });
      expect((await client().password(username, password)).body.error).toBe('invalid_grant');
      const browser = new Browser();
      const pkce = newPkce();
      const asked = await client().enter(browser, pkce, username, password);
      const differ = await browser.submit(asked, { 'password-new': 'another horse 8', 'password-confirm': 'another horse 9' });
      expect(differ.status).not.toBe(302);
      const done = await browser.submit(differ, { 'password-new': 'another horse 8', 'password-confirm': 'another horse 8' });
      expect((await client().exchange(codeOf(done), pkce)).status).toBe(200);
      expect((await client().password(username, password)).status).toBeGreaterThanOrEqual(400);
      expect((await client().password(username, 'another horse 8')).status).toBe(200);
    });
  });

  describe('programs', () => {
    it('get tokens for name and password with their own client only', async () => {
      const { username } = await aUser();
      const { body } = await client().password(username, password);
      expect(await underTest().verifier.verify(body.access_token ?? '')).toMatchObject({ username });
      expect((await client().refresh(body.refresh_token, oidcClients.cli)).status).toBe(200);
      // RFC 6749 has a code for this; not every provider uses it.
      expect((await client().password(username, password, oidcClients.console)).body.error).toMatch(
        /^(unauthorized_client|invalid_request)$/,
      );
      expect((await client().password(username, 'wrong')).body.error).toBe('invalid_grant');
    });
  });

  describe('sessions', () => {
    it('give a new refresh token at every use; the use of an old one ends the session', async () => {
      const { username } = await aUser();
      const first = await client().logIn(new Browser(), username, password);
      // Keycloak knows the age of a token in whole seconds.
      await sleep(1100);
      const second = await client().refresh(first.body.refresh_token);
      expect(second.body.refresh_token).not.toBe(first.body.refresh_token);
      const third = await client().refresh(second.body.refresh_token);
      expect(third.status).toBe(200);
      expect(await client().refresh(first.body.refresh_token)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
      expect(await client().refresh(third.body.refresh_token)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    });

    it('have new roles after the next refresh', async () => {
      const { userId, username } = await aUser({ roles: ['operator', 'viewer'] });
      const { body } = await client().logIn(new Browser(), username, password);
      await admin().setRoles(userId, ['auditor', 'viewer']);
      const { roles } = await underTest().verifier.verify((await client().refresh(body.refresh_token)).body.access_token ?? '');
      expect(roles).toEqual(expect.arrayContaining(['auditor', 'viewer']));
      expect(roles).not.toContain('operator');
    });

    it('end everywhere', async () => {
      const { userId, username } = await aUser();
      const browsers = [new Browser(), new Browser()];
      const tokens: TokenAnswer[] = [];
      // One after the other: Keycloak refuses a user who logs in twice at the same moment.
      for (const browser of browsers) tokens.push(await client().logIn(browser, username, password));
      const program = await client().password(username, password);
      await admin().endSessions(userId);
      for (const { body } of tokens) expect((await client().refresh(body.refresh_token)).body.error).toBe('invalid_grant');
      expect((await client().refresh(program.body.refresh_token, oidcClients.cli)).body.error).toBe('invalid_grant');
      for (const browser of browsers) expect((await browser.get(client().authorizationUrl(newPkce()))).status).toBe(200);
    });

    it('end with a new password', async () => {
      const { userId, username } = await aUser();
      const { body } = await client().logIn(new Browser(), username, password);
      await admin().setPassword(userId, 'another horse 8', { temporary: false });
      await admin().endSessions(userId);
      expect((await client().refresh(body.refresh_token)).body.error).toBe('invalid_grant');
      expect((await client().logIn(new Browser(), username, 'another horse 8')).status).toBe(200);
    });

    it('end by logging out, which goes back to registered addresses only', async () => {
      const { username } = await aUser();
      const browser = new Browser();
      const { body } = await client().logIn(browser, username, password);
      const leave = (to: string) =>
        `${client().endpoint('logout')}?${new URLSearchParams({ id_token_hint: body.id_token ?? '', post_logout_redirect_uri: to, client_id: oidcClients.console })}`;
      expect((await browser.get(leave('https://evil.example/'))).status).toBe(400);
      expect((await client().refresh(body.refresh_token)).status).toBe(200);
      let page = await browser.get(leave(underTest().redirectUri));
      // A provider may ask whether this is meant.
      if (page.status !== 302) page = await browser.submit(page, {});
      expect(page.url.startsWith(underTest().redirectUri)).toBe(true);
      expect((await client().refresh(body.refresh_token)).body.error).toBe('invalid_grant');
      expect((await browser.get(client().authorizationUrl(newPkce()))).status).toBe(200);
    });
  });

  describe('a second factor', () => {
    it('that is required is enrolled at log-in, asked for ever after, and each code works once', async () => {
      const { userId, username } = await aUser({ secondFactorRequired: true });
      expect(await admin().findUser({ userId })).toMatchObject({ secondFactor: 'required' });
      const browser = new Browser();
      const pkce = newPkce();
      const page = await client().enter(browser, pkce, username, password);
      const secret = totpSecretOf(page);
      const again = await browser.submit(page, { totp: '000000' });
      expect(again.status).not.toBe(302);
      codeOf(await enrol(browser, again, totpSecretOf(again)));
      expect(await admin().findUser({ userId })).toMatchObject({ secondFactor: 'on' });
      // Without the second factor, the password alone is not enough for programs either.
      expect((await client().password(username, password)).status).toBeGreaterThanOrEqual(400);

      const other = new Browser();
      const asked = await client().enter(other, newPkce(), username, password);
      const wrong = await other.submit(asked, { otp: '000000' });
      expect(wrong.status).not.toBe(302);
      // Half a step ahead is within every provider's tolerance, and newer than the code of the enrolment.
      const next = totpCode(secret.equals(totpSecretOf(again)) ? secret : totpSecretOf(again), Date.now() + 30_000);
      codeOf(await other.submit(wrong, { otp: next }));
      const thief = new Browser();
      expect((await thief.submit(await client().enter(thief, newPkce(), username, password), { otp: next })).status).not.toBe(302);
    });

    it('can be taken away by an administrator', async () => {
      const { userId, username } = await aUser({ secondFactorRequired: true });
      const browser = new Browser();
      const page = await client().enter(browser, newPkce(), username, password);
      codeOf(await enrol(browser, page, totpSecretOf(page)));
      await admin().requireSecondFactor(userId, false);
      await admin().resetSecondFactor(userId);
      expect(await admin().findUser({ userId })).toMatchObject({ secondFactor: 'off' });
      expect((await client().logIn(new Browser(), username, password)).status).toBe(200);
    });
  });
}
