import type { Database } from '@star/platform';

/** Whether any other process of Star has a connection: each keeps one at all times. */
export const isStarConnected = (database: Database): Promise<boolean> =>
  database.system('does Star run', async (tx) => {
    const [row] = await tx.query<{ others: number }>(
      `SELECT count(*) AS others FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'star' AND pid <> pg_backend_pid()`,
    );
    return (row?.others ?? 0) > 0;
  });
