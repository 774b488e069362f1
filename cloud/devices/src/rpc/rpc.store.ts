import { randomUUID } from 'node:crypto';
import type { Tx } from '@star/platform';
import type { FinalState, OpenRpc, RpcProgress } from './rpc';

export interface NewRpc {
  readonly edgeId: string;
  readonly method: string;
  readonly paramsJson: string;
  readonly correlationId: string;
  readonly expiresAtMs: number;
  readonly retries: number;
  /** False: somebody waits for the answer, and no event tells of the end. */
  readonly announced: boolean;
}

/**
 * Gives each call the next request id of its device, in their order, and queues them, in one statement; answers them by
 * place. Undefined: the tenant has no such edge. Edges are locked in one order, so that two batches never deadlock.
 */
export async function insertRpcs(tx: Tx, tenantId: string, rpcs: readonly NewRpc[]): Promise<(OpenRpc | undefined)[]> {
  if (rpcs.length === 0) return [];
  const asked = rpcs.map((rpc) => ({ ...rpc, tenantId, id: randomUUID() }));
  const rows = await tx.query<{ id: string; request_id: number }>(
    `WITH asked AS (
       SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::int[], $8::bool[], $9::timestamptz[])
         WITH ORDINALITY AS a (id, edge_id, method, params_json, correlation_id, retries, announced, expires_at, place)
     ), locked AS MATERIALIZED (
       SELECT id FROM devices.edges WHERE id = ANY ($3::uuid[]) AND tenant_id = $1 ORDER BY id FOR NO KEY UPDATE
     ), counted AS (
       UPDATE devices.edges e SET rpc_counter = e.rpc_counter + n.calls
       FROM (SELECT a.edge_id, count(*)::int AS calls FROM asked a JOIN locked l ON l.id = a.edge_id GROUP BY a.edge_id) n
       WHERE e.id = n.edge_id RETURNING e.id, e.rpc_counter - n.calls AS last
     )
     INSERT INTO devices.rpcs
       (id, edge_id, tenant_id, request_id, method, params_json, correlation_id, state, retries, announced, expires_at, created_at)
     SELECT a.id, a.edge_id, $1, c.last + row_number() OVER (PARTITION BY a.edge_id ORDER BY a.place), a.method, a.params_json,
       a.correlation_id, 'QUEUED', a.retries, a.announced, a.expires_at, now() + a.place * interval '1 microsecond'
     FROM asked a JOIN counted c ON c.id = a.edge_id
     RETURNING id, request_id`,
    [
      tenantId,
      asked.map((rpc) => rpc.id),
      asked.map((rpc) => rpc.edgeId),
      asked.map((rpc) => rpc.method),
      asked.map((rpc) => rpc.paramsJson),
      asked.map((rpc) => rpc.correlationId),
      asked.map((rpc) => rpc.retries),
      asked.map((rpc) => rpc.announced),
      asked.map((rpc) => new Date(rpc.expiresAtMs)),
    ],
  );
  const requestIds = new Map(rows.map((row) => [row.id, row.request_id]));
  return asked.map((rpc) => {
    const requestId = requestIds.get(rpc.id);
    return requestId === undefined ? undefined : { ...rpc, requestId, timeouts: 0 };
  });
}

/** Calls of an edge that have not ended, oldest first, without those in `known`. */
export async function openRpcs(tx: Tx, edgeId: string, known: readonly number[], limit: number): Promise<OpenRpc[]> {
  const rows = await tx.query<{
    id: string;
    tenant_id: string;
    request_id: number;
    method: string;
    params_json: string;
    expires_at: Date;
    retries: number;
    timeouts: number;
  }>(
    `SELECT id, tenant_id, request_id, method, params_json, expires_at, retries, timeouts FROM devices.rpcs
     WHERE edge_id = $1 AND finished_at IS NULL AND expires_at > now() AND NOT (request_id = ANY ($2::int[]))
     ORDER BY request_id LIMIT $3`,
    [edgeId, known, limit],
  );
  return rows.map((row) => ({
    id: row.id,
    tenantId: row.tenant_id,
    edgeId,
    requestId: row.request_id,
    method: row.method,
    paramsJson: row.params_json,
    expiresAtMs: row.expires_at.getTime(),
    retries: row.retries,
    timeouts: row.timeouts,
  }));
}

