import type { Tx } from '../postgres/database';
import { busChannel, type DeadLetterRow } from './postgres-log.store';

export interface ListedDeadLetter extends Omit<DeadLetterRow, 'headers' | 'value'> {
  readonly tenant_id: string | null;
  readonly replay_requested: boolean;
  /** `failed_at` with its microseconds: two letters of one millisecond must not hide each other at the end of a page. */
  readonly place: string;
}

/** Oldest first, from after `place` and `id`. */
export const pageDeadLetters = (
  tx: Tx,
  filter: { readonly topic?: string; readonly group?: string },
  after: { readonly place: string; readonly id: string } | undefined,
  limit: number,
): Promise<ListedDeadLetter[]> =>
  tx.query<ListedDeadLetter & { [column: string]: unknown }>(
    `SELECT id, group_name, topic, key, reason, failed_at, headers->>'tenant' AS tenant_id,
       replay_requested_at IS NOT NULL AS replay_requested, failed_at::text AS place
     FROM platform.bus_dead_letters
     WHERE ($1::text IS NULL OR topic = $1) AND ($2::text IS NULL OR group_name = $2)
       AND ($3::timestamptz IS NULL OR (failed_at, id) > ($3::timestamptz, $4::uuid))
     ORDER BY failed_at, id LIMIT $5`,
    [filter.topic ?? null, filter.group ?? null, after?.place ?? null, after?.id ?? null, limit],
  );

export const findDeadLetter = async (tx: Tx, id: string): Promise<DeadLetterRow | undefined> =>
  (
    await tx.query<DeadLetterRow & { [column: string]: unknown }>(
      'SELECT id, group_name, topic, key, headers, value, reason, failed_at FROM platform.bus_dead_letters WHERE id = $1 FOR UPDATE',
      [id],
    )
  )[0];

/** Of up to `limit` letters that failed until now, the oldest that are not asked for yet; their ids. */
export async function requestReplays(tx: Tx, topic: string, failedUntil: Date, limit: number): Promise<string[]> {
  const rows = await tx.query<{ id: string }>(
    `UPDATE platform.bus_dead_letters SET replay_requested_at = clock_timestamp() WHERE id IN (
       SELECT id FROM platform.bus_dead_letters WHERE topic = $1 AND replay_requested_at IS NULL AND failed_at <= $2
       ORDER BY failed_at, id LIMIT $3 FOR UPDATE SKIP LOCKED)
     RETURNING id`,
    [topic, failedUntil, limit],
  );
  if (rows.length > 0) await tx.query('SELECT pg_notify($1, $2)', [busChannel, topic]);
  return rows.map(({ id }) => id);
}

export const deleteDeadLetter = (tx: Tx, id: string): Promise<number> =>
  tx.execute('DELETE FROM platform.bus_dead_letters WHERE id = $1', [id]);

/** The clock that `failed_at` is written by. */
export const deadLetterClock = async (tx: Tx): Promise<Date> =>
  ((await tx.query<{ now: Date }>('SELECT clock_timestamp() AS now'))[0] as { now: Date }).now;
