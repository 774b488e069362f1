import {
  type ClickHouseClient,
  ClickHouseError,
  ClickHouseLogLevel,
  type ClickHouseSettings,
  createClient,
  SettingsMap,
} from '@clickhouse/client';
import { AppError } from '../errors/app-error';
import type { Analytics } from './analytics';
import { analyticsErrors } from './analytics.errors';
import { migrateAnalytics } from './clickhouse-migrations.store';

export interface AnalyticsOptions {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** Created by `migrate` when missing. */
  readonly database: string;
  readonly requestTimeoutMs?: number;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/;
const tablesFreshMs = 60_000;

/** The same for chdb and a real server, so that neither's defaults decide how a value looks. */
const baseSettings: ClickHouseSettings = {
  session_timezone: 'UTC',
  date_time_output_format: 'iso',
  date_time_input_format: 'best_effort',
  output_format_json_quote_64bit_integers: 0,
};
const readSettings: ClickHouseSettings = {
  max_execution_time: 30,
  max_result_rows: '100000',
  result_overflow_mode: 'throw',
  readonly: '1',
};
const insertSettings: ClickHouseSettings = {
  insert_deduplicate: 1,
  deduplicate_blocks_in_dependent_materialized_views: 1,
  async_insert: 0,
};

/** Opens lazily: succeeds while the server is down, and the first call reports `analytics.unavailable`. */
export function openAnalytics(options: AnalyticsOptions): Analytics {
  if (!identifier.test(options.database)) throw new RangeError('not a name for a database');
  const clientFor = (database: string) =>
    createClient({
      url: options.url,
      username: options.username,
      password: options.password,
      database,
      request_timeout: options.requestTimeoutMs ?? 60_000,
      compression: { request: false, response: false },
      keep_alive: { enabled: true, idle_socket_ttl: 2500 },
      log: { level: ClickHouseLogLevel.OFF },
      application: 'star',
      clickhouse_settings: baseSettings,
    });
  const client = clientFor(options.database);
  const walls = new TenantWalls(client, options.database);

  const insert = async (table: string, rows: readonly object[], token: string) => {
    if (!identifier.test(table)) throw analyticsErrors.error('analytics.row_invalid', { table });
    if (rows.length === 0) return;
    await outward(() =>
      client.insert({
        table,
        values: rows,
        format: 'JSONEachRow',
        clickhouse_settings: { ...insertSettings, insert_deduplication_token: token },
      }),
    );
  };
  return {
    forTenant: (tenantId) => {
      if (!uuid.test(tenantId)) throw analyticsErrors.error('analytics.tenant_missing');
      return {
        insert: (table, rows, token) =>
          insert(
            table,
            rows.map((row) => ({ ...row, tenant_id: tenantId })),
            `${tenantId}:${token}`,
          ),
        query: async <R>(sql: string, params: Readonly<Record<string, unknown>> = {}): Promise<R[]> => {
          if (!usesTenant(sql)) throw analyticsErrors.error('analytics.tenant_missing');
          return outward(async () => {
            const settings = { ...readSettings, additional_table_filters: await walls.filtersFor(tenantId) };
            const result = await client.query({
              query: sql,
              query_params: { ...params, tenant: tenantId },
              format: 'JSONEachRow',
              clickhouse_settings: settings,
            });
            return (await result.json()) as R[];
          });
        },
        remove: async (table, column, id) => {
          if (!identifier.test(table) || !identifier.test(column) || !uuid.test(id))
            throw analyticsErrors.error('analytics.row_invalid', { table });
          await outward(() =>
            client.command({
              query: `DELETE FROM ${table} WHERE tenant_id = {tenant:UUID} AND ${column} = {id:UUID}`,
              query_params: { tenant: tenantId, id },
            }),
          );
        },
        removeBetween: async (table, column, fromMs, toMs) => {
          if (!identifier.test(table) || !identifier.test(column)) throw analyticsErrors.error('analytics.row_invalid', { table });
          await outward(() =>
            client.command({
              query: `DELETE FROM ${table} WHERE tenant_id = {tenant:UUID}
                AND ${column} >= fromUnixTimestamp64Milli({from:Int64}) AND ${column} < fromUnixTimestamp64Milli({to:Int64})`,
              query_params: { tenant: tenantId, from: fromMs, to: toMs },
            }),
          );
        },
        removeAll: () =>
          outward(async () => {
            const removed: Record<string, number> = {};
            for (const table of await walls.tablesWithRows()) {
              const counted = await client.query({
                query: `SELECT count() AS rows FROM ${table} WHERE tenant_id = {tenant:UUID}`,
                query_params: { tenant: tenantId },
                format: 'JSONEachRow',
              });
              const [{ rows } = { rows: 0 }] = (await counted.json()) as { rows: number | string }[];
              if (Number(rows) === 0) continue;
              await client.command({ query: `DELETE FROM ${table} WHERE tenant_id = {tenant:UUID}`, query_params: { tenant: tenantId } });
              removed[table] = Number(rows);
            }
            return removed;
          }),
      };
    },
    ingest: async (table, rows, token) => {
      if (rows.some((row) => !uuid.test(String(row.tenant_id)))) throw analyticsErrors.error('analytics.row_invalid', { table });
      await insert(table, rows, token);
    },
    purge: () =>
      outward(async () => {
        const result = await client.query({
          query: `SELECT DISTINCT table, partition_id FROM system.parts
                  WHERE database = {database:String} AND active AND has_lightweight_delete ORDER BY table, partition_id`,
          query_params: { database: options.database },
          format: 'JSONEachRow',
        });
        const partitions = (await result.json()) as { table: string; partition_id: string }[];
        for (const { table, partition_id: id } of partitions.filter(
          (each) => identifier.test(each.table) && /^[\w-]+$/.test(each.partition_id),
        ))
          await client.command({
            query: `ALTER TABLE ${table} APPLY DELETED MASK IN PARTITION ID '${id}'`,
            clickhouse_settings: { mutations_sync: '1' },
          });
        return partitions.length;
      }),
    migrate: (service, folder) =>
      outward(async () => {
        const outside = clientFor('default');
        try {
          await outside.command({ query: `CREATE DATABASE IF NOT EXISTS ${options.database}` });
        } finally {
          await outside.close();
        }
        await migrateAnalytics(client, service, folder);
        walls.forget();
      }),
    ping: async () => {
      const answer = await client.ping({ select: true });
      if (!answer.success) throw analyticsErrors.error('analytics.unavailable', {}, answer.error);
    },
    close: () => client.close(),
  };
}

/** `{tenant:UUID}` outside of comments and string literals. */
function usesTenant(sql: string): boolean {
  const bare = sql.replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\]|\\.|'')*'/g, ' ');
  return /\{\s*tenant\s*:\s*UUID\s*\}/.test(bare);
}

