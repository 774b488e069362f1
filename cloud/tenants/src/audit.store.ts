import type { Tx } from '@star/platform';

export interface AuditRow {
  readonly id: number;
  readonly at: Date;
  readonly user_id: string | null;
  readonly username: string;
  readonly action: string;
  readonly subject: string;
  readonly ip: string | null;
  readonly user_agent: string | null;
  readonly trace_id: string | null;
  readonly before: Record<string, unknown> | null;
  readonly after: Record<string, unknown> | null;
  readonly reason: string | null;
  readonly details: Record<string, unknown>;
}

const columns = 'id, at, user_id, username, action, subject, ip, user_agent, trace_id, before, after, reason, details';

const json = (value: Record<string, unknown> | null) => (value === null ? null : JSON.stringify(value));

/** The line, and the note that it waits to be linked: one statement, because it is part of every audited write. */
export const insertAudit = (tx: Tx, row: Omit<AuditRow, 'id' | 'at'> & { tenantId: string }): Promise<number> =>
  tx.execute(
    `WITH line AS (
       INSERT INTO tenants.audit_log (tenant_id, user_id, username, action, subject, ip, user_agent, trace_id, before, after, reason, details)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING tenant_id, id)
     INSERT INTO tenants.audit_unlinked (tenant_id, audit_id) SELECT tenant_id, id FROM line`,
    [
      row.tenantId,
      row.user_id,
      row.username,
      row.action,
      row.subject,
      row.ip,
      row.user_agent,
      row.trace_id,
      json(row.before),
      json(row.after),
      row.reason,
      JSON.stringify(row.details),
    ],
  );

export interface AuditFilter {
  /** A user's name, in any case of its letters. */
  readonly actor?: string;
  /** A whole action, or with `.` at the end all that begin so. */
  readonly action?: string;
  /** The id of what was changed or looked at, or of somebody in a list that was looked at. */
  readonly subject?: string;
  readonly from?: string;
  /** Exclusive. */
  readonly to?: string;
}

/** Of one tenant; newest first below `beforeId`. */
export const listAudit = (
  tx: Tx,
  tenantId: string,
  filter: AuditFilter,
  beforeId: number | undefined,
  limit: number,
): Promise<AuditRow[]> => {
  const conditions = ['tenant_id = $1'];
  const params: unknown[] = [tenantId];
  const where = (sql: (place: string) => string, value: unknown) => {
    if (value === undefined) return;
    params.push(value);
    conditions.push(sql(`$${params.length}`));
  };
  where((p) => `id < ${p}`, beforeId);
  where((p) => `lower(username) = lower(${p})`, filter.actor);
  where((p) => (filter.action?.endsWith('.') ? `starts_with(action, ${p})` : `action = ${p}`), filter.action);
  // A list looked at is one line, which names the people it was about.
  where((p) => `(subject = ${p} OR (details ? 'personIds' AND details->'personIds' ? ${p}))`, filter.subject);
  where((p) => `at >= ${p}`, filter.from);
  where((p) => `at < ${p}`, filter.to);
  params.push(limit);
  return tx.query<AuditRow>(
    `SELECT ${columns} FROM tenants.audit_log WHERE ${conditions.join(' AND ')} ORDER BY id DESC LIMIT $${params.length}`,
    params,
  );
};
