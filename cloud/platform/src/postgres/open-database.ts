import { setTimeout as sleep } from 'node:timers/promises';
import { types } from 'node:util';
import { escapeIdentifier, escapeLiteral, Pool, type PoolClient, TypeOverrides } from 'pg';
import { AppError, defineErrors } from '../errors/app-error';
import { postgresError } from './constraint-errors';
import type { Database, Tx } from './database';
import { listenForever } from './listen';

/** What the platform asks of a logger; pino's loggers are this. */
export interface Log {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

/** Taken for the length of a transaction that works across tenants; nobody logs in as it. */
export const systemRole = 'star_system';

export interface DatabaseOptions {
  /** The address of the application role: no owner, no BYPASSRLS, member of the system role without inheriting it. */
  readonly url: string;
  /** `star_system` unless told. */
  readonly systemRole?: string;
  /** Connections kept at most; 10 unless told. */
  readonly poolSize?: number;
  /** A statement running longer is cancelled: `database.timeout`. 30 s unless told. */
  readonly statementTimeoutMs?: number;
  /** Waiting longer for a lock fails with `database.timeout`. 10 s unless told. */
  readonly lockTimeoutMs?: number;
  readonly log?: Log;
  /** Called with the time of every transaction, for metrics. */
  readonly onTransaction?: (kind: 'tenant' | 'system', outcome: 'commit' | 'rollback', durationMs: number) => void;
}

export const databaseErrors = defineErrors({
  'database.unavailable': 'unavailable',
  'database.timeout': 'timeout',
  'database.tenant_invalid': 'internal',
});

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** With five tries and doubling pauses, 50 writers of one row under SERIALIZABLE all get through. */
const maxAttempts = 5;

/** bigint as a number: counts, milliseconds and positions stay far below 2^53, and anything beyond fails loudly. */
const typeParsers = new TypeOverrides();
typeParsers.setTypeParser(20, (text: string) => {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError('a bigint beyond 2^53 was read');
  return value;
});

/** Opens the pool; connects lazily, so it succeeds while the server is down and the first transaction reports it. */
export function openDatabase(options: DatabaseOptions): Database {
  const { log } = options;
  const asSystem = `SET LOCAL ROLE ${escapeIdentifier(options.systemRole ?? systemRole)}`;
  const settings = {
    connectionString: options.url,
    statement_timeout: options.statementTimeoutMs ?? 30_000,
    lock_timeout: options.lockTimeoutMs ?? 10_000,
    idle_in_transaction_session_timeout: 60_000,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    application_name: 'star',
    types: typeParsers,
  };
  const pool = new Pool({ ...settings, max: options.poolSize ?? 10, idleTimeoutMillis: 30_000, allowExitOnIdle: false });
  // Without a listener an idle connection that breaks (server restart) would end the process.
  pool.on('error', (error) => log?.warn({ err: error }, 'an idle database connection broke'));
  const closing = new AbortController();

  const transaction = async <T>(kind: 'tenant' | 'system', begin: string, work: (tx: Tx) => Promise<T>): Promise<T> => {
    for (let attempt = 1; ; attempt++) {
      const started = performance.now();
      try {
        const result = await once(pool, begin, work);
        options.onTransaction?.(kind, 'commit', performance.now() - started);
        return result;
      } catch (error) {
        options.onTransaction?.(kind, 'rollback', performance.now() - started);
        const state = postgresError(error)?.code;
        if ((state !== '40001' && state !== '40P01') || attempt === maxAttempts) throw outward(error);
        log?.debug({ attempt, state }, 'a transaction is run again');
        await sleep(Math.random() * 10 * 2 ** attempt);
      }
    }
  };

  return {
    tenant: async (tenantId, work) => {
      // Checked here because it goes into the text of the statement: one round trip for BEGIN and the setting.
      if (!uuid.test(tenantId)) throw databaseErrors.error('database.tenant_invalid');
      return transaction('tenant', `BEGIN; SET LOCAL app.tenant_id = '${tenantId}'`, work);
    },
    system: (why, work) => transaction('system', `BEGIN; ${asSystem}; SET LOCAL app.why = ${escapeLiteral(why.slice(0, 100))}`, work),
    listen: (channel, onNotify, signal) => listenForever(settings, channel, onNotify, AbortSignal.any([signal, closing.signal]), log),
    ping: async () => {
      await pool.query('SELECT 1').catch((error: unknown) => {
        throw outward(error);
      });
    },
    close: async () => {
      closing.abort();
      if (!pool.ending) await pool.end();
    },
  };
}

async function once<T>(pool: Pool, begin: string, work: (tx: Tx) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  // A connection that dies between two statements emits here; the next statement then fails by itself.
  const onError = (error: Error) => {
    broken = error;
  };
  client.on('error', onError);
  try {
    await client.query(begin);
    const result = await work(txOn(client));
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((rollbackError: Error) => {
      broken = rollbackError;
    });
    throw error;
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}

const txOn = (client: PoolClient): Tx => ({
  query: async <R extends object>(sql: string, params: readonly unknown[] = []) => (await client.query(sql, [...params])).rows as R[],
  execute: async (sql, params = []) => (await client.query(sql, [...params])).rowCount ?? 0,
});

const lostConnection = /^(08|57P0|53)/;

/** Connection and time-out failures as AppErrors that may be retried; everything else as it is. */
function outward(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const state = postgresError(error)?.code;
  if (state === '57014' || state === '55P03') return databaseErrors.error('database.timeout', {}, error);
  if (state !== undefined) return lostConnection.test(state) ? databaseErrors.error('database.unavailable', {}, error) : error;
  if (types.isNativeError(error) && isConnectionLoss(error)) return databaseErrors.error('database.unavailable', {}, error);
  return error;
}

// node-postgres gives these two no code, so its text is all there is to go by.
const isConnectionLoss = (error: Error) =>
  /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH)/.test(String((error as NodeJS.ErrnoException).code ?? '')) ||
  /Connection terminated|timeout exceeded when trying to connect/i.test(error.message);
