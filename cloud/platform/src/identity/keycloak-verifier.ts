import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { AppError } from '../errors/app-error';
import { issuedToken, maxTokenLength } from './claims';
import { authErrors, type TokenVerifier } from './identity';

import KeycloakConnect = require('keycloak-connect');

import { z } from 'zod';
import { tokenAudience } from './identity-admin';
import type { IssuedToken, IsTokenGood } from './token-ends';

export interface KeycloakRealm {
  /** Without a slash at the end: `https://id.example.org`, or with the path that Keycloak was given. */
  readonly url: string;
  readonly realm: string;
}

const fetchTimeoutMs = 5000;
/** A made-up key id must not become a request to the realm each time. */
const askAgainMs = 5000;
const maxKeys = 32;

const certs = z.object({
  keys: z.array(z.looseObject({ kid: z.string(), kty: z.string(), use: z.string().optional(), alg: z.string().optional() })).max(200),
});
const header = z.object({ kid: z.string().max(128) });
/**
 * Checks a realm's access tokens with keycloak-connect: signature (RS256), issuer, audience `star`, type, expiry. The
 * keys are fetched here and handed to it one by one: its own fetching has no timeout, and an answer that is not JSON
 * ends the process. Throws `auth.unavailable` when a token's key cannot be had. What `isGood` is told of has passed all that.
 */
export function createKeycloakVerifier({ url, realm }: KeycloakRealm, isGood?: IsTokenGood): TokenVerifier {
  let managers = new Map<string, KeycloakConnect.GrantManager>();
  let asking: Promise<void> | undefined;
  let askedAt = Number.NEGATIVE_INFINITY;
  const manager = async (kid: string) => {
    const known = managers.get(kid);
    if (known) return known;
    if (asking === undefined && performance.now() - askedAt >= askAgainMs) {
      asking = fetchKeys(url, realm)
        .then((keys) => {
          managers = new Map([...keys].map(([each, publicKey]) => [each, managerWith(url, realm, publicKey)]));
          askedAt = performance.now();
        })
        .finally(() => {
          asking = undefined;
        });
    }
    await asking;
    return managers.get(kid);
  };
  return {
    verify: async (token) => {
      if (token.length > maxTokenLength) throw authErrors.error('auth.token_invalid');
      const grants = await manager(keyIdOf(token));
      if (!grants) throw authErrors.error('auth.token_invalid');
      const grant = await grants.createGrant({ access_token: token as unknown as KeycloakConnect.Token }).catch((error: unknown) => {
        throw authErrors.error(/\(expired\)/.test(String(error)) ? 'auth.token_expired' : 'auth.token_invalid', {}, error);
      });
      const issued = issuedOf((grant.access_token as unknown as { content: unknown }).content);
      if (isGood && !(await isGood(issued))) throw authErrors.error('auth.token_expired');
      return issued.caller;
    },
  };
}

function keyIdOf(token: string): string {
  try {
    return header.parse(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())).kid;
  } catch (error) {
    throw authErrors.error('auth.token_invalid', {}, error);
  }
}

function issuedOf(content: unknown): IssuedToken {
  try {
    return issuedToken(content);
  } catch (error) {
    throw authErrors.error('auth.token_invalid', {}, error);
  }
}

const managerWith = (url: string, realm: string, publicKey: string): KeycloakConnect.GrantManager => {
  const config = {
    realm,
    'auth-server-url': url,
    resource: tokenAudience,
    'bearer-only': true,
    'verify-token-audience': true,
    'realm-public-key': publicKey,
  };
  return new KeycloakConnect({}, config as unknown as KeycloakConnect.KeycloakConfig).grantManager;
};

/** The realm's signing keys by id, as base64 of their SubjectPublicKeyInfo. */
async function fetchKeys(url: string, realm: string): Promise<Map<string, string>> {
  try {
    const answer = await fetch(`${url}/realms/${encodeURIComponent(realm)}/protocol/openid-connect/certs`, {
      signal: AbortSignal.timeout(fetchTimeoutMs),
    });
    if (!answer.ok) throw new Error(`the realm's keys: HTTP ${answer.status}`);
    const { keys } = certs.parse(await answer.json());
    const signing = keys.filter(({ kty, use, alg }) => kty === 'RSA' && (use ?? 'sig') === 'sig' && (alg ?? 'RS256') === 'RS256');
    return new Map(
      signing.slice(0, maxKeys).map((key) => [
        key.kid,
        createPublicKey({ key: key as JsonWebKey, format: 'jwk' })
          .export({ type: 'spki', format: 'der' })
          .toString('base64'),
      ]),
    );
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw authErrors.error('auth.unavailable', {}, error);
  }
}
