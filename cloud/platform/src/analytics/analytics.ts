/** ClickHouse, bound to one tenant: every statement gets `{tenant:UUID}` and cannot leave it out. */
export interface TenantAnalytics {
  /** Rows get `tenant_id` added. The same `token` inserts once. */
  insert(table: string, rows: readonly Record<string, unknown>[], token: string): Promise<void>;
  /** SQL must use `{tenant:UUID}`; refused otherwise. */
  query<R>(sql: string, params?: Readonly<Record<string, unknown>>): Promise<R[]>;
}

export interface Analytics {
  forTenant(tenantId: string): TenantAnalytics;
  /** Plain numbered SQL files, once each. */
  migrate(service: string, folder: string): Promise<void>;
  ping(): Promise<void>;
  close(): Promise<void>;
}
