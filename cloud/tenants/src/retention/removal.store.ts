import { randomUUID } from 'node:crypto';
import type { Removal, RemovalKind, Tx } from '@star/platform';

/** Adds to what the run has removed of the kind; answers whether this was the first of it. */
export const addRemoval = async (tx: Tx, removal: Removal): Promise<boolean> => {
  const [row] = await tx.query<{ first: boolean }>(
    `INSERT INTO tenants.removals AS r (tenant_id, id, run_id, kind, removed_at, before_at, settings_version, items, bytes)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT ON CONSTRAINT removals_of_run DO UPDATE SET items = r.items + excluded.items, bytes = r.bytes + excluded.bytes,
       before_at = excluded.before_at, settings_version = excluded.settings_version
     RETURNING r.items = $8::bigint AS first`,
    [
      removal.tenantId,
      randomUUID(),
      removal.runId,
      removal.kind,
      removal.at,
      removal.before,
      removal.settingsVersion,
      removal.items,
      removal.bytes,
    ],
  );
  return row?.first === true;
};

export interface RemovalRow {
  readonly id: string;
  readonly kind: RemovalKind;
  readonly removed_at: Date;
  readonly before_at: Date;
  readonly settings_version: number | null;
  readonly items: number;
  readonly bytes: number;
  readonly micros: string;
}

/** Newest first, from after `before` (microseconds, id). */
export const listRemovals = (
  tx: Tx,
  tenantId: string,
  before: readonly [string, string] | undefined,
  limit: number,
): Promise<RemovalRow[]> =>
  tx.query(
    `SELECT id, kind, removed_at, before_at, settings_version, items, bytes,
       (extract(epoch FROM removed_at) * 1000000)::bigint::text AS micros FROM tenants.removals
     WHERE tenant_id = $1 AND ($2::bigint IS NULL OR (removed_at, id) < (to_timestamp(0) + $2::bigint * interval '1 microsecond', $3::uuid))
     ORDER BY removed_at DESC, id DESC LIMIT $4`,
    [tenantId, before?.[0] ?? null, before?.[1] ?? null, limit],
  );

export const deleteRemovals = (tx: Tx, tenantId: string, before: Date): Promise<number> =>
  tx.execute('DELETE FROM tenants.removals WHERE tenant_id = $1 AND removed_at < $2', [tenantId, before]);

/** Those that are not being removed as a whole. For a system transaction. */
export const listKeptTenants = async (tx: Tx): Promise<string[]> =>
  (
    await tx.query<{ tenant_id: string }>(
      "SELECT tenant_id FROM tenants.tenants WHERE state NOT IN ('opening', 'removing', 'removed') ORDER BY tenant_id",
    )
  ).map((row) => row.tenant_id);
