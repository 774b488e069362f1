import { randomInt } from 'node:crypto';
import { type AuditEntry, type Caller, identityErrors, type Tx, type User, who } from '@star/platform';
import type { ChangeUser, CreatedUser, CreateUser, Page, User as ShownUser } from '@stardipper/proto';
import { recordAudit } from '../audit';
import type { TenantsDeps } from '../deps';
import { checkAdminLeft, checkReach } from './user-rules';

/**
 * A tenant's users, for whoever administers them. Each change and its line in the audit log are one transaction; the
 * identity provider is asked last in it, so that with a provider elsewhere nothing happens unrecorded. What takes
 * something from a user ends the access tokens that say otherwise. All throw `user.not_found`, for another tenant's users
 * too, `user.role_above_yours`, `user.last_admin`, and what IdentityAdmin throws.
 */
export const manageUsers = (deps: TenantsDeps) => {
  const { identity } = deps;
  const find = async (caller: Caller, userId: string, tx?: Tx): Promise<User> => {
    const user = await identity.findUser({ userId }, tx);
    if (user?.tenantId !== caller.tenantId) throw identityErrors.error('user.not_found');
    return user;
  };
  /** Does `work` to a user the caller may change. */
  const change = <T>(
    caller: Caller,
    userId: string,
    action: string,
    work: (user: User, tx: Tx, tell: (what: Pick<AuditEntry, 'before' | 'after'>) => Promise<void>) => Promise<T>,
  ): Promise<T> =>
    deps.database.tenant(caller.tenantId, async (tx) => {
      const user = await find(caller, userId, tx);
      checkReach(caller, user.roles);
      const tell = (what: Pick<AuditEntry, 'before' | 'after'>) =>
        recordAudit(tx, { ...who(caller), action, subject: userId, details: { username: user.username }, ...what });
      return work(user, tx, tell);
    });

  /** The same, and nothing that she was let do by her tokens until now goes on. */
  const changeEndingTokens = async <T>(...[caller, userId, action, work]: Parameters<typeof change<T>>): Promise<T> => {
    const done = await change(caller, userId, action, async (user, tx, tell) => {
      const worked = await work(user, tx, tell);
      // After the provider: what one elsewhere issued until it knew is ended, too.
      await deps.endTokens.within(tx, caller.tenantId, userId);
      return worked;
    });
    await deps.endTokens.announce(caller.tenantId, userId);
    return done;
  };

  return {
    readUsers: async (caller: Caller, query: { readonly cursor?: string; readonly limit: number }): Promise<Page<ShownUser>> => {
      const page = await deps.database.tenant(caller.tenantId, (tx) => identity.listUsers(caller.tenantId, query, tx));
      return { items: page.items.map(shown), nextCursor: page.nextCursor };
    },
    readUser: async (caller: Caller, userId: string): Promise<ShownUser> => shown(await find(caller, userId)),
    /** With a temporary password, told only now. Throws `user.username_taken` even when the tenant's own user has the name. */
    createUser: async (caller: Caller, input: CreateUser): Promise<CreatedUser> => {
      checkReach(caller, input.roles);
      const password = newTemporaryPassword();
      return deps.database.tenant(caller.tenantId, async (tx) => {
        const details = { username: input.username, roles: input.roles };
        const { userId, created } = await identity.createUser({ tenantId: caller.tenantId, ...input, password, temporary: true }, tx);
        if (!created) throw identityErrors.error('user.username_taken', { username: input.username });
        await recordAudit(tx, { ...who(caller), action: 'user.created', subject: userId, details });
        return { ...shown(await find(caller, userId, tx)), password };
      });
    },
    changeUser: async (caller: Caller, userId: string, input: ChangeUser): Promise<ShownUser> => {
      let ends = false;
      const changed = await change(caller, userId, 'user.changed', async (user, tx, tell) => {
        if (input.roles) checkReach(caller, input.roles);
        await checkAdminLeft(tx, identity, user, { roles: input.roles ?? user.roles, enabled: input.enabled ?? user.enabled });
        const { displayName, email, roles, enabled } = user;
        ends = (input.enabled === false && enabled) || (input.roles !== undefined && !sameRoles(input.roles, roles));
        await tell({ before: { displayName, email, roles, enabled }, after: input });
        if (input.displayName !== undefined || input.email !== undefined) {
          const profile = { displayName: input.displayName ?? displayName, ...(input.email === undefined ? {} : { email: input.email }) };
          await identity.setProfile(userId, profile, tx);
        }
        if (input.roles) await identity.setRoles(userId, input.roles, tx);
        if (input.enabled !== undefined && input.enabled !== enabled) await identity.setEnabled(userId, input.enabled, tx);
        if (input.secondFactorRequired !== undefined) await identity.requireSecondFactor(userId, input.secondFactorRequired, tx);
        if (ends) await deps.endTokens.within(tx, caller.tenantId, userId);
        return shown(await find(caller, userId, tx));
      });
      if (ends) await deps.endTokens.announce(caller.tenantId, userId);
      return changed;
    },
    /** A new temporary password, told only now; ends the user's sessions and any lock-out. */
    resetPassword: (caller: Caller, userId: string): Promise<{ password: string }> =>
      changeEndingTokens(caller, userId, 'user.password_reset', async (_user, tx, tell) => {
        const password = newTemporaryPassword();
        await tell({});
        await identity.setPassword(userId, password, { temporary: true }, tx);
        return { password };
      }),
    resetSecondFactor: (caller: Caller, userId: string): Promise<void> =>
      changeEndingTokens(caller, userId, 'user.second_factor_reset', async (_user, tx, tell) => {
        await tell({});
        await identity.resetSecondFactor(userId, tx);
      }),
    endSessions: (caller: Caller, userId: string): Promise<void> =>
      changeEndingTokens(caller, userId, 'user.sessions_ended', async (_user, tx, tell) => {
        await tell({});
        await identity.endSessions(userId, tx);
      }),
    /** The caller's own, everywhere. */
    endOwnSessions: async (caller: Caller): Promise<void> => {
      await deps.database.tenant(caller.tenantId, async (tx) => {
        await recordAudit(tx, { ...who(caller), action: 'user.sessions_ended', subject: caller.userId });
        await identity.endSessions(caller.userId, tx);
        await deps.endTokens.within(tx, caller.tenantId, caller.userId);
      });
      await deps.endTokens.announce(caller.tenantId, caller.userId);
    },
    deleteUser: (caller: Caller, userId: string): Promise<void> =>
      changeEndingTokens(caller, userId, 'user.deleted', async (user, tx, tell) => {
        await checkAdminLeft(tx, identity, user, undefined);
        await tell({ before: { roles: user.roles } });
        await identity.deleteUser(userId, tx);
      }),
  };
};

const sameRoles = (one: readonly string[], other: readonly string[]) =>
  one.every((role) => other.includes(role)) && other.every((role) => one.includes(role));

/** Letters that are not mistaken for each other when read out; 75 bits. */
const letters = 'abcdefghijkmnpqrstuvwxyz23456789';
const newTemporaryPassword = (): string =>
  Array.from({ length: 3 }, () => Array.from({ length: 5 }, () => letters[randomInt(letters.length)]).join('')).join('-');

const shown = ({ userId, username, displayName, email, roles, enabled, temporaryPassword, secondFactor, createdAt }: User): ShownUser => ({
  id: userId,
  username,
  displayName,
  email,
  roles: [...roles],
  enabled,
  temporaryPassword,
  secondFactor,
  createdAt: createdAt.toISOString(),
});
