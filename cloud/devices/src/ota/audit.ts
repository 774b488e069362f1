import type { Caller, Tx } from '@star/platform';

export interface AuditEntry {
  readonly tenantId: string;
  readonly userId: string;
  readonly username: string;
  /** Dotted verb in the past, such as `software.assigned`. */
  readonly action: string;
  /** Id of the thing changed. */
  readonly subject: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Writes one line of the audit log in the caller's transaction: neither happens without the other. */
export type Audit = (tx: Tx, entry: AuditEntry) => Promise<void>;

export const who = ({ tenantId, userId, username }: Caller) => ({ tenantId, userId, username });
