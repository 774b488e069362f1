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
  /** What changed, as it was and as it is: only the fields concerned, never a secret. */
  readonly before?: Readonly<Record<string, unknown>>;
  readonly after?: Readonly<Record<string, unknown>>;
  /** In the words of who did it. */
  readonly reason?: string;
}

/**
 * Writes one line of the audit log in the caller's transaction: what is not recorded has not happened. Where the request
 * came from is added by itself (`currentOrigin`).
 */
export type Audit = (tx: Tx, entry: AuditEntry) => Promise<void>;

/** Of an entry, what the caller's token says. */
export const who = ({ tenantId, userId, username }: Caller) => ({ tenantId, userId, username });
