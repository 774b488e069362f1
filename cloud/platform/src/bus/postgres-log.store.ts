import { randomUUID } from 'node:crypto';
import type { Tx } from '../postgres/database';
import type { EncodedRecord } from './bus';

/** Wakes every bus on this database; the payload names the topics, or a group whose members should share anew. */
export const busChannel = 'star_bus';

export interface StoredRecord extends EncodedRecord {
  readonly partition: number;
  readonly position: number;
}

/** Creates a topic's partitions, unless some other process has: then its number of partitions is the one that counts. */
export async function createTopics(tx: Tx, topics: readonly string[], partitions: number): Promise<void> {
  await tx.execute(
    `INSERT INTO platform.bus_partitions (topic, partition)
     SELECT t.topic, p FROM unnest($1::text[]) AS t(topic), generate_series(0, $2::int - 1) AS p
     WHERE NOT EXISTS (SELECT FROM platform.bus_partitions b WHERE b.topic = t.topic)
     ORDER BY 1, 2
     ON CONFLICT DO NOTHING`,
    [topics, partitions],
  );
}

export async function readPartitionCounts(tx: Tx): Promise<Map<string, number>> {
  const rows = await tx.query<{ topic: string; count: number }>('SELECT topic, count(*) FROM platform.bus_partitions GROUP BY topic');
  return new Map(rows.map((row) => [row.topic, row.count]));
}

/**
 * Appends in the caller's transaction. The rows of the partitions are locked in one order (two appends never
 * deadlock) and stay locked until the commit: whoever gets the next position is committed later than everyone before.
 * That makes "everything above my position" a safe question for a reader, at the price of one append at a time per
 * partition; PostgresLog gathers concurrent appends of a process into one transaction to pay it rarely.
 */
export async function appendRecords(tx: Tx, records: readonly (EncodedRecord & { partition: number })[]): Promise<void> {
  const counts = new Map<string, { topic: string; partition: number; count: number }>();
  for (const { topic, partition } of records) {
    const place = `${topic}/${partition}`;
    const entry = counts.get(place) ?? { topic, partition, count: 0 };
    entry.count += 1;
    counts.set(place, entry);
  }
  const places = [...counts.values()];
  const locked = await tx.query<{ topic: string; partition: number; last_position: number }>(
    `SELECT b.topic, b.partition, b.last_position FROM platform.bus_partitions b
     WHERE (b.topic, b.partition) IN (SELECT * FROM unnest($1::text[], $2::int[]))
     ORDER BY b.topic, b.partition FOR UPDATE`,
    [places.map((place) => place.topic), places.map((place) => place.partition)],
  );
  const last = new Map(locked.map((row) => [`${row.topic}/${row.partition}`, row.last_position]));
  const positions = records.map(({ topic, partition }) => {
    const next = (last.get(`${topic}/${partition}`) ?? Number.NaN) + 1;
    last.set(`${topic}/${partition}`, next);
    return next;
  });
  await tx.execute(
    `INSERT INTO platform.bus_records (topic, partition, position, key, headers, value)
     SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::jsonb[], $6::bytea[])`,
    [
      records.map((record) => record.topic),
      records.map((record) => record.partition),
      positions,
      records.map((record) => record.key),
      records.map((record) => JSON.stringify(record.headers)),
      records.map((record) => record.value),
    ],
  );
  await tx.query(
    `WITH moved AS (
       UPDATE platform.bus_partitions b SET last_position = b.last_position + n.count
       FROM unnest($1::text[], $2::int[], $3::int[]) AS n(topic, partition, count)
       WHERE b.topic = n.topic AND b.partition = n.partition RETURNING 1)
     SELECT pg_notify($4, $5), (SELECT count(*) FROM moved)`,
    [
      places.map((place) => place.topic),
      places.map((place) => place.partition),
      places.map((place) => place.count),
      busChannel,
      [...new Set(places.map((place) => place.topic))].join(',').slice(0, 7000),
    ],
  );
}

/** At most `maxRecords`, and at most `maxBytes` of values unless the first one alone is bigger. */
export async function readRecords(
  tx: Tx,
  place: { topic: string; partition: number; position: number },
  maxRecords: number,
  maxBytes: number,
): Promise<StoredRecord[]> {
  return tx.query<StoredRecord>(
    `SELECT topic, partition, position, key, headers, value FROM (
       SELECT *, sum(octet_length(value)) OVER (ORDER BY position) - octet_length(value) AS bytes_before FROM (
         SELECT topic, partition, position, key, headers, value FROM platform.bus_records
         WHERE topic = $1 AND partition = $2 AND position > $3 ORDER BY position LIMIT $4) batch) sized
     WHERE bytes_before < $5 ORDER BY position`,
    [place.topic, place.partition, place.position, maxRecords, maxBytes],
  );
}

/** Of the places given, those with records above the position. */
export async function findPending(
  tx: Tx,
  places: readonly { topic: string; partition: number; position: number }[],
): Promise<{ topic: string; partition: number; last_position: number }[]> {
  return tx.query(
    `SELECT b.topic, b.partition, b.last_position FROM platform.bus_partitions b
     JOIN unnest($1::text[], $2::int[], $3::bigint[]) AS o(topic, partition, position) USING (topic, partition)
     WHERE b.last_position > o.position`,
    [places.map((place) => place.topic), places.map((place) => place.partition), places.map((place) => place.position)],
  );
}

