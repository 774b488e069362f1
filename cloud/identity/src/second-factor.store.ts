import type { Tx } from '@star/platform';

export interface AuthenticatorRow {
  readonly secret: Buffer;
  readonly last_step: string;
}

export const findAuthenticator = async (tx: Tx, userId: string): Promise<AuthenticatorRow | undefined> =>
  (await tx.query<AuthenticatorRow>('SELECT secret, last_step FROM identity.authenticators WHERE user_id = $1', [userId]))[0];

/** 0 when one is enrolled already. */
export const insertAuthenticator = (tx: Tx, tenantId: string, userId: string, secret: Buffer, lastStep: number): Promise<number> =>
  tx.execute(
    `INSERT INTO identity.authenticators (tenant_id, user_id, secret, last_step) VALUES ($1, $2, $3, $4)
     ON CONFLICT ON CONSTRAINT authenticators_pkey DO NOTHING`,
    [tenantId, userId, secret, lastStep],
  );

/** 0 when this step's code, or a newer one, has been used: of two who send the same code at once one gets in. */
export const useStep = (tx: Tx, userId: string, step: number): Promise<number> =>
  tx.execute('UPDATE identity.authenticators SET last_step = $2 WHERE user_id = $1 AND last_step < $2', [userId, step]);

export const removeAuthenticator = (tx: Tx, userId: string): Promise<number> =>
  tx.execute('DELETE FROM identity.authenticators WHERE user_id = $1', [userId]);

export const replaceRecoveryCodes = async (tx: Tx, tenantId: string, userId: string, hashes: readonly Buffer[]): Promise<void> => {
  await tx.execute('DELETE FROM identity.recovery_codes WHERE user_id = $1', [userId]);
  await tx.execute('INSERT INTO identity.recovery_codes (tenant_id, user_id, code_sha256) SELECT $1, $2, unnest($3::bytea[])', [
    tenantId,
    userId,
    hashes,
  ]);
};

/** 0 when it is none, or was used. */
export const useRecoveryCode = (tx: Tx, userId: string, hash: Buffer): Promise<number> =>
  tx.execute('DELETE FROM identity.recovery_codes WHERE user_id = $1 AND code_sha256 = $2', [userId, hash]);

export const countRecoveryCodes = async (tx: Tx, userId: string): Promise<number> =>
  (await tx.query<{ count: number }>('SELECT count(*)::int AS count FROM identity.recovery_codes WHERE user_id = $1', [userId]))[0]
    ?.count ?? 0;
