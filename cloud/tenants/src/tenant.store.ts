import type { Tx } from '@star/platform';

export const insertTenant = (tx: Tx, tenantId: string, name: string): Promise<number> =>
  tx.execute('INSERT INTO tenants.tenants (tenant_id, name) VALUES ($1, $2)', [tenantId, name]);

export const findTenantName = async (tx: Tx, tenantId: string): Promise<string | undefined> =>
  (await tx.query<{ name: string }>('SELECT name FROM tenants.tenants WHERE tenant_id = $1', [tenantId]))[0]?.name;

/** Until the transaction ends, nobody else changes who administers the tenant. */
export const lockAdmins = (tx: Tx, tenantId: string): Promise<number> =>
  tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('tenants.admins ' || $1, 0))", [tenantId]);

export interface AuditRow {
  readonly id: number;
  readonly at: Date;
  readonly user_id: string | null;
  readonly username: string;
  readonly action: string;
  readonly subject: string;
  readonly details: Record<string, unknown>;
}

export const insertAudit = (tx: Tx, row: Omit<AuditRow, 'id' | 'at'> & { tenantId: string }): Promise<number> =>
  tx.execute('INSERT INTO tenants.audit_log (tenant_id, user_id, username, action, subject, details) VALUES ($1, $2, $3, $4, $5, $6)', [
    row.tenantId,
    row.user_id,
    row.username,
    row.action,
    row.subject,
    JSON.stringify(row.details),
  ]);

/** Newest first. */
export const listAudit = (tx: Tx, beforeId: number | undefined, action: string | undefined, limit: number): Promise<AuditRow[]> =>
  tx.query<AuditRow>(
    `SELECT id, at, user_id, username, action, subject, details FROM tenants.audit_log
     WHERE ($1::bigint IS NULL OR id < $1) AND ($2::text IS NULL OR action = $2) ORDER BY id DESC LIMIT $3`,
    [beforeId ?? null, action ?? null, limit],
  );
