import { randomUUID } from 'node:crypto';
import type { Tx } from '../postgres/database';
import type { BusRecord, EncodedRecord, WriteEvent, WriteEvents } from './bus';
import { encodeRecord } from './codec';

/** Wakes the relay. */
export const outboxChannel = 'star_outbox';

/**
 * Writes an event in the caller's transaction. A record that cannot be encoded throws here, so the outbox holds only
 * what the relay can pass on. Two events of one key keep their order when their transactions cannot overlap: write
 * them while the aggregate's row is locked.
 */
export const writeEvent: WriteEvent = (tx, record) => writeEvents(tx, [record]);

/** As `writeEvent`, for all of them or none. */
export const writeEvents: WriteEvents = async (tx, records) => {
  if (records.length === 0) return;
  const rows = records.map((record) => {
    const whole = { ...record, id: record.id ?? randomUUID(), occurredAt: record.occurredAt ?? new Date() } as unknown as BusRecord;
    return { tenantId: whole.tenantId, ...encodeRecord(whole) };
  });
  // PostgreSQL folds equal notifications of one transaction into one and sends it with the commit.
  await tx.query(
    `WITH written AS (
       INSERT INTO platform.outbox (tenant_id, topic, key, headers, value)
       SELECT tenant_id, topic, key, headers::jsonb, value
       FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[]) WITH ORDINALITY AS v (tenant_id, topic, key, headers, value, place)
       ORDER BY place)
     SELECT pg_notify($6, '')`,
    [
      rows.map((row) => row.tenantId),
      rows.map((row) => row.topic),
      rows.map((row) => row.key),
      rows.map((row) => JSON.stringify(row.headers)),
      rows.map((row) => row.value),
      outboxChannel,
    ],
  );
};

export interface OutboxRow extends EncodedRecord {
  readonly seq: number;
}

/**
 * False while another relay is at work. The lock belongs to the transaction that also deletes what was passed on: it
 * cannot outlive the relay's connection, and no two relays ever interleave the records of one key.
 */
export async function lockOutbox(tx: Tx): Promise<boolean> {
  const [row] = await tx.query<{ locked: boolean }>("SELECT pg_try_advisory_xact_lock(hashtextextended('star.outbox', 0)) AS locked");
  return row?.locked === true;
}

/**
 * The oldest committed rows, at most `maxBytes` of values unless the first alone is bigger. No row locks: the relay's
 * lock keeps others out, and SKIP LOCKED would pass over a row of a key and send a later one first.
 */
export async function readOutbox(tx: Tx, maxRows: number, maxBytes: number): Promise<OutboxRow[]> {
  return tx.query<OutboxRow>(
    `SELECT seq, topic, key, headers, value FROM (
       SELECT *, sum(octet_length(value)) OVER (ORDER BY seq) - octet_length(value) AS bytes_before FROM (
         SELECT seq, topic, key, headers, value FROM platform.outbox ORDER BY seq LIMIT $1) oldest) sized
     WHERE bytes_before < $2 ORDER BY seq`,
    [maxRows, maxBytes],
  );
}

export async function deleteFromOutbox(tx: Tx, rows: readonly OutboxRow[]): Promise<void> {
  await tx.execute('DELETE FROM platform.outbox WHERE seq = ANY($1::bigint[])', [rows.map((row) => row.seq)]);
}
