import type { Tx } from '@star/platform';

export interface UserRow {
  readonly tenant_id: string;
  readonly tenant_name: string;
  readonly id: string;
  readonly username: string;
  readonly display_name: string;
  readonly password_hash: string;
  readonly roles: string[];
}

const userColumns = 'u.tenant_id, t.name AS tenant_name, u.id, u.username, u.display_name, u.password_hash, u.roles';

export const insertTenant = (tx: Tx, tenantId: string, name: string): Promise<number> =>
  tx.execute('INSERT INTO tenants.tenants (tenant_id, name) VALUES ($1, $2)', [tenantId, name]);

export interface NewUser {
  readonly id: string;
  readonly username: string;
  readonly displayName: string;
  readonly passwordHash: string;
  readonly roles: readonly string[];
}

/** Throws the database's unique violation `users_username`. */
export const insertUser = (tx: Tx, tenantId: string, user: NewUser): Promise<number> =>
  tx.execute('INSERT INTO tenants.users (tenant_id, id, username, display_name, password_hash, roles) VALUES ($1, $2, $3, $4, $5, $6)', [
    tenantId,
    user.id,
    user.username,
    user.displayName,
    user.passwordHash,
    user.roles,
  ]);

export const findUserByName = async (tx: Tx, username: string): Promise<UserRow | undefined> =>
  (
    await tx.query<UserRow>(
      `SELECT ${userColumns} FROM tenants.users u JOIN tenants.tenants t USING (tenant_id) WHERE lower(u.username) = lower($1)`,
      [username],
    )
  )[0];

export const findUser = async (tx: Tx, userId: string): Promise<UserRow | undefined> =>
  (
    await tx.query<UserRow>(`SELECT ${userColumns} FROM tenants.users u JOIN tenants.tenants t USING (tenant_id) WHERE u.id = $1`, [userId])
  )[0];

/**
 * Counts a try before the password is looked at, so that many at once are all counted. Answers how many there were in a
 * row with this one; undefined while the name is locked. The row stays locked until the transaction ends.
 */
export const countTry = async (tx: Tx, usernameSha256: string, at: Date): Promise<number | undefined> =>
  (
    await tx.query<{ failures: number }>(
      `INSERT INTO tenants.log_in_failures AS f (username_sha256, failures, locked_until_at, last_failed_at) VALUES ($1, 1, 'epoch', $2)
       ON CONFLICT ON CONSTRAINT log_in_failures_pkey DO UPDATE SET failures = f.failures + 1, last_failed_at = $2 WHERE f.locked_until_at <= $2
       RETURNING failures`,
      [usernameSha256, at],
    )
  )[0]?.failures;

export const lockUntil = (tx: Tx, usernameSha256: string, until: Date): Promise<number> =>
  tx.execute('UPDATE tenants.log_in_failures SET locked_until_at = $2 WHERE username_sha256 = $1', [usernameSha256, until]);

export const lockedUntil = async (tx: Tx, usernameSha256: string): Promise<Date | undefined> =>
  (
    await tx.query<{ locked_until_at: Date }>('SELECT locked_until_at FROM tenants.log_in_failures WHERE username_sha256 = $1', [
      usernameSha256,
    ])
  )[0]?.locked_until_at;

export const forgetFailures = (tx: Tx, usernameSha256: string): Promise<number> =>
  tx.execute('DELETE FROM tenants.log_in_failures WHERE username_sha256 = $1', [usernameSha256]);

/** Names are typed by strangers, so the table must not grow by them. */
export const sweepFailures = (tx: Tx, before: Date): Promise<number> =>
  tx.execute(
    `DELETE FROM tenants.log_in_failures WHERE username_sha256 IN
       (SELECT username_sha256 FROM tenants.log_in_failures WHERE last_failed_at < $1 ORDER BY last_failed_at LIMIT 20)`,
    [before],
  );

export interface CommunityRow {
  readonly id: string;
  readonly name: string;
  readonly created_at: Date;
}

/** Throws the database's unique violation `communities_name`. */
export const insertCommunity = async (tx: Tx, tenantId: string, id: string, name: string): Promise<CommunityRow> =>
  (
    await tx.query<CommunityRow>(
      'INSERT INTO tenants.communities (tenant_id, id, name) VALUES ($1, $2, $3) RETURNING id, name, created_at',
      [tenantId, id, name],
    )
  )[0] as CommunityRow;

export const listCommunities = (tx: Tx, before: readonly [string, string] | undefined, limit: number): Promise<CommunityRow[]> =>
  tx.query<CommunityRow>(
    `SELECT id, name, created_at FROM tenants.communities
     WHERE $1::timestamptz IS NULL OR (date_trunc('milliseconds', created_at), id) < ($1, $2::uuid)
     ORDER BY date_trunc('milliseconds', created_at) DESC, id DESC LIMIT $3`,
    [before?.[0] ?? null, before?.[1] ?? null, limit],
  );

export const communityExists = async (tx: Tx, id: string): Promise<boolean> =>
  (await tx.query('SELECT 1 FROM tenants.communities WHERE id = $1', [id])).length > 0;
