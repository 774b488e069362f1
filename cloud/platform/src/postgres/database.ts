import type { QueryResultRow } from 'pg';

/** One transaction. `query` takes SQL with $1… and answers the rows. */
export interface Tx {
  query<R extends QueryResultRow = QueryResultRow>(sql: string, params?: readonly unknown[]): Promise<R[]>;
  /** Rows touched by the last statement of the call. */
  execute(sql: string, params?: readonly unknown[]): Promise<number>;
}

/**
 * The relational port. Row-level security is on for every table with a `tenant_id`; the role behind this
 * pool cannot bypass it, so a transaction sees one tenant's rows; in `system`, which takes a role of its own,
 * those of all.
 */
export interface Database {
  /**
   * Runs `work` in one transaction as one tenant; rolls back when it throws. Serialization failures and
   * deadlocks are retried, so `work` may run again: no effects outside the transaction.
   */
  tenant<T>(tenantId: string, work: (tx: Tx) => Promise<T>): Promise<T>;
  /** For relays, consumers that look up whose a thing is, log-in and sweeps: across tenants, named for the audit. */
  system<T>(why: string, work: (tx: Tx) => Promise<T>): Promise<T>;
  /**
   * A LISTEN on its own connection. Resolves once the first LISTEN stands (or `signal` aborted before that);
   * it then lives until `signal` aborts and is re-established when it breaks. `onNotify('')` is called after
   * every reconnect, because notifications sent in between are gone: read the table again.
   */
  listen(channel: string, onNotify: (payload: string) => void, signal: AbortSignal): Promise<void>;
  ping(): Promise<void>;
  close(): Promise<void>;
}
