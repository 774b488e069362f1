import { defineErrors } from '../errors/app-error';

export interface Caller {
  readonly tenantId: string;
  readonly userId: string;
  readonly username: string;
  readonly roles: readonly string[];
  /** Set when a program calls with an API key: it may not do what needs a person. */
  readonly apiKeyId?: string;
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
