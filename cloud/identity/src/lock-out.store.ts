import type { Tx } from '@star/platform';

/**
 * Counts a try before the password is looked at, so that many at once are all counted. Answers how many there were in a
 * row with this one; undefined while the name is locked. The row stays locked until the transaction ends.
 */
export const countTry = async (tx: Tx, usernameSha256: string, at: Date): Promise<number | undefined> =>
  (
    await tx.query<{ failures: number }>(
      `INSERT INTO identity.log_in_failures AS f (username_sha256, failures, locked_until_at, last_failed_at) VALUES ($1, 1, 'epoch', $2)
       ON CONFLICT ON CONSTRAINT log_in_failures_pkey DO UPDATE SET failures = f.failures + 1, last_failed_at = $2 WHERE f.locked_until_at <= $2
       RETURNING failures`,
      [usernameSha256, at],
    )
  )[0]?.failures;

export const lockUntil = (tx: Tx, usernameSha256: string, until: Date): Promise<number> =>
  tx.execute('UPDATE identity.log_in_failures SET locked_until_at = $2 WHERE username_sha256 = $1', [usernameSha256, until]);

export const lockedUntil = async (tx: Tx, usernameSha256: string): Promise<Date | undefined> =>
  (
    await tx.query<{ locked_until_at: Date }>('SELECT locked_until_at FROM identity.log_in_failures WHERE username_sha256 = $1', [
      usernameSha256,
    ])
  )[0]?.locked_until_at;

/** Writes what is there: a transaction like any other that writes. */
export const keepFailure = (tx: Tx, usernameSha256: string): Promise<number> =>
  tx.execute('UPDATE identity.log_in_failures SET failures = failures WHERE username_sha256 = $1', [usernameSha256]);

/** Takes back what `countTry` counted, and the lock that came of it. */
export const forgiveTry = (tx: Tx, usernameSha256: string): Promise<number> =>
  tx.execute(
    "UPDATE identity.log_in_failures SET failures = greatest(failures - 1, 0), locked_until_at = 'epoch' WHERE username_sha256 = $1",
    [usernameSha256],
  );

export const forgetFailures = (tx: Tx, usernameSha256: string): Promise<number> =>
  tx.execute('DELETE FROM identity.log_in_failures WHERE username_sha256 = $1', [usernameSha256]);

/** Names are typed by strangers, so the table must not grow by them. */
export const sweepFailures = (tx: Tx, before: Date): Promise<number> =>
  tx.execute(
    `DELETE FROM identity.log_in_failures WHERE username_sha256 IN
       (SELECT username_sha256 FROM identity.log_in_failures WHERE last_failed_at < $1 ORDER BY last_failed_at LIMIT 20)`,
    [before],
  );
