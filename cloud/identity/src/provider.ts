import { createHmac } from 'node:crypto';
import { oidcClients, publicPart } from '@star/platform';
import { type Configuration, errors, type KoaContextWithOIDC, Provider } from 'oidc-provider';
import { accessClaims, profileClaims } from './claims';
import type { IdentityDeps } from './deps';
import { createOidcAdapter } from './oidc-adapter';
import { realmPages } from './pages/realm-pages';
import { registerPasswordGrant } from './password-grant';
import { accessTokenTtlS, activeUser, apiResource, apiScope, resourceServer, sessionTtlS } from './realm';

const interactionTtlS = 900;

/** oidc-provider with a Keycloak realm's addresses, claims and clients; everything it remembers is in PostgreSQL. */
export function createProvider(deps: IdentityDeps): Provider {
  const provider = new Provider(deps.issuer, configuration(deps));
  // What stands in front tells the protocol by a header; `mount.ts` lets nobody else's through.
  provider.proxy = true;
  registerPasswordGrant(provider, deps);
  provider.on('server_error', (_ctx: KoaContextWithOIDC, error: Error) => deps.onError(error));
  return provider;
}

function configuration(deps: IdentityDeps): Configuration {
  const realm = '/protocol/openid-connect';
  const secure = deps.issuer.startsWith('https:');
  const cookie = { httpOnly: true, sameSite: 'lax', secure, signed: true, overwrite: true, path: new URL(deps.issuer).pathname } as const;
  const pages = realmPages(deps);
  return {
    adapter: createOidcAdapter(deps),
    clients: [
      {
        client_id: oidcClients.console,
        application_type: 'web',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: [...deps.redirectUris],
        post_logout_redirect_uris: [...deps.redirectUris],
      },
      {
        client_id: oidcClients.cli,
        application_type: 'web',
        token_endpoint_auth_method: 'none',
        grant_types: ['password', 'refresh_token'],
        response_types: [],
        redirect_uris: [],
      },
    ],
    // A loopback address without TLS is what a demo has; what is registered is compared whole all the same.
    clientBasedCORS: (_ctx, origin) => deps.redirectUris.some((uri) => new URL(uri).origin === origin),
    jwks: { keys: [{ ...publicPart(deps.signingKey), d: deps.signingKey.d }] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    cookies: {
      keys: [createHmac('sha256', deps.secret).update('cookies').digest('base64url')],
      names: { session: 'star_session', interaction: 'star_log_in', resume: 'star_resume' },
      long: cookie,
      short: cookie,
    },
    routes: {
      authorization: `${realm}/auth`,
      token: `${realm}/token`,
      jwks: `${realm}/certs`,
      revocation: `${realm}/revoke`,
      end_session: `${realm}/logout`,
    },
    features: {
      devInteractions: { enabled: false },
      // Nobody's way in, and what strangers push or prove there would be kept.
      pushedAuthorizationRequests: { enabled: false },
      dPoP: { enabled: false },
      // Ours: the provider's own takes no token that is meant for an API.
      userinfo: { enabled: false },
      revocation: { enabled: true },
      rpInitiatedLogout: { enabled: true, logoutSource: pages.logOut, postLogoutSuccessSource: pages.loggedOut },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => apiResource,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => {
          if (resource !== apiResource) throw new errors.InvalidTarget();
          return resourceServer;
        },
      },
    },
    discovery: { userinfo_endpoint: `${deps.issuer}${realm}/userinfo` },
    responseTypes: ['code'],
    scopes: ['openid', 'profile', 'email'],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => true,
    ttl: {
      AccessToken: accessTokenTtlS,
      AuthorizationCode: 60,
      Grant: sessionTtlS,
      IdToken: sessionTtlS,
      Interaction: interactionTtlS,
      RefreshToken: sessionTtlS,
      // Kept again whenever its browser comes by, which makes it no longer.
      Session: (_ctx, { loginTs }) =>
        loginTs === undefined ? sessionTtlS : Math.max(1, Math.floor(loginTs + sessionTtlS - deps.now().getTime() / 1000)),
    },
    interactions: { url: (_ctx, interaction) => `${new URL(deps.issuer).pathname}/log-in/${interaction.uid}` },
    renderError: pages.failed,
    findAccount: async (_ctx, id) => {
      const user = await activeUser(deps, id);
      return user && { accountId: user.id, claims: () => profileClaims(user) };
    },
    extraTokenClaims: async (_ctx, token) => {
      const user = 'accountId' in token && token.accountId ? await activeUser(deps, token.accountId) : undefined;
      if (!user) throw new errors.InvalidGrant('no such user');
      return accessClaims(user, token.clientId ?? '');
    },
    // Our own clients only: there is nothing to consent to.
    loadExistingGrant: async (ctx) => {
      const { client, session, provider } = ctx.oidc;
      if (!client || !session?.accountId) return undefined;
      const known = session.grantIdFor(client.clientId);
      const kept = known ? await provider.Grant.find(known) : undefined;
      if (kept?.accountId === session.accountId) return kept;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope(apiScope);
      grant.addResourceScope(apiResource, apiScope);
      await grant.save();
      return grant;
    },
  };
}
