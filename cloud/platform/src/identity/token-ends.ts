import type { Tx } from '../postgres/database';
import type { Caller } from './identity';

/** What a token says of itself, once its signature was right. */
export interface IssuedToken {
  readonly caller: Caller;
  readonly issuedAtS: number;
  /** Of the embedded provider's tokens. */
  readonly mark?: string;
}

/** Whether a token that has not run out is still to be taken; a verifier answers `auth.token_expired` when not. */
export type IsTokenGood = (token: IssuedToken) => Promise<boolean>;

/**
 * Ends the access tokens that a user has: everywhere at once, and where nobody hears of it within 30 s. A refresh gets a
 * new one, if the provider still gives her any.
 */
export interface EndTokens {
  /** In the transaction that changes the user. */
  within(tx: Tx, tenantId: string, userId: string): Promise<void>;
  /** After its commit. */
  announce(tenantId: string, userId: string): Promise<void>;
}
