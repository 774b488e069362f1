import { randomUUID } from 'node:crypto';
import type { Tx } from '@star/platform';
import type { FinalState, OpenRpc, RpcProgress } from './rpc';

export interface NewRpc {
  readonly tenantId: string;
  readonly edgeId: string;
  readonly method: string;
  readonly paramsJson: string;
  readonly correlationId: string;
  readonly expiresAtMs: number;
  readonly retries: number;
  /** False: somebody waits for the answer, and no event tells of the end. */
  readonly announced: boolean;
}

/** Gives the next request id of the device and queues the call, in one statement. Undefined: no such edge. */
export async function insertRpc(tx: Tx, rpc: NewRpc): Promise<OpenRpc | undefined> {
  const id = randomUUID();
  const [row] = await tx.query<{ request_id: number }>(
    `WITH edge AS (
       UPDATE devices.edges SET rpc_counter = rpc_counter + 1 WHERE id = $2 AND tenant_id = $3 RETURNING rpc_counter
     )
     INSERT INTO devices.rpcs (id, edge_id, tenant_id, request_id, method, params_json, correlation_id, state, retries, announced, expires_at)
     SELECT $1, $2, $3, edge.rpc_counter, $4, $5, $6, 'QUEUED', $7, $8, $9 FROM edge
     RETURNING request_id`,
    [id, rpc.edgeId, rpc.tenantId, rpc.method, rpc.paramsJson, rpc.correlationId, rpc.retries, rpc.announced, new Date(rpc.expiresAtMs)],
  );
  return row && { ...rpc, id, requestId: row.request_id, timeouts: 0 };
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

/** Many at once. A call that has ended meanwhile stays as it ended. */
export async function recordProgress(tx: Tx, progress: readonly (readonly [rpcId: string, RpcProgress])[]): Promise<void> {
  await tx.execute(
    `UPDATE devices.rpcs r SET state = v.state, timeouts = v.timeouts,
       sent_at = coalesce(to_timestamp(v.sent), r.sent_at), delivered_at = coalesce(to_timestamp(v.delivered), r.delivered_at)
     FROM unnest($1::uuid[], $2::text[], $3::int[], $4::float8[], $5::float8[]) AS v (id, state, timeouts, sent, delivered)
     WHERE r.id = v.id AND r.finished_at IS NULL`,
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

/** Ends one call. Undefined when this device has no such open call: a late, repeated or invented reply. */
export async function endRpc(tx: Tx, end: RpcEnd): Promise<EndedRpc | undefined> {
  const [row] = await tx.query<EndedRow>(
    `UPDATE devices.rpcs r SET state = $3, reply_json = $4, finished_at = clock_timestamp(),
       sent_at = coalesce(to_timestamp($5::float8), r.sent_at), delivered_at = coalesce(to_timestamp($6::float8), r.delivered_at),
       replied_at = to_timestamp($7::float8), timeouts = coalesce($9, r.timeouts),
       round_trip_ms = coalesce($8, extract(epoch FROM to_timestamp($7::float8) - r.sent_at) * 1000)
     WHERE r.edge_id = $1 AND r.request_id = $2 AND r.finished_at IS NULL
     RETURNING ${endedColumns}`,
    [
      end.edgeId,
      end.requestId,
      end.state,
      end.replyJson,
      instant(end.sentAtMs),
      instant(end.deliveredAtMs),
      instant(end.repliedAtMs),
      end.roundTripMs ?? null,
      end.timeouts ?? null,
    ],
  );
  return row && ended(row);
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
