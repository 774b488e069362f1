import type { Tx } from '../postgres/database';
import type { FirstTime, FirstTimes } from './bus';

/**
 * True the first time `group` sees `recordId` in a committed transaction. Two at once: the second waits for the
 * first's end and is true only if that one rolled back.
 */
export const firstTime: FirstTime = async (tx, group, recordId) => {
  const inserted = await tx.execute(
    'INSERT INTO platform.inbox (group_name, record_id) VALUES ($1, $2) ON CONFLICT ON CONSTRAINT inbox_pkey DO NOTHING',
    [group, recordId],
  );
  return inserted === 1;
};

/** In the order of the ids, so that two batches with the same records wait for each other and never both. */
export const firstTimes: FirstTimes = async (tx, group, recordIds) => {
  const rows = await tx.query<{ record_id: string }>(
    `INSERT INTO platform.inbox (group_name, record_id) SELECT $1, id FROM unnest($2::text[]) AS ids(id) GROUP BY id ORDER BY id
     ON CONFLICT ON CONSTRAINT inbox_pkey DO NOTHING RETURNING record_id`,
    [group, recordIds],
  );
  return new Set(rows.map((row) => row.record_id));
};

/** Deletes up to `limit` of the oldest entries; answers how many. */
export async function sweepInbox(tx: Tx, olderThan: Date, limit: number): Promise<number> {
  return tx.execute(
    `DELETE FROM platform.inbox WHERE (group_name, record_id) IN (
       SELECT group_name, record_id FROM platform.inbox WHERE seen_at < $1 ORDER BY seen_at LIMIT $2)`,
    [olderThan, limit],
  );
}
