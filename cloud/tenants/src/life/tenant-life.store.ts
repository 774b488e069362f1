import type { PartReport, Tx } from '@star/platform';
import type { RemovalReport, TenantState } from '@stardipper/proto';

export interface TenantRow {
  readonly tenant_id: string;
  readonly name: string;
  readonly kind: 'customer' | 'platform';
  readonly state: TenantState;
  readonly reason: string | null;
  readonly created_at: Date;
  readonly state_since: Date;
  readonly delete_after: Date | null;
  readonly removal: RemovalReport | null;
}

const columns = 'tenant_id, name, kind, state, reason, created_at, state_since, delete_after, removal';

/** False when the id is taken already. */
export const insertTenantRow = async (
  tx: Tx,
  tenant: { tenantId: string; name: string; kind: TenantRow['kind']; state: TenantState },
): Promise<boolean> =>
  (await tx.execute(
    'INSERT INTO tenants.tenants (tenant_id, name, kind, state) VALUES ($1, $2, $3, $4) ON CONFLICT ON CONSTRAINT tenants_pkey DO NOTHING',
    [tenant.tenantId, tenant.name, tenant.kind, tenant.state],
  )) === 1;

/** Only one that never came to be: everything else keeps its row for good. */
export const deleteOpeningTenant = (tx: Tx, tenantId: string): Promise<number> =>
  tx.execute("DELETE FROM tenants.tenants WHERE tenant_id = $1 AND state = 'opening'", [tenantId]);

export const findTenant = async (tx: Tx, tenantId: string): Promise<TenantRow | undefined> =>
  (await tx.query<TenantRow>(`SELECT ${columns} FROM tenants.tenants WHERE tenant_id = $1`, [tenantId]))[0];

/** Also one that is being opened or was removed. For a system transaction. */
export const hasCustomerBeside = async (tx: Tx, tenantId: string): Promise<boolean> =>
  (await tx.query("SELECT 1 FROM tenants.tenants WHERE kind = 'customer' AND tenant_id <> $1 LIMIT 1", [tenantId])).length > 0;

export const lockTenant = async (tx: Tx, tenantId: string): Promise<TenantRow | undefined> =>
  (await tx.query<TenantRow>(`SELECT ${columns} FROM tenants.tenants WHERE tenant_id = $1 FOR UPDATE`, [tenantId]))[0];

export const writeTenantState = (
  tx: Tx,
  tenantId: string,
  change: { state: TenantState; reason?: string | null; deleteAfter?: Date | null; at: Date; removal?: RemovalReport },
): Promise<number> =>
  tx.execute(`UPDATE tenants.tenants SET state = $2, reason = $3, delete_after = $4, state_since = $5, removal = $6 WHERE tenant_id = $1`, [
    tenantId,
    change.state,
    change.reason ?? null,
    change.deleteAfter ?? null,
    change.at,
    change.removal === undefined ? null : JSON.stringify(change.removal),
  ]);

export interface TenantFilter {
  readonly state?: TenantState;
  readonly name?: string;
  readonly before?: readonly [string, string];
}

/** Newest first. */
export const listTenants = (tx: Tx, { state, name, before }: TenantFilter, limit: number): Promise<(TenantRow & { micros: string })[]> =>
  tx.query(
    `SELECT ${columns}, (extract(epoch FROM created_at) * 1000000)::bigint::text AS micros FROM tenants.tenants
     WHERE (created_at, tenant_id) < (coalesce('epoch'::timestamptz + $1::bigint * interval '1 microsecond', 'infinity'), $2::uuid)
       AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR strpos(lower(name), lower($4)) > 0)
     ORDER BY created_at DESC, tenant_id DESC LIMIT $5`,
    [before?.[0] ?? null, before?.[1] ?? '00000000-0000-0000-0000-000000000000', state ?? null, name ?? null, limit],
  );

/** Past their grace period. */
export const dueTenants = (tx: Tx, now: Date, limit: number): Promise<{ tenant_id: string }[]> =>
  tx.query("SELECT tenant_id FROM tenants.tenants WHERE state = 'deleting' AND delete_after <= $1 ORDER BY delete_after LIMIT $2", [
    now,
    limit,
  ]);

export interface PartRow {
  readonly service: string;
  readonly requested_at: Date;
  readonly finished_at: Date | null;
  readonly report: PartReport | null;
}

export const readParts = (tx: Tx, jobId: string, action: string): Promise<PartRow[]> =>
  tx.query<PartRow>('SELECT service, requested_at, finished_at, report FROM tenants.parts WHERE job_id = $1 AND action = $2', [
    jobId,
    action,
  ]);

export const writePartRequest = (tx: Tx, tenantId: string, jobId: string, action: string, service: string, at: Date): Promise<number> =>
  tx.execute(
    `INSERT INTO tenants.parts (tenant_id, job_id, action, service, requested_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT ON CONSTRAINT parts_pkey DO UPDATE SET requested_at = excluded.requested_at`,
    [tenantId, jobId, action, service, at],
  );

/** None when nobody asked for it. */
export const writePartFinished = (tx: Tx, jobId: string, action: string, service: string, report: PartReport): Promise<number> =>
  tx.execute(
    'UPDATE tenants.parts SET finished_at = now(), report = $4 WHERE job_id = $1 AND action = $2 AND service = $3 AND finished_at IS NULL',
    [jobId, action, service, JSON.stringify(report)],
  );

export const forgetParts = (tx: Tx, jobId: string): Promise<number> => tx.execute('DELETE FROM tenants.parts WHERE job_id = $1', [jobId]);
