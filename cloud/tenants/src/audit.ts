import { type AuditEntry, currentOrigin, currentTrace, type Tx } from '@star/platform';
import { insertAudit } from './audit.store';

/**
 * One line of the audit log, in the transaction of what it records: neither happens without the other. Where the
 * request came from is added here. The application's role can add lines and read them, never change or remove one.
 */
export async function recordAudit(tx: Tx, entry: AuditEntry): Promise<void> {
  const origin = currentOrigin();
  await insertAudit(tx, {
    tenantId: entry.tenantId,
    user_id: entry.userId ?? null,
    username: entry.username,
    action: entry.action,
    subject: entry.subject,
    ip: origin?.ip ?? null,
    user_agent: origin?.userAgent ?? null,
    trace_id: currentTrace()?.traceId ?? null,
    before: entry.before ?? null,
    after: entry.after ?? null,
    reason: entry.reason ?? null,
    details: { ...entry.details },
  });
}
