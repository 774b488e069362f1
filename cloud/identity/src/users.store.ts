import type { Tx } from '@star/platform';

export interface UserRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly username: string;
  readonly display_name: string;
  readonly email: string | null;
  readonly roles: string[];
  readonly password_hash: string | null;
  readonly temporary_password: boolean;
  readonly enabled: boolean;
  readonly second_factor_required: boolean;
  readonly credentials_changed_at: Date;
  readonly created_at: Date;
  /** What her access tokens must carry; null when none were ever ended. */
  readonly token_mark: string | null;
  /** An authenticator is enrolled. */
  readonly enrolled: boolean;
}

const columns = `u.tenant_id, u.id, u.username, u.display_name, u.email, u.roles, u.password_hash, u.temporary_password, u.enabled,
  u.second_factor_required, u.credentials_changed_at, u.created_at,
  (SELECT t.mark FROM identity.token_ends t WHERE t.user_id = u.id::text) AS token_mark,
  EXISTS (SELECT FROM identity.authenticators a WHERE a.user_id = u.id) AS enrolled`;

export interface NewUserRow {
  readonly tenantId: string;
  readonly id: string;
  readonly username: string;
  readonly displayName: string;
  readonly email: string | null;
  readonly roles: readonly string[];
  readonly passwordHash: string | null;
  readonly temporary: boolean;
  readonly secondFactorRequired: boolean;
}

/** 0 when the name is taken, by whomever. */
export const insertUser = (tx: Tx, user: NewUserRow): Promise<number> =>
  tx.execute(
    `INSERT INTO identity.users
       (tenant_id, id, username, display_name, email, roles, password_hash, temporary_password, second_factor_required)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (login_name) DO NOTHING`,
    [
      user.tenantId,
      user.id,
      user.username,
      user.displayName,
      user.email,
      user.roles,
      user.passwordHash,
      user.temporary,
      user.secondFactorRequired,
    ],
  );

export const findUserById = async (tx: Tx, userId: string): Promise<UserRow | undefined> =>
  (await tx.query<UserRow>(`SELECT ${columns} FROM identity.users u WHERE u.id = $1`, [userId]))[0];

export const findUserByName = async (tx: Tx, username: string): Promise<UserRow | undefined> =>
  // No text of PostgreSQL has a NUL, and strangers may type anything.
  username.includes('\0')
    ? undefined
    : (await tx.query<UserRow>(`SELECT ${columns} FROM identity.users u WHERE u.login_name = lower($1)`, [username]))[0];

/** By name, from after the one given. */
export const listUsers = (tx: Tx, tenantId: string, after: string, limit: number): Promise<UserRow[]> =>
  tx.query<UserRow>(
    `SELECT ${columns} FROM identity.users u WHERE u.tenant_id = $1 AND u.login_name > $2
     ORDER BY u.login_name LIMIT $3`,
    [tenantId, after, limit],
  );

export const updateProfile = (tx: Tx, userId: string, displayName: string, email: string | null | undefined): Promise<number> =>
  tx.execute('UPDATE identity.users SET display_name = $2, email = CASE WHEN $3 THEN $4 ELSE email END WHERE id = $1', [
    userId,
    displayName,
    email !== undefined,
    email ?? null,
  ]);

export const updateRoles = (tx: Tx, userId: string, roles: readonly string[]): Promise<number> =>
  tx.execute('UPDATE identity.users SET roles = $2 WHERE id = $1', [userId, roles]);

export const updateEnabled = (tx: Tx, userId: string, enabled: boolean): Promise<number> =>
  tx.execute('UPDATE identity.users SET enabled = $2 WHERE id = $1', [userId, enabled]);

export const updatePassword = (tx: Tx, userId: string, passwordHash: string, temporary: boolean): Promise<number> =>
  tx.execute(
    'UPDATE identity.users SET password_hash = $2, temporary_password = $3, credentials_changed_at = clock_timestamp() WHERE id = $1',
    [userId, passwordHash, temporary],
  );

export const updateSecondFactorRequired = (tx: Tx, userId: string, required: boolean): Promise<number> =>
  tx.execute('UPDATE identity.users SET second_factor_required = $2 WHERE id = $1', [userId, required]);

/** Log-ins under way begin again. */
export const touchCredentials = (tx: Tx, userId: string): Promise<number> =>
  tx.execute('UPDATE identity.users SET credentials_changed_at = clock_timestamp() WHERE id = $1', [userId]);

/** Their sessions, authenticators and codes go with them. */
export const removeUser = (tx: Tx, userId: string): Promise<number> => tx.execute('DELETE FROM identity.users WHERE id = $1', [userId]);

/** In ms, as `credentials_changed_at` is read: PostgreSQL's microseconds are cut off in both. */
export const databaseNow = async (tx: Tx): Promise<number> =>
  ((await tx.query<{ now: Date }>('SELECT clock_timestamp() AS now'))[0] as { now: Date }).now.getTime();
