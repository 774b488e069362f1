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