/** Which of these edges have calls that nobody has sent yet, older than `olderThanMs`: a signal was missed. */
export async function edgesWithForgottenRpcs(tx: Tx, edgeIds: readonly string[], olderThanMs: number): Promise<string[]> {
  const rows = await tx.query<{ edge_id: string }>(
    `SELECT DISTINCT edge_id FROM devices.rpcs
     WHERE edge_id = ANY ($1::uuid[]) AND finished_at IS NULL AND state = 'QUEUED' AND created_at < now() - $2 * interval '1 millisecond'`,
    [edgeIds, olderThanMs],
  );
  return rows.map((row) => row.edge_id);
}

const instant = (ms: number | undefined) => (ms === undefined ? null : ms / 1000);

/** Many at once, locked in the order of `endRpcs`. A call that has ended meanwhile stays as it ended. */
export async function recordProgress(tx: Tx, progress: readonly (readonly [rpcId: string, RpcProgress])[]): Promise<void> {
  await tx.execute(
    `WITH open AS MATERIALIZED (
       SELECT id FROM devices.rpcs WHERE id = ANY ($1::uuid[]) AND finished_at IS NULL ORDER BY id FOR NO KEY UPDATE
     )
     UPDATE devices.rpcs r SET state = v.state, timeouts = v.timeouts,
       sent_at = coalesce(to_timestamp(v.sent), r.sent_at), delivered_at = coalesce(to_timestamp(v.delivered), r.delivered_at)
     FROM open JOIN unnest($1::uuid[], $2::text[], $3::int[], $4::float8[], $5::float8[]) AS v (id, state, timeouts, sent, delivered) USING (id)
     WHERE r.id = open.id`,
    [
      progress.map(([id]) => id),
      progress.map(([, p]) => p.state),
      progress.map(([, p]) => p.timeouts),
      progress.map(([, p]) => instant(p.sentAtMs)),
      progress.map(([, p]) => instant(p.deliveredAtMs)),
    ],
  );
}

export interface RpcEnd {
  readonly edgeId: string;
  readonly requestId: number;
  readonly state: FinalState;
  readonly replyJson: string | null;
  readonly sentAtMs?: number | undefined;
  readonly deliveredAtMs?: number | undefined;
  readonly repliedAtMs?: number | undefined;
  /** Measured with one monotonic clock; absent when the sending was before a restart. */
  readonly roundTripMs?: number | undefined;
  readonly timeouts?: number | undefined;
}

export interface EndedRpc {
  readonly id: string;
  readonly tenantId: string;
  readonly edgeId: string;
  readonly method: string;
  readonly correlationId: string;
  readonly announced: boolean;
  readonly state: FinalState;
  readonly replyJson: string;
  readonly roundTripMs: number;
}

interface EndedRow {
  id: string;
  tenant_id: string;
  edge_id: string;
  method: string;
  correlation_id: string;
  announced: boolean;
  state: FinalState;
  reply_json: string | null;
  round_trip_ms: number | null;
}

const endedColumns = 'r.id, r.tenant_id, r.edge_id, r.method, r.correlation_id, r.announced, r.state, r.reply_json, r.round_trip_ms';

const ended = (row: EndedRow): EndedRpc => ({
  id: row.id,
  tenantId: row.tenant_id,
  edgeId: row.edge_id,
  method: row.method,
  correlationId: row.correlation_id,
  announced: row.announced,
  state: row.state,
  replyJson: row.reply_json ?? '',
  roundTripMs: row.round_trip_ms ?? 0,
});

/**
 * Ends calls; answers them by place. Undefined when this device has no such open call: a late, repeated or invented
 * reply. Of two replies to one call the first counts. The rows are locked in one order, so that two batches never deadlock.
 */
