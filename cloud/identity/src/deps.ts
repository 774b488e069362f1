import type { Audit, Database, EndTokens, IsTokenGood, SigningKey } from '@star/platform';

export interface IdentityDeps {
  readonly database: Database;
  readonly audit: Audit;
  /** How browsers reach the realm: `https://star.example/realms/star`. */
  readonly issuer: string;
  readonly signingKey: SigningKey;
  readonly endTokens: EndTokens;
  readonly isTokenGood: IsTokenGood;
  /** 32 bytes: signs cookies and seals the secrets of authenticators. */
  readonly secret: Buffer;
  /** Where the console's log-in and log-out may lead back to. */
  readonly redirectUris: readonly string[];
  readonly now: () => Date;
  /** Told of what is our own fault; the reader gets a page without reasons. */
  readonly onError: (error: unknown) => void;
}