export interface DeadLetterRow {
  readonly id: string;
  readonly group_name: string;
  readonly topic: string;
  readonly key: string;
  readonly headers: Record<string, string>;
  readonly value: Buffer;
  readonly reason: string;
  readonly failed_at: Date;
}

const deadLetterColumns = 'id, group_name, topic, key, headers, value, reason, failed_at';

export async function putDeadLetter(tx: Tx, group: string, record: StoredRecord, reason: string): Promise<void> {
  await tx.execute(
    `INSERT INTO platform.bus_dead_letters (id, group_name, topic, partition, position, key, headers, value, reason)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT ON CONSTRAINT bus_dead_letters_place_key DO UPDATE SET reason = excluded.reason, failed_at = excluded.failed_at`,
    [
      randomUUID(),
      group,
      record.topic,
      record.partition,
      record.position,
      record.key,
      JSON.stringify(record.headers),
      record.value,
      reason,
    ],
  );
}

export async function listDeadLetters(tx: Tx, group: string): Promise<DeadLetterRow[]> {
  return tx.query(`SELECT ${deadLetterColumns} FROM platform.bus_dead_letters WHERE group_name = $1 ORDER BY failed_at, id LIMIT 1000`, [
    group,
  ]);
}

/** False when there is no such dead letter. */
export async function requestReplay(tx: Tx, id: string): Promise<boolean> {
  const rows = await tx.query(
    `WITH asked AS (UPDATE platform.bus_dead_letters SET replay_requested_at = clock_timestamp() WHERE id = $1 RETURNING topic)
     SELECT pg_notify($2, topic) FROM asked`,
    [id, busChannel],
  );
  return rows.length > 0;
}

/** Takes one requested replay for `leaseMs`; another member does not get it meanwhile. */
export async function claimReplay(tx: Tx, group: string, topics: readonly string[], leaseMs: number): Promise<DeadLetterRow | undefined> {
  const [row] = await tx.query<DeadLetterRow>(
    `UPDATE platform.bus_dead_letters SET replaying_until = clock_timestamp() + make_interval(secs => $3 / 1000.0)
     WHERE id = (
       SELECT id FROM platform.bus_dead_letters
       WHERE group_name = $1 AND topic = ANY($2) AND replay_requested_at IS NOT NULL
         AND (replaying_until IS NULL OR replaying_until < clock_timestamp())
       ORDER BY replay_requested_at LIMIT 1 FOR UPDATE SKIP LOCKED)
     RETURNING ${deadLetterColumns}`,
    [group, topics, leaseMs],
  );
  return row;
}

export async function finishReplay(tx: Tx, id: string, failure: string | undefined): Promise<void> {
  if (failure === undefined) await tx.execute('DELETE FROM platform.bus_dead_letters WHERE id = $1', [id]);
  else
    await tx.execute(
      `UPDATE platform.bus_dead_letters SET replay_requested_at = NULL, replaying_until = NULL, reason = $2, failed_at = now() WHERE id = $1`,
      [id, failure],
    );
}

/**
 * Deletes up to `limit` of the oldest records of one partition that are older than the cutoff and that every group
 * has passed. A group that is gone for good holds records back until `forgetGroup`.
 */
export async function deletePassedRecords(
  tx: Tx,
  place: { topic: string; partition: number },
  olderThan: Date,
  limit: number,
): Promise<number> {
  return tx.execute(
    `WITH oldest AS (
       SELECT position, appended_at FROM platform.bus_records
       WHERE topic = $1 AND partition = $2 ORDER BY position LIMIT $4)
     DELETE FROM platform.bus_records r USING oldest
     WHERE r.topic = $1 AND r.partition = $2 AND r.position = oldest.position AND oldest.appended_at < $3
       AND r.position <= coalesce(
         (SELECT min(c.position) FROM platform.bus_cursors c WHERE c.topic = $1 AND c.partition = $2), 9223372036854775807)`,
    [place.topic, place.partition, olderThan, limit],
  );
}

export async function listPartitions(tx: Tx): Promise<{ topic: string; partition: number }[]> {
  return tx.query('SELECT topic, partition FROM platform.bus_partitions ORDER BY topic, partition');
}

export async function deleteGroup(tx: Tx, group: string): Promise<void> {
  await tx.execute('DELETE FROM platform.bus_cursors WHERE group_name = $1', [group]);
  await tx.execute('DELETE FROM platform.bus_members WHERE group_name = $1', [group]);
}

/** Deletes up to `limit` of the oldest that nobody asked to replay; answers how many. */
export const sweepDeadLetters = (tx: Tx, olderThan: Date, limit: number): Promise<number> =>
  tx.execute(
    `DELETE FROM platform.bus_dead_letters WHERE id IN (
       SELECT id FROM platform.bus_dead_letters WHERE failed_at < $1 AND replay_requested_at IS NULL ORDER BY failed_at LIMIT $2)`,
    [olderThan, limit],
  );
