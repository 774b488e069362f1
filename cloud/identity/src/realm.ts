import { tokenAudience } from '@star/platform';
import type { IdentityDeps } from './deps';
import { findUserById, type UserRow } from './users.store';

/** The API as the provider's resource: one is always meant, and no client needs to name it. */
export const apiResource = 'urn:star:api';
export const apiScope = 'openid profile email';
export const accessTokenTtlS = 300;
/** A working day: then everybody logs in again. */
export const sessionTtlS = 12 * 3600;

export const resourceServer = {
  scope: apiScope,
  audience: tokenAudience,
  accessTokenTTL: accessTokenTtlS,
  accessTokenFormat: 'jwt',
  jwt: { sign: { alg: 'ES256' } },
} as const;

/** An enabled user by id. */
export const activeUser = async (deps: Pick<IdentityDeps, 'database'>, userId: string): Promise<UserRow | undefined> => {
  const user = await deps.database.system('log in', (tx) => findUserById(tx, userId));
  return user?.enabled ? user : undefined;
};
