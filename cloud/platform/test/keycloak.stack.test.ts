import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createKeycloakAdmin, createKeycloakVerifier, type IdentityAdmin, Secret, type TokenVerifier } from '@star/platform';
import { type RunningKeycloak, startKeycloak, whyNoKeycloak } from '../../../tools/stack/keycloak';
import { OidcClient } from '../src/test-kit/oidc-client';
import { identityContract } from './identity.contract';

const consoleUrl = 'http://127.0.0.1:1';
const missing = whyNoKeycloak();
if (missing) console.warn(missing);

/** A real Keycloak with the realm file an installation imports. */
(missing ? describe.skip : describe)('Keycloak', () => {
  let keycloak: RunningKeycloak;
  let admin: IdentityAdmin;
  let verifier: TokenVerifier;

  beforeAll(async () => {
    keycloak = await startKeycloak(consoleUrl);
    const realm = { url: keycloak.url, realm: 'star' };
    admin = createKeycloakAdmin({ ...realm, clientId: 'star-admin', clientSecret: new Secret(keycloak.adminSecret) });
    verifier = createKeycloakVerifier(realm);
  }, 300_000);
  afterAll(() => keycloak?.stop());

  identityContract(() => ({ issuer: `${keycloak.url}/realms/star`, redirectUri: `${consoleUrl}/callback`, admin, verifier }));

  const token = async (username: string) =>
    (await new OidcClient(`${keycloak.url}/realms/star`, `${consoleUrl}/callback`).password(username, 'correct horse 7')).body
      .access_token ?? '';
  const codeOf = (work: Promise<unknown>) =>
    work.then(
      () => 'no problem',
      (error: unknown) => (error as { code?: string }).code,
    );

  it('takes no token that was tampered with, and none of another realm', async () => {
    const tenantId = '11111111-1111-4111-8111-111111111111';
    await admin.createUser({ tenantId, username: 'tamper', displayName: 'T', roles: ['viewer'], password: 'correct horse 7' });
    const good = await token('tamper');
    expect(await verifier.verify(good)).toMatchObject({ tenantId, username: 'tamper' });
    const [head = '', body = '', signature = ''] = good.split('.');
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>;
    const forged = Buffer.from(JSON.stringify({ ...claims, realm_access: { roles: ['tenant-admin'] } })).toString('base64url');
    const header = (fields: object) => Buffer.from(JSON.stringify(fields)).toString('base64url');
    const kid = (JSON.parse(Buffer.from(head, 'base64url').toString()) as { kid: string }).kid;
    const bad = [
      `${head}.${forged}.${signature}`,
      `${header({ alg: 'none', kid })}.${body}.`,
      `${header({ alg: 'HS256', kid })}.${body}.${signature}`,
      `${header({ alg: 'RS256', kid: 'made-up' })}.${body}.${signature}`,
      `${head}.bnVsbA.${signature}`,
      'rubbish',
      '',
      'x'.repeat(10_000),
    ];
    for (const each of bad)
      expect([each.slice(0, 40), await codeOf(verifier.verify(each))]).toEqual([each.slice(0, 40), 'auth.token_invalid']);
    const master = await fetch(`${keycloak.url}/realms/star/protocol/openid-connect/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`star-admin:${keycloak.adminSecret}`).toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    // A token of the realm, but of no tenant and not for Star's services.
    expect(await codeOf(verifier.verify(((await master.json()) as { access_token: string }).access_token))).toBe('auth.token_invalid');
  });
});

describe('a realm that is away or talks nonsense', () => {
  const header = Buffer.from(JSON.stringify({ alg: 'RS256', kid: 'k' })).toString('base64url');
  const code = (work: Promise<unknown>) => work.then(String, (error: unknown) => (error as { code?: string }).code);

  it('makes tokens and users unavailable, not wrong', async () => {
    const server = createServer((request, answer) => {
      if (request.url?.includes('/token')) answer.writeHead(302, { location: '/elsewhere' }).end();
      else answer.writeHead(200, { 'content-type': 'application/json' }).end('<html>');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const admin = createKeycloakAdmin({ url, realm: 'star', clientId: 'star-admin', clientSecret: new Secret('x') });
    expect(await code(createKeycloakVerifier({ url, realm: 'star' }).verify(`${header}.e30.x`))).toBe('auth.unavailable');
    expect(await code(admin.findUser({ userId: 'x' }))).toBe('identity.unavailable');
    await new Promise((resolve) => server.close(resolve));
    expect(await code(createKeycloakVerifier({ url, realm: 'star' }).verify(`${header}.e30.x`))).toBe('auth.unavailable');
    expect(await code(admin.findUser({ userId: 'x' }))).toBe('identity.unavailable');
  });
});
