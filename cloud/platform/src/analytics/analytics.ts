/** ClickHouse, bound to one tenant: every statement gets `{tenant:UUID}` and cannot leave it out. */
export interface TenantAnalytics {
  /** Rows get `tenant_id` added. The same `token` inserts once. */
  insert(table: string, rows: readonly Record<string, unknown>[], token: string): Promise<void>;
  /**
   * SQL must use `{tenant:UUID}`; `analytics.tenant_missing` otherwise. Besides, the engine itself filters every table that
   * has a `tenant_id`, so that a branch of a UNION that forgot it shows nothing of others. Reads only. Big integers come
   * as numbers, times as ISO 8601 in UTC. At most 100,000 rows.
   */
  query<R>(sql: string, params?: Readonly<Record<string, unknown>>): Promise<R[]>;
  /** Deletes the tenant's rows whose UUID `column` has this value. Once it resolves nobody reads them; none is no error. */
  remove(table: string, column: string, id: string): Promise<void>;
  /** Deletes the tenant's rows whose DateTime64 `column` is in `[fromMs, toMs)`. Once it resolves nobody reads them; none is no error. */
  removeBetween(table: string, column: string, fromMs: number, toMs: number): Promise<void>;
  /** Deletes all of the tenant's rows in every table that keeps rows; answers how many there were by table. */
  removeAll(): Promise<Record<string, number>>;
}

export interface Analytics {
  forTenant(tenantId: string): TenantAnalytics;
  /**
   * For consumers of the bus, whose batches mix tenants: every row carries its `tenant_id`, refused otherwise. The same
   * `token` inserts once, also through materialized views, as long as both tables keep a deduplication window
   * (`non_replicated_deduplication_window`, or replicated tables). A batch that is delivered again must have the same rows.
   */
  ingest(
    table: string,
    rows: readonly ({ readonly tenant_id: string } & Readonly<Record<string, unknown>>)[],
    token: string,
  ): Promise<void>;
  /**
   * Plain numbered SQL files, once each, statements separated by `;` at the end of a line. ClickHouse has no
   * transactions: write `IF NOT EXISTS`, since a file that was broken off, or that two processes run at once, is run again.
   */
  migrate(service: string, folder: string): Promise<void>;
  /**
   * Takes deleted rows out of the files, where they are only marked until then, for ever in a partition that nothing is
   * added to any more. The files from before go some minutes later. Answers how many partitions had some.
   */
  purge(): Promise<number>;
  ping(): Promise<void>;
  close(): Promise<void>;
}
