import { type AreaScope, scopeIds, type Tx } from '@star/platform';
import type { RefusedEdge } from '@stardipper/proto';

/** Names are the boxes' choice, so the table must not grow by them. */
const maxRefused = 100;

export interface Refusal {
  readonly name: string;
  readonly areaId: string;
  readonly code: string;
  readonly params: Readonly<Record<string, unknown>>;
}

export async function keepRefusal(tx: Tx, tenantId: string, refusal: Refusal): Promise<void> {
  await tx.execute(
    `INSERT INTO devices.refused_edges AS r (tenant_id, name, area_id, code, params) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT ON CONSTRAINT refused_edges_pkey DO UPDATE SET area_id = excluded.area_id, code = excluded.code,
       params = excluded.params, times = least(r.times, 1000000) + 1, last_at = now()`,
    [tenantId, refusal.name, refusal.areaId, refusal.code, JSON.stringify(refusal.params)],
  );
  await tx.execute(
    `DELETE FROM devices.refused_edges WHERE tenant_id = $1 AND (last_at < now() - interval '30 days' OR name IN
       (SELECT name FROM devices.refused_edges WHERE tenant_id = $1 ORDER BY last_at DESC OFFSET $2))`,
    [tenantId, maxRefused],
  );
}

export const forgetRefusal = (tx: Tx, tenantId: string, name: string): Promise<number> =>
  tx.execute('DELETE FROM devices.refused_edges WHERE tenant_id = $1 AND name = $2', [tenantId, name]);

/** Latest first. */
export async function listRefusedEdges(tx: Tx, tenantId: string, scope: AreaScope): Promise<RefusedEdge[]> {
  const rows = await tx.query<{
    name: string;
    area_id: string;
    code: string;
    params: Record<string, unknown>;
    times: number;
    first_at: Date;
    last_at: Date;
  }>(
    `SELECT name, area_id, code, params, times, first_at, last_at FROM devices.refused_edges
     WHERE tenant_id = $1 AND ($2::uuid[] IS NULL OR area_id = ANY ($2)) AND last_at > now() - interval '30 days'
     ORDER BY last_at DESC, name LIMIT $3`,
    [tenantId, scopeIds(scope), maxRefused],
  );
  return rows.map(({ area_id, first_at, last_at, ...row }) => ({
    ...row,
    areaId: area_id,
    firstAt: first_at.toISOString(),
    lastAt: last_at.toISOString(),
  }));
}
