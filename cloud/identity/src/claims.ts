import type { UserRow } from './users.store';

/** The claims of an access token beyond the standard ones, as a Keycloak realm with our mappers writes them. */
export const accessClaims = (user: UserRow, clientId: string) => ({
  typ: 'Bearer',
  azp: clientId,
  tenant_id: user.tenant_id,
  preferred_username: user.username,
  realm_access: { roles: [...user.roles] },
  // Read with the roles in one statement: a token never has the roles from before a change and the mark from after it.
  token_mark: user.token_mark ?? 'first',
});

/** Who a user is, for id tokens and the userinfo endpoint. */
export const profileClaims = (user: UserRow) => ({
  sub: user.id,
  preferred_username: user.username,
  name: user.display_name,
  ...(user.email === null ? {} : { email: user.email }),
});
