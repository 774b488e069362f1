import { defineErrors } from '../errors/app-error';

export interface Caller {
  readonly tenantId: string;
  readonly userId: string;
  readonly username: string;
  readonly roles: readonly string[];
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
  /** The caller's tenant is not in use: disabled, or about to be deleted. */
  'auth.tenant_disabled': 'forbidden',
});