/**
 * Filters that the engine puts before every table with a `tenant_id`, whatever the statement says. Row policies would do
 * the same on a server, but chdb has no users to bind them to.
 */
class TenantWalls {
  #tables: Promise<string[]> | undefined;
  #readAt = 0;

  constructor(
    private readonly client: ClickHouseClient,
    private readonly database: string,
  ) {}

  async filtersFor(tenantId: string): Promise<SettingsMap> {
    if (!this.#tables || performance.now() - this.#readAt > tablesFreshMs) {
      this.#readAt = performance.now();
      this.#tables = this.#read();
      this.#tables.catch(() => this.forget());
    }
    const tables = await this.#tables;
    // SettingsMap puts values between quotes and escapes nothing.
    const filter = `tenant_id = toUUID(\\'${tenantId}\\')`;
    return SettingsMap.from(Object.fromEntries(tables.map((table) => [`${this.database}.${table}`, filter])));
  }

  forget(): void {
    this.#tables = undefined;
  }

  /** Of those with a `tenant_id`, the ones that are no views: what a view shows lies in another. */
  async tablesWithRows(): Promise<string[]> {
    const result = await this.client.query({
      query: `SELECT DISTINCT c.table AS table FROM system.columns AS c JOIN system.tables AS t ON t.database = c.database AND t.name = c.table
              WHERE c.database = {database:String} AND c.name = 'tenant_id' AND t.engine LIKE '%MergeTree' ORDER BY table`,
      query_params: { database: this.database },
      format: 'JSONEachRow',
    });
    const rows = (await result.json()) as { table: string }[];
    return rows.map((row) => row.table).filter((table) => identifier.test(table));
  }

  async #read(): Promise<string[]> {
    const result = await this.client.query({
      query: `SELECT table FROM system.columns WHERE database = {database:String} AND name = 'tenant_id'`,
      query_params: { database: this.database },
      format: 'JSONEachRow',
    });
    const rows = (await result.json()) as { table: string }[];
    return rows.map((row) => row.table).filter((table) => identifier.test(table));
  }
}

/** Errors that time may heal can be retried; the others are ours. */
async function outward<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (!(error instanceof ClickHouseError))
      throw analyticsErrors.error(/timeout/i.test(String(error)) ? 'analytics.timeout' : 'analytics.unavailable', {}, error);
    // TIMEOUT_EXCEEDED; then TOO_MANY_SIMULTANEOUS_QUERIES, TOO_MANY_PARTS, MEMORY_LIMIT_EXCEEDED, TABLE_IS_READ_ONLY, KEEPER_EXCEPTION.
    if (error.code === '159') throw analyticsErrors.error('analytics.timeout', {}, error);
    if (['202', '252', '241', '242', '999'].includes(error.code)) throw analyticsErrors.error('analytics.unavailable', {}, error);
    throw analyticsErrors.error('analytics.failed', { code: error.code, type: error.type }, error);
  }
}
