import type { KoaContextWithOIDC, Provider } from 'oidc-provider';
import { errors } from 'oidc-provider';
import { auditLogIn, checkPassword, forgetTries } from './check-password';
import type { IdentityDeps } from './deps';
import { apiResource, apiScope, resourceServer } from './realm';

/**
 * A token for name and password without a browser (RFC 6749, 4.3; Keycloak's direct access grant), for scripts. Not for
 * who has a second factor, nor with a temporary password: both need the pages. Every refusal reads the same.
 */
export function registerPasswordGrant(provider: Provider, deps: IdentityDeps): void {
  const handler = async (ctx: KoaContextWithOIDC) => {
    const { client, params } = ctx.oidc;
    const { username, password } = params ?? {};
    if (!client || typeof username !== 'string' || typeof password !== 'string' || username.length > 128 || password.length > 256)
      throw new errors.InvalidRequest('username and password are needed');
    const user = await checkPassword(deps, { username, password });
    if ('why' in user) throw new errors.InvalidGrant('invalid user credentials');
    if (user.enrolled || user.second_factor_required || user.temporary_password)
      throw new errors.InvalidGrant('account is not fully set up');
    await forgetTries(deps, user.username);
    const accountId = user.id;
    const grant = new provider.Grant({ clientId: client.clientId, accountId });
    grant.addOIDCScope(apiScope);
    grant.addResourceScope(apiResource, apiScope);
    const grantId = await grant.save();
    const gty = 'password';
    ctx.oidc.entity('Grant', grant);
    const access = new provider.AccessToken({ accountId, client, grantId, gty, scope: apiScope });
    access.resourceServer = new provider.ResourceServer(apiResource, { ...resourceServer });
    const refresh = new provider.RefreshToken({
      accountId,
      client,
      grantId,
      gty,
      scope: apiScope,
      resource: apiResource,
      expiresWithSession: false,
      authTime: Math.floor(deps.now().getTime() / 1000),
      rotations: 0,
    });
    ctx.oidc.entity('AccessToken', access);
    ctx.oidc.entity('RefreshToken', refresh);
    ctx.body = {
      access_token: await access.save(),
      refresh_token: await refresh.save(),
      expires_in: access.expiration,
      token_type: 'Bearer',
      scope: access.scope,
    };
    await auditLogIn(deps, user, 'session.opened', { client: client.clientId });
  };
  provider.registerGrantType('password', handler, ['username', 'password', 'scope'], []);
}