export async function endRpcs(tx: Tx, ends: readonly RpcEnd[]): Promise<(EndedRpc | undefined)[]> {
  const rows = await tx.query<EndedRow & { place: number }>(
    `WITH said AS (
       SELECT DISTINCT ON (edge_id, request_id) *
       FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::float8[], $6::float8[], $7::float8[], $8::float8[], $9::int[])
         WITH ORDINALITY AS s (edge_id, request_id, state, reply_json, sent, delivered, replied, round_trip_ms, timeouts, place)
       ORDER BY edge_id, request_id, place
     ), open AS MATERIALIZED (
       SELECT r.id, s.place FROM devices.rpcs r JOIN said s ON s.edge_id = r.edge_id AND s.request_id = r.request_id
       WHERE r.finished_at IS NULL ORDER BY r.id FOR NO KEY UPDATE OF r
     )
     UPDATE devices.rpcs r SET state = s.state, reply_json = s.reply_json, finished_at = clock_timestamp(),
       sent_at = coalesce(to_timestamp(s.sent), r.sent_at), delivered_at = coalesce(to_timestamp(s.delivered), r.delivered_at),
       replied_at = to_timestamp(s.replied), timeouts = coalesce(s.timeouts, r.timeouts),
       round_trip_ms = coalesce(s.round_trip_ms, extract(epoch FROM to_timestamp(s.replied) - r.sent_at) * 1000)
     FROM open JOIN said s USING (place)
     WHERE r.id = open.id
     RETURNING s.place, ${endedColumns}`,
    [
      ends.map((end) => end.edgeId),
      ends.map((end) => end.requestId),
      ends.map((end) => end.state),
      ends.map((end) => end.replyJson),
      ends.map((end) => instant(end.sentAtMs)),
      ends.map((end) => instant(end.deliveredAtMs)),
      ends.map((end) => instant(end.repliedAtMs)),
      ends.map((end) => end.roundTripMs ?? null),
      ends.map((end) => end.timeouts ?? null),
    ],
  );
  const byPlace = new Map(rows.map((row) => [row.place, ended(row)]));
  return ends.map((_, at) => byPlace.get(at + 1));
}

/** Ends up to `limit` calls whose time is over. */
export async function expireRpcs(tx: Tx, limit: number): Promise<EndedRpc[]> {
  const rows = await tx.query<EndedRow>(
    `UPDATE devices.rpcs r SET state = 'EXPIRED', finished_at = clock_timestamp() WHERE r.id IN (
       SELECT id FROM devices.rpcs WHERE finished_at IS NULL AND expires_at <= now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
     RETURNING ${endedColumns}`,
    [limit],
  );
  return rows.map(ended);
}

/** Ends every open call of an edge that is about to be deleted. */
export async function failRpcsOf(tx: Tx, edgeId: string, replyJson: string): Promise<EndedRpc[]> {
  const rows = await tx.query<EndedRow>(
    `UPDATE devices.rpcs r SET state = 'FAILED', reply_json = $2, finished_at = clock_timestamp()
     WHERE r.edge_id = $1 AND r.finished_at IS NULL RETURNING ${endedColumns}`,
    [edgeId, replyJson],
  );
  return rows.map(ended);
}

/** How a call ended; undefined while it has not. */
export async function endOf(tx: Tx, rpcId: string): Promise<EndedRpc | undefined> {
  const [row] = await tx.query<EndedRow>(`SELECT ${endedColumns} FROM devices.rpcs r WHERE r.id = $1 AND r.finished_at IS NOT NULL`, [
    rpcId,
  ]);
  return row && ended(row);
}

/** A question nobody waits for any more; a reply to it finds nothing. */
export async function deleteQuestion(tx: Tx, rpcId: string): Promise<void> {
  await tx.execute('DELETE FROM devices.rpcs WHERE id = $1 AND NOT announced', [rpcId]);
}

/** Questions whose asker died. */
export async function deleteOldQuestions(tx: Tx): Promise<void> {
  await tx.execute(`DELETE FROM devices.rpcs WHERE NOT announced AND expires_at < now() - interval '1 hour'`);
}

/** At most `limit` of those that ended longest ago; answers how many by tenant. Rows another replica is deleting are passed over. */
export const deleteFinishedRpcs = (tx: Tx, before: Date, limit: number): Promise<{ tenant_id: string; calls: number }[]> =>
  tx.query(
    `WITH gone AS (DELETE FROM devices.rpcs WHERE id IN (
         SELECT id FROM devices.rpcs WHERE finished_at < $1 ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING tenant_id)
     SELECT tenant_id, count(*) AS calls FROM gone GROUP BY tenant_id ORDER BY tenant_id`,
    [before, limit],
  );
