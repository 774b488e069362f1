import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** What ClickHouse's HTTP interface takes apart from an address: https://clickhouse.com/docs/interfaces/http */
export interface StatementRequest {
  readonly queryId: string | undefined;
  readonly database: string | undefined;
  readonly defaultFormat: string;
  readonly settings: readonly (readonly [string, string])[];
  readonly params: readonly (readonly [string, string])[];
  /** The statement when it came in the address; then the body is the data of an INSERT. */
  readonly query: string;
}

/** Carries ClickHouse's own number of the error. */
export class ClickHouseProblem extends Error {
  constructor(
    readonly status: number,
    readonly exceptionCode: number,
    message: string,
  ) {
    super(`Code: ${exceptionCode}. DB::Exception: ${message}`);
  }
}

const identifier = /^[A-Za-z_][A-Za-z0-9_.]{0,99}$/;
/** Meant for the HTTP layer of the server; the engine does not know them. */
const httpOnly = new Set([
  'wait_end_of_query',
  'buffer_size',
  'send_progress_in_http_headers',
  'http_headers_progress_interval_ms',
  'http_response_buffer_size',
  'enable_http_compression',
  'add_http_cors_header',
  'cancel_http_readonly_queries_on_client_close',
  'compress',
  'decompress',
  'quota_key',
  'role',
]);

export function parseStatement(url: URL): StatementRequest {
  const settings: [string, string][] = [];
  const params: [string, string][] = [];
  let queryId: string | undefined;
  let database: string | undefined;
  let defaultFormat = 'TabSeparated';
  let query = '';
  for (const [name, value] of url.searchParams) {
    if (name === 'query') query = value;
    else if (name === 'query_id') queryId = value.slice(0, 200);
    else if (name === 'database') database = value;
    else if (name === 'default_format') defaultFormat = value;
    else if (name === 'session_id')
      throw new ClickHouseProblem(501, 48, 'Sessions are not supported by the embedded server. (NOT_IMPLEMENTED)');
    else if (httpOnly.has(name)) continue;
    else if (!identifier.test(name))
      throw new ClickHouseProblem(400, 115, `Setting ${JSON.stringify(name.slice(0, 100))} is not known. (UNKNOWN_SETTING)`);
    else if (name.startsWith('param_')) params.push([name, value]);
    else settings.push([name, value]);
  }
  if (database !== undefined && !identifier.test(database))
    throw new ClickHouseProblem(404, 81, 'Database does not exist. (UNKNOWN_DATABASE)');
  if (!/^[A-Za-z0-9]{1,60}$/.test(defaultFormat)) throw new ClickHouseProblem(400, 73, 'Unknown format. (UNKNOWN_FORMAT)');
  return { queryId, database, defaultFormat, settings, params, query };
}

/**
 * The statements that make a fresh session what the request asks for. The value of a parameter is quoted once as SQL and
 * otherwise left as it came: SET takes it in the same escaped form that HTTP does. `readonly` comes last, as it locks the others.
 */
export function preparations({ database, settings, params }: StatementRequest): string[] {
  const set = ([name, value]: readonly [string, string]) => `SET ${name} = ${quoted(value)}`;
  const last = settings.filter(([name]) => name === 'readonly');
  return [
    ...(database === undefined ? [] : [`USE \`${database}\``]),
    ...params.map(set),
    ...settings.filter(([name]) => name !== 'readonly').map(set),
    ...last.map(set),
  ];
}

const quoted = (value: string) => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** Basic authentication or ClickHouse's own headers; compared in constant time. */
export function isAuthorised(request: IncomingMessage, username: string, password: string): boolean {
  const given = credentialsOf(request);
  if (!given) return false;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const right = timingSafeEqual(digest(given.password), digest(password));
  return given.username === username && right;
}

function credentialsOf(request: IncomingMessage): { username: string; password: string } | undefined {
  const { 'x-clickhouse-user': user, 'x-clickhouse-key': key, authorization } = request.headers;
  if (typeof user === 'string' && typeof key === 'string') return { username: user, password: key };
  const basic = /^Basic ([A-Za-z0-9+/=]+)$/.exec(authorization ?? '')?.[1];
  if (basic === undefined) return undefined;
  const [username = '', ...rest] = Buffer.from(basic, 'base64').toString().split(':');
  return { username, password: rest.join(':') };
}

/** As ClickHouse's own server maps its errors, roughly; clients go by the header with the code. */
export function problemOf(error: unknown): ClickHouseProblem {
  if (error instanceof ClickHouseProblem) return error;
  const text = error instanceof Error ? error.message : String(error);
  const match = /Code: (\d+)\. DB::Exception: ([\s\S]*)$/.exec(text);
  const code = Number(match?.[1] ?? 1002);
  const status = { 60: 404, 81: 404, 62: 400, 47: 400, 36: 400, 164: 403, 159: 408, 202: 503 }[code] ?? 500;
  return new ClickHouseProblem(status, code, (match?.[2] ?? `${text} (UNKNOWN_EXCEPTION)`).slice(0, 10_000));
}
