import type { Tx } from '@star/platform';
import type { EdgeRpc } from '@stardipper/proto';
import { cursorMicros, type PageRequest, pageOf } from '../paging';

interface RpcRow {
  id: string;
  request_id: number;
  method: string;
  correlation_id: string;
  state: EdgeRpc['state'];
  timeouts: number;
  created_at: Date;
  expires_at: Date;
  sent_at: Date | null;
  replied_at: Date | null;
  finished_at: Date | null;
  round_trip_ms: number | null;
  reply_json: string | null;
  cursor_micros: string;
}

/** Newest first: an operator wants to see what has just happened. `before` is the cursor's position, or undefined. */
export async function listRpcs(
  tx: Tx,
  edgeId: string,
  before: { micros: string; id: string } | undefined,
  { limit }: PageRequest,
): Promise<{ items: EdgeRpc[]; nextCursor: string | null }> {
  const rows = await tx.query<RpcRow>(
    `SELECT r.id, r.request_id, r.method, r.correlation_id, r.state, r.timeouts, r.created_at, r.expires_at, r.sent_at, r.replied_at,
       r.finished_at, r.round_trip_ms, r.reply_json, ${cursorMicros('r')}
     FROM devices.rpcs r
     WHERE r.edge_id = $1 AND r.announced
       AND ($2::bigint IS NULL OR (r.created_at, r.id) < ('epoch'::timestamptz + $2::bigint * interval '1 microsecond', $3::uuid))
     ORDER BY r.created_at DESC, r.id DESC LIMIT $4`,
    [edgeId, before?.micros ?? null, before?.id ?? null, limit + 1],
  );
  return pageOf(rows, limit, (row) => ({
    id: row.id,
    requestId: row.request_id,
    method: row.method,
    correlationId: row.correlation_id,
    state: row.state,
    timeouts: row.timeouts,
    createdAt: row.created_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    sentAt: row.sent_at?.toISOString() ?? null,
    repliedAt: row.replied_at?.toISOString() ?? null,
    finishedAt: row.finished_at?.toISOString() ?? null,
    roundTripMs: row.round_trip_ms,
    reply: row.reply_json === null ? null : (JSON.parse(row.reply_json) as unknown),
  }));
}
