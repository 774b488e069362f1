import { randomUUID } from 'node:crypto';
import { type Database, isUniqueViolation } from '@star/platform';
import { hashPassword } from '../password';
import { findUserByName, insertUser } from '../tenant.store';
import { tenantError } from '../tenants.errors';
import type { TenantIdentity } from './ports';
import { deleteUserRow, listTenantUsers } from './tenant-life.store';

/** Users in this service's own table, as long as it logs them in. */
export function usersAsIdentity(database: Database): TenantIdentity {
  const findUser: TenantIdentity['findUser'] = async ({ username }) => {
    const row = await database.system('find a user by name', (tx) => findUserByName(tx, username));
    return row && { userId: row.id, tenantId: row.tenant_id };
  };
  return {
    findUser,
    createUser: async ({ tenantId, username, displayName, roles, password }) => {
      const known = async () => {
        const user = await findUser({ username });
        if (user && user.tenantId !== tenantId) throw tenantError('user.username_taken', { username });
        return user && { userId: user.userId, created: false };
      };
      const there = await known();
      if (there) return there;
      const userId = randomUUID();
      // Nobody knows the password of a user who was given none.
      const passwordHash = await hashPassword(password ?? randomUUID());
      try {
        await database.tenant(tenantId, (tx) => insertUser(tx, tenantId, { id: userId, username, displayName, passwordHash, roles }));
        return { userId, created: true };
      } catch (error) {
        const meanwhile = isUniqueViolation(error, 'users_username') ? await known() : undefined;
        if (meanwhile) return meanwhile;
        throw error;
      }
    },
    listUsers: async (tenantId, { cursor, limit }) => {
      const rows = await database.tenant(tenantId, (tx) => listTenantUsers(tx, cursor, limit));
      return { items: rows.map((row) => ({ userId: row.id })), nextCursor: rows.length === limit ? (rows.at(-1)?.id ?? null) : null };
    },
    deleteUser: async (userId) => {
      await database.system('delete a user', (tx) => deleteUserRow(tx, userId));
    },
  };
}
