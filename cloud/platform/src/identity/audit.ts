import type { Tx } from '../postgres/database';
import type { Caller } from './identity';

/** Who did what to which thing. */
export interface AuditEntry {
  readonly tenantId: string;
  /** Absent for what the system did by itself. */
  readonly userId?: string;
  readonly username: string;
  /** Dotted verb in the past, such as `search.started`. */
  readonly action: string;
  /** Id of the thing looked at or changed. */
  readonly subject: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Writes one line of the audit log in the caller's transaction: what is not recorded has not happened. */
export type Audit = (tx: Tx, entry: AuditEntry) => Promise<void>;

/** Of an entry, what the caller's token says. */
export const who = ({ tenantId, userId, username }: Caller) => ({ tenantId, userId, username });
