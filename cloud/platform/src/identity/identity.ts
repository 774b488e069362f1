import type { Permission } from '@stardipper/proto';
import { defineErrors } from '../errors/app-error';

export interface Caller {
  readonly tenantId: string;
  readonly userId: string;
  readonly username: string;
  readonly roles: readonly string[];
  /** Of an API key: exactly these, and nothing by a role. `userId` is then the key's. */
  readonly permissions?: readonly Permission[];
}

/** Checks a bearer token; throws AppError `auth.token_invalid` or `auth.token_expired` (unauthenticated). */
export interface TokenVerifier {
  verify(token: string): Promise<Caller>;
}

export const authErrors = defineErrors({
  'auth.token_missing': 'unauthenticated',
  'auth.token_invalid': 'unauthenticated',
  'auth.token_expired': 'unauthenticated',
  'auth.forbidden': 'forbidden',
  'auth.unavailable': 'unavailable',
});
