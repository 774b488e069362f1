import type { Tx } from '@star/platform';

/** From the commit on every access token that the user has now is ended. */
export const writeTokenEnd = (tx: Tx, tenantId: string, userId: string): Promise<number> =>
  tx.execute(
    `INSERT INTO identity.token_ends (tenant_id, user_id, mark, ended_at) VALUES ($1, $2, gen_random_uuid(), clock_timestamp())
     ON CONFLICT ON CONSTRAINT token_ends_pkey DO UPDATE SET mark = excluded.mark, ended_at = excluded.ended_at`,
    [tenantId, userId],
  );

export const findTokenEnd = async (tx: Tx, userId: string): Promise<{ readonly mark: string; readonly ended_at: Date } | undefined> =>
  (await tx.query<{ mark: string; ended_at: Date }>('SELECT mark, ended_at FROM identity.token_ends WHERE user_id = $1', [userId]))[0];
