import type { AuditEntry, Caller, Tx } from '@star/platform';
import type { Page } from '@stardipper/proto';
import { z } from 'zod';
import type { TenantsDeps } from './deps';
import { insertAudit, listAudit } from './tenant.store';
import { tenantError } from './tenants.errors';

/**
 * One line of the audit log, in the transaction of what it records: neither happens without the other. The
 * application's role can add lines and read them, never change or remove one.
 */
export async function recordAudit(tx: Tx, entry: AuditEntry): Promise<void> {
  await insertAudit(tx, {
    tenantId: entry.tenantId,
    user_id: entry.userId ?? null,
    username: entry.username,
    action: entry.action,
    subject: entry.subject,
    details: { ...entry.details },
  });
}

export const auditLine = z.object({
  id: z.int(),
  at: z.iso.datetime(),
  userId: z.uuid().nullable(),
  username: z.string(),
  action: z.string(),
  subject: z.string(),
  details: z.record(z.string(), z.unknown()),
});
export type AuditLine = z.infer<typeof auditLine>;

/** Newest first. Throws `audit.cursor_invalid`. */
export const readAudit =
  (deps: TenantsDeps) =>
  async (caller: Caller, query: { cursor?: string; action?: string; limit: number }): Promise<Page<AuditLine>> => {
    if (query.cursor !== undefined && !/^\d{1,15}$/.test(query.cursor)) throw tenantError('audit.cursor_invalid');
    const before = query.cursor === undefined ? undefined : Number(query.cursor);
    const rows = await deps.database.tenant(caller.tenantId, (tx) => listAudit(tx, before, query.action, query.limit + 1));
    const page = rows.slice(0, query.limit);
    return {
      items: page.map(({ user_id, at, ...row }) => ({ ...row, at: at.toISOString(), userId: user_id })),
      nextCursor: rows.length > page.length ? String(page.at(-1)?.id) : null,
    };
  };
