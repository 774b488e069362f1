import { type Permission, permissionsOf } from '@stardipper/proto';
import { defineErrors } from '../errors/app-error';

export interface Caller {
  readonly tenantId: string;
  readonly userId: string;
  readonly username: string;
  readonly roles: readonly string[];
  /** Of an API key: exactly these, and nothing by a role. `userId` is then the key's. */
  readonly permissions?: readonly Permission[];
  /** Of an API key: the name of who made it, who is the same person to whatever wants a second one. */
  readonly keyMadeBy?: string;
}

export const holds = (caller: Caller, permission: Permission): boolean =>
  caller.permissions ? caller.permissions.includes(permission) : permissionsOf(caller.roles).has(permission);

/** Checks a bearer token or an API key; throws AppError `auth.token_invalid` or `auth.token_expired` (unauthenticated). */
export interface TokenVerifier {
  verify(token: string): Promise<Caller>;
}

export const authErrors = defineErrors({
  'auth.token_missing': 'unauthenticated',
  'auth.token_invalid': 'unauthenticated',
  'auth.token_expired': 'unauthenticated',
  'auth.forbidden': 'forbidden',
  'auth.unavailable': 'unavailable',
  /** The caller's tenant is not in use: disabled, or about to be deleted. */
  'auth.tenant_disabled': 'forbidden',
  /** The caller's tenant may not use this at all. */
  'auth.feature_off': 'forbidden',
});

/** What every API key begins with; no token of ours does, being base64 of a JSON object. */
export const apiKeyPrefix = 'sdk_';

/** Takes tokens and API keys, each to its own verifier. */
export const withApiKeys = (tokens: TokenVerifier, keys: TokenVerifier): TokenVerifier => ({
  verify: (credential) => (credential.startsWith(apiKeyPrefix) ? keys : tokens).verify(credential),
});
