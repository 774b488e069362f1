import { createUserAdmin, endTokens, isTokenGood, registerRealm } from '@star/identity';
import {
  type Cache,
  createKeycloakAdmin,
  createKeycloakVerifier,
  createTokenVerifier,
  type Database,
  type EndTokens,
  type IdentityAdmin,
  type IsTokenGood,
  loadSigningKey,
  publicPart,
  Secret,
  type TokenVerifier,
  tokenAudience,
  withApiKeys,
} from '@star/platform';
import { checkApiKeys, recordAudit } from '@star/tenants';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { lastingSecret, signingKeyPath } from './secrets';
import type { AppSettings } from './settings';

/** Who logs in, and how tokens are checked, for one application process. */
export interface Identity {
  readonly verifier: TokenVerifier;
  readonly admin: IdentityAdmin;
  readonly endTokens: EndTokens;
  /** Adds the provider to the HTTP side of the process that runs tenants. */
  readonly serve: (fastify: FastifyInstance) => Promise<void>;
}

/** The realm's address, as browsers and `iss` of every token have it. */
export const issuerOf = (settings: Pick<AppSettings, 'STAR_PUBLIC_URL' | 'STAR_KEYCLOAK_URL' | 'STAR_KEYCLOAK_REALM'>): string =>
  settings.STAR_KEYCLOAK_URL
    ? `${settings.STAR_KEYCLOAK_URL}/realms/${settings.STAR_KEYCLOAK_REALM}`
    : new URL('/realms/star', settings.STAR_PUBLIC_URL).href;

/** Keycloak where the settings name one. Throws without the secret to look after its users. */
export async function openIdentity(settings: AppSettings, database: Database, cache: Cache, log: Logger): Promise<Identity> {
  const { STAR_KEYCLOAK_URL: url, STAR_KEYCLOAK_REALM: realm, STAR_KEYCLOAK_SECRET: secret } = settings;
  if (url === undefined) return openOwnRealm(settings, database, cache, log);
  if (secret === undefined) throw new Error('STAR_KEYCLOAK_URL needs STAR_KEYCLOAK_SECRET');
  return {
    verifier: await openVerifier(settings, database, cache),
    admin: createKeycloakAdmin({ url, realm, clientId: 'star-admin', clientSecret: new Secret(secret) }),
    endTokens: endTokens({ cache }),
    serve: async () => undefined,
  };
}

/**
 * Tokens by Keycloak's keys or by our own, API keys by the database. Without a cache nobody is asked whether a token was
 * ended: the gateway works on without the database, and the service behind it asks.
 */
export async function openVerifier(settings: AppSettings, database: Database, cache?: Cache): Promise<TokenVerifier> {
  return withApiKeys(
    await openTokens(settings, cache && isTokenGood({ database, cache })),
    checkApiKeys({ database, now: () => new Date() }),
  );
}

async function openTokens(settings: AppSettings, isGood: IsTokenGood | undefined): Promise<TokenVerifier> {
  const { STAR_KEYCLOAK_URL: url, STAR_KEYCLOAK_REALM: realm } = settings;
  if (url !== undefined) return createKeycloakVerifier({ url, realm }, isGood);
  const keys = { keys: [publicPart(await loadSigningKey(signingKeyPath(settings.STAR_DATA)))] };
  return createTokenVerifier({ issuer: issuerOf(settings), audience: tokenAudience, keys, ...(isGood ? { isGood } : {}) });
}

/** The embedded provider: users and sessions in `database`, keys in Star's folder. */
async function openOwnRealm(settings: AppSettings, database: Database, cache: Cache, log: Logger): Promise<Identity> {
  const issuer = issuerOf(settings);
  const signingKey = await loadSigningKey(signingKeyPath(settings.STAR_DATA));
  const secret = await lastingSecret(settings.STAR_DATA, 'identity');
  return {
    verifier: await openVerifier(settings, database, cache),
    admin: createUserAdmin({ database }),
    endTokens: endTokens({ cache }),
    serve: (fastify) =>
      registerRealm(fastify, {
        database,
        audit: recordAudit,
        issuer,
        signingKey,
        endTokens: endTokens({ cache }),
        isTokenGood: isTokenGood({ database, cache }),
        secret,
        redirectUris: consoleAddresses(settings.STAR_PUBLIC_URL),
        now: () => new Date(),
        onError: (error) => log.error({ err: error }, 'the identity provider failed'),
      }),
  };
}

/** Where a log-in may lead back to. One machine is called by two names, and people type either. */
function consoleAddresses(publicUrl: string): string[] {
  const own = new URL('/', publicUrl);
  const names = ['127.0.0.1', 'localhost'];
  if (!names.includes(own.hostname)) return [own.href];
  return [own.href, ...names.filter((name) => name !== own.hostname).map((name) => own.href.replace(own.hostname, name))];
}
