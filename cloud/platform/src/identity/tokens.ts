import { createLocalJWKSet, createRemoteJWKSet, errors, importJWK, type JSONWebKeySet, jwtVerify, SignJWT } from 'jose';
import { AppError } from '../errors/app-error';
import { issuedToken, maxTokenLength } from './claims';
import { authErrors, type Caller, type TokenVerifier } from './identity';
import { publicPart, type SigningKey } from './signing-key';
import type { IssuedToken, IsTokenGood } from './token-ends';

export interface TokenIssuerOptions {
  /** What `iss` says, as a Keycloak realm's address would. */
  readonly issuer: string;
  readonly audience: string;
  readonly key: SigningKey;
  /** One hour unless told. */
  readonly ttlS?: number;
  readonly nowMs?: () => number;
}

export interface TokenIssuer {
  issue(caller: Caller): Promise<{ token: string; expiresAt: Date }>;
  /** The public keys, to be served as a JWKS. */
  readonly jwks: JSONWebKeySet;
}

/** Signs tokens shaped like Keycloak's, so that the verifier takes either. */
export function createTokenIssuer(options: TokenIssuerOptions): TokenIssuer {
  const nowMs = options.nowMs ?? Date.now;
  return {
    jwks: { keys: [publicPart(options.key)] },
    issue: async (caller) => {
      const issuedAtS = Math.floor(nowMs() / 1000);
      const expiresAtS = issuedAtS + (options.ttlS ?? 3600);
      const claims = {
        preferred_username: caller.username,
        realm_access: { roles: [...caller.roles] },
        tenant_id: caller.tenantId,
        typ: 'Bearer',
      };
      const token = await new SignJWT(claims)
        .setProtectedHeader({ alg: 'ES256', kid: options.key.kid, typ: 'JWT' })
        .setIssuer(options.issuer)
        .setAudience(options.audience)
        .setSubject(caller.userId)
        .setIssuedAt(issuedAtS)
        .setExpirationTime(expiresAtS)
        .sign(await importJWK(options.key, 'ES256'));
      return { token, expiresAt: new Date(expiresAtS * 1000) };
    },
  };
}

export interface TokenVerifierOptions {
  readonly issuer: string;
  readonly audience: string;
  /** Our own issuer's keys, or the address of a realm's (`…/protocol/openid-connect/certs`), fetched and cached. */
  readonly keys: JSONWebKeySet | URL;
  /** Clocks may differ by this; 30 s unless told. */
  readonly clockSkewS?: number;
  readonly nowMs?: () => number;
  /** Asked last; until they run out all are, unless told. */
  readonly isGood?: IsTokenGood;
}

/** `auth.unavailable` (may be retried) when the realm's keys cannot be had; see TokenVerifier for the rest. */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const keys = options.keys instanceof URL ? createRemoteJWKSet(options.keys, { timeoutDuration: 5000 }) : createLocalJWKSet(options.keys);
  const nowMs = options.nowMs ?? Date.now;
  return {
    verify: async (token) => {
      if (token.length > maxTokenLength) throw authErrors.error('auth.token_invalid');
      let issued: IssuedToken;
      try {
        const { payload } = await jwtVerify(token, keys, {
          issuer: options.issuer,
          audience: options.audience,
          // Asymmetric only: with HS256 allowed, a public key could be used as the secret.
          algorithms: ['ES256', 'RS256'],
          clockTolerance: options.clockSkewS ?? 30,
          currentDate: new Date(nowMs()),
          requiredClaims: ['exp', 'iat', 'sub'],
        });
        issued = issuedToken(payload);
      } catch (error) {
        throw refusal(error);
      }
      if (options.isGood && !(await options.isGood(issued))) throw authErrors.error('auth.token_expired');
      return issued.caller;
    },
  };
}

function refusal(error: unknown): AppError {
  if (error instanceof errors.JWTExpired) return authErrors.error('auth.token_expired', {}, error);
  const unreachable = error instanceof errors.JWKSTimeout || (error instanceof TypeError && error.message === 'fetch failed');
  return authErrors.error(unreachable ? 'auth.unavailable' : 'auth.token_invalid', {}, error);
}
