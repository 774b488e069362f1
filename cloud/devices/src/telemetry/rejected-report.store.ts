import { createHash, randomUUID } from 'node:crypto';
import type { Tx } from '@star/platform';
import type { EdgeIdentity } from '../edges/edge';

export interface RejectedReport {
  readonly key: string;
  readonly body: string;
  readonly reason: string;
}

/** Keeps it; the same body of the same edge is one row with a count, however often it is sent. */
export async function keepRejectedReport(tx: Tx, edge: EdgeIdentity, report: RejectedReport): Promise<void> {
  const body = Buffer.from(report.body);
  await tx.execute(
    `INSERT INTO devices.rejected_reports AS r (id, tenant_id, edge_id, key, body, body_sha256, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT ON CONSTRAINT rejected_reports_body DO UPDATE SET times = r.times + 1, last_at = now(), reason = excluded.reason`,
    [randomUUID(), edge.tenantId, edge.id, report.key, body, createHash('sha256').update(body).digest(), report.reason.slice(0, 1000)],
  );
}

/** At most `limit` of those that came last before; answers how many, and the bytes of their bodies. */
export async function deleteRejectedReports(
  tx: Tx,
  tenantId: string,
  before: Date,
  limit: number,
): Promise<{ items: number; bytes: number }> {
  const [row] = await tx.query<{ items: number; bytes: number }>(
    `WITH gone AS (DELETE FROM devices.rejected_reports WHERE id IN (
         SELECT id FROM devices.rejected_reports WHERE tenant_id = $1 AND last_at < $2 ORDER BY last_at LIMIT $3 FOR UPDATE SKIP LOCKED)
       RETURNING length(body) AS size)
     SELECT count(*) AS items, coalesce(sum(size), 0)::bigint AS bytes FROM gone`,
    [tenantId, before, limit],
  );
  return row ?? { items: 0, bytes: 0 };
}
