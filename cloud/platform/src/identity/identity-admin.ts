import type { Page } from '@stardipper/proto';
import { defineErrors } from '../errors/app-error';
import type { Tx } from '../postgres/database';

export { isUsername } from '@stardipper/proto';

/** Clients every realm of Star has: the console (public, code with PKCE), and programs (public, password grant). */
export const oidcClients = { console: 'star-console', cli: 'star-cli' } as const;
/** What `aud` of an access token names. */
export const tokenAudience = 'star';

export interface User {
  readonly userId: string;
  readonly tenantId: string;
  /** As it was typed when the user was made; compared without regard to case. */
  readonly username: string;
  readonly displayName: string;
  readonly email: string | null;
  readonly roles: readonly string[];
  readonly enabled: boolean;
  /** The password must be changed at the next log-in. */
  readonly temporaryPassword: boolean;
  /** `required`: enrolled at the next log-in. */
  readonly secondFactor: 'off' | 'required' | 'on';
  readonly createdAt: Date;
}

export interface NewUser {
  readonly tenantId: string;
  /** As `isUsername` has it; unique across all tenants, because a log-in names no tenant. */
  readonly username: string;
  readonly displayName: string;
  readonly email?: string;
  readonly roles: readonly string[];
  /** Without one nobody can log in until `setPassword`. */
  readonly password?: string;
  readonly temporary?: boolean;
  /** A second factor must be enrolled at the first log-in. */
  readonly secondFactorRequired?: boolean;
}

export const identityErrors = defineErrors({
  'user.username_taken': 'conflict',
  'user.username_invalid': 'invalid',
  'user.not_found': 'not_found',
  /** Shorter than `atLeast`, or longer than `atMost`. */
  'user.password_refused': 'invalid',
  'user.cursor_invalid': 'invalid',
  'identity.unavailable': 'unavailable',
});

/**
 * Who can log in. Users belong to one tenant each; the caller has checked whose a user is, or passes `within`.
 *
 * `within` is a transaction of Star's database. An adapter that keeps its users there works in it, so that the change
 * and what is told of it (audit, events) are one, and sees only the transaction's tenant; an adapter to another
 * program ignores it, so make the call the last thing of the transaction. Every method may be called again after a
 * crash. Of an unknown user all throw `user.not_found`, apart from `findUser` (undefined) and `deleteUser` (nothing).
 * Throws `identity.unavailable` (may be retried) when the provider cannot be reached.
 */
export interface IdentityAdmin {
  /**
   * Again with the same tenant and name answers the user that is there, unchanged. Throws `user.username_taken` when
   * the name is another tenant's, `user.username_invalid`, `user.password_refused`.
   */
  createUser(user: NewUser, within?: Tx): Promise<{ readonly userId: string; readonly created: boolean }>;
  findUser(by: { readonly userId: string } | { readonly username: string }, within?: Tx): Promise<User | undefined>;
  /** By name. Throws `user.cursor_invalid`. */
  listUsers(tenantId: string, page: { readonly cursor?: string; readonly limit: number }, within?: Tx): Promise<Page<User>>;
  setProfile(userId: string, profile: { readonly displayName: string; readonly email?: string | null }, within?: Tx): Promise<void>;
  /** In the next access token, which is at most five minutes away; EndTokens takes the present ones back. */
  setRoles(userId: string, roles: readonly string[], within?: Tx): Promise<void>;
  /** A disabled user cannot log in and has no sessions any more. */
  setEnabled(userId: string, enabled: boolean, within?: Tx): Promise<void>;
  /** Ends all sessions and any lock-out. Throws `user.password_refused`. */
  setPassword(userId: string, password: string, options: { readonly temporary: boolean }, within?: Tx): Promise<void>;
  /** Whether a second factor must be enrolled at the next log-in; one that is enrolled stays. */
  requireSecondFactor(userId: string, required: boolean, within?: Tx): Promise<void>;
  /** Forgets authenticator and recovery codes, and ends all sessions; where one is required it is enrolled anew. */
  resetSecondFactor(userId: string, within?: Tx): Promise<void>;
  /** Everywhere: no refresh token works any more, and every browser asks for the password. Access tokens run out in five minutes, or by EndTokens. */
  endSessions(userId: string, within?: Tx): Promise<void>;
  deleteUser(userId: string, within?: Tx): Promise<void>;
}
