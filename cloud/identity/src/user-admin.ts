import { createHash, randomUUID } from 'node:crypto';
import { type IdentityAdmin, identityErrors, isUsername, type Tx, type User } from '@star/platform';
import type { IdentityDeps } from './deps';
import { endSessionsOf } from './end-sessions';
import { forgetFailures } from './lock-out.store';
import { checkNewPassword, hashPassword } from './password';
import { removeAuthenticator, replaceRecoveryCodes } from './second-factor.store';
import {
  findUserById,
  findUserByName,
  insertUser,
  listUsers,
  removeUser,
  type UserRow,
  updateEnabled,
  updatePassword,
  updateProfile,
  updateRoles,
  updateSecondFactorRequired,
} from './users.store';

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
/** Of every user there is, also from before names were held to more. */
const username = /^[\p{L}\p{N}._@-]{1,64}$/u;

/** Users in the schema `identity`, for the provider of this package. */
export function createUserAdmin(deps: Pick<IdentityDeps, 'database'>): IdentityAdmin {
  const run = <T>(within: Tx | undefined, work: (tx: Tx) => Promise<T>): Promise<T> =>
    within ? work(within) : deps.database.system('look after users', work);
  /** Does `work` to a user; what touches no row was asked of nobody. */
  const change = (userId: string, within: Tx | undefined, work: (tx: Tx) => Promise<number>): Promise<void> =>
    run(within, async (tx) => {
      if (!uuid.test(userId) || (await work(tx)) === 0) throw identityErrors.error('user.not_found');
    });
  return {
    createUser: async (user, within) => {
      if (!isUsername(user.username)) throw identityErrors.error('user.username_invalid');
      if (user.password !== undefined) checkNewPassword(user.password);
      const known = async (tx: Tx) => {
        const found = await findUserByName(tx, user.username);
        return found?.tenant_id === user.tenantId ? { userId: found.id, created: false } : undefined;
      };
      // Asked first because hashing is dear; asked again below because somebody may be faster.
      const before = await run(within, known);
      if (before) return before;
      const passwordHash = user.password === undefined ? null : await hashPassword(user.password);
      const id = randomUUID();
      return run(within, async (tx) => {
        const made = await insertUser(tx, {
          tenantId: user.tenantId,
          id,
          username: user.username,
          displayName: user.displayName,
          email: user.email ?? null,
          roles: [...new Set(user.roles)],
          passwordHash,
          temporary: user.temporary ?? false,
          secondFactorRequired: user.secondFactorRequired ?? false,
        });
        if (made === 1) return { userId: id, created: true };
        const faster = await known(tx);
        if (!faster) throw identityErrors.error('user.username_taken', { username: user.username });
        return faster;
      });
    },
    findUser: (by, within) =>
      run(within, async (tx) => {
        if ('username' in by) return shown(await findUserByName(tx, by.username));
        return uuid.test(by.userId) ? shown(await findUserById(tx, by.userId)) : undefined;
      }),
    listUsers: async (tenantId, page, within) => {
      const after = page.cursor === undefined ? '' : positionOf(page.cursor);
      const rows = await run(within, (tx) => listUsers(tx, tenantId, after, page.limit + 1));
      const items = rows.slice(0, page.limit).map((row) => shown(row) as User);
      const last = items.at(-1);
      return { items, nextCursor: rows.length > items.length && last ? cursorOf(last.username) : null };
    },
    setProfile: (userId, profile, within) => change(userId, within, (tx) => updateProfile(tx, userId, profile.displayName, profile.email)),
    setRoles: (userId, roles, within) => change(userId, within, (tx) => updateRoles(tx, userId, [...new Set(roles)])),
    setEnabled: (userId, enabled, within) =>
      change(userId, within, async (tx) => {
        if (!enabled) await endSessionsOf(tx, userId);
        return updateEnabled(tx, userId, enabled);
      }),
    setPassword: async (userId, password, { temporary }, within) => {
      checkNewPassword(password);
      const passwordHash = await hashPassword(password);
      await change(userId, within, async (tx) => {
        const user = await findUserById(tx, userId);
        if (!user) return 0;
        await endSessionsOf(tx, userId);
        await forgetFailures(tx, nameHash(user.username));
        return updatePassword(tx, userId, passwordHash, temporary);
      });
    },
    requireSecondFactor: (userId, required, within) => change(userId, within, (tx) => updateSecondFactorRequired(tx, userId, required)),
    resetSecondFactor: (userId, within) =>
      change(userId, within, async (tx) => {
        const user = await findUserById(tx, userId);
        if (!user) return 0;
        await removeAuthenticator(tx, userId);
        await replaceRecoveryCodes(tx, user.tenant_id, userId, []);
        return endSessionsOf(tx, userId);
      }),
    endSessions: (userId, within) => change(userId, within, (tx) => endSessionsOf(tx, userId)),
    deleteUser: (userId, within) =>
      run(within, async (tx) => {
        if (uuid.test(userId)) await removeUser(tx, userId);
      }),
  };
}

/** Under which a name's failures are counted. */
export const nameHash = (name: string): string => createHash('sha256').update(name.toLowerCase()).digest('hex');

const cursorOf = (name: string) => Buffer.from(name.toLowerCase()).toString('base64url');

function positionOf(cursor: string): string {
  const name = Buffer.from(cursor, 'base64url').toString();
  if (!username.test(name) || cursorOf(name) !== cursor) throw identityErrors.error('user.cursor_invalid');
  return name;
}

const shown = (row: UserRow | undefined): User | undefined =>
  row && {
    userId: row.id,
    tenantId: row.tenant_id,
    username: row.username,
    displayName: row.display_name,
    email: row.email,
    roles: row.roles,
    enabled: row.enabled,
    temporaryPassword: row.temporary_password,
    secondFactor: row.enrolled ? 'on' : row.second_factor_required ? 'required' : 'off',
    createdAt: row.created_at,
  };
