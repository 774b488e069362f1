import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { Session } from 'chdb';
import { ClickHouseProblem, isAuthorised, parseStatement, preparations, problemOf, type StatementRequest } from './chdb-requests';

export interface ChdbServerOptions {
  readonly dataDir: string;
  readonly username: string;
  readonly password: string;
  /** 0 for a free one. */
  readonly port: number;
}

const maxBodyBytes = 64 * 1024 * 1024;
/** A statement holds a thread of libuv's pool while it runs; the process is started with two more than these. */
const maxRunning = 6;
const maxWaiting = 500;

/**
 * The part of ClickHouse's HTTP interface that its client uses, in front of chdb: statements, streamed results, inserts,
 * settings, parameters, databases, errors. Only one process may own a data folder, so everyone else comes through here.
 * Each request gets a chdb session of its own (0.5 ms): settings and parameters of one can never reach another.
 */
export async function serveChdb(options: ChdbServerOptions): Promise<{ port: number; close(): Promise<void> }> {
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  // Rows that were acknowledged must survive a power cut; ClickHouse does not fsync parts unless told.
  const config = join(options.dataDir, 'star-config.xml');
  writeFileSync(
    config,
    '<clickhouse><merge_tree><fsync_after_insert>1</fsync_after_insert><fsync_part_directory>1</fsync_part_directory></merge_tree></clickhouse>\n',
  );
  const open = () => new Session(options.dataDir, { connectionArgs: [`--config-file=${config}`] });
  // Keeps the engine up between requests; fails here when another process owns the folder.
  const keep = open();
  await keep.queryAsync('SELECT 1');
  const gate = new Gate();
  const server = createServer({ noDelay: true, requestTimeout: 120_000 }, (request, response) => {
    response.on('error', () => {});
    answer(request, response, options, open, gate).catch((error: unknown) => fail(response, error));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { port: address.port, close: () => close(server, keep) };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: ChdbServerOptions,
  open: () => Session,
  gate: Gate,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (url.pathname === '/ping') {
    response.end('Ok.\n');
    return;
  }
  if (!isAuthorised(request, options.username, options.password))
    throw new ClickHouseProblem(403, 516, 'Authentication failed. (AUTHENTICATION_FAILED)');
  if (url.pathname !== '/') throw new ClickHouseProblem(404, 48, 'There is no such handler. (NOT_IMPLEMENTED)');
  const statement = parseStatement(url);
  const body = await readBody(request);
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  await gate.pass(async () => {
    if (gone.signal.aborted) return;
    const session = open();
    try {
      for (const sql of preparations(statement)) await session.queryAsync(sql);
      response.setHeader('X-ClickHouse-Query-Id', statement.queryId ?? randomUUID());
      if (statement.query === '') await runStatement(session, statement, body.toString(), response, gone.signal);
      else await runInsert(session, statement, body, response);
    } finally {
      session.close();
    }
  });
}

/** Text formats only: chdb takes the data as the rest of the statement. */
async function runInsert(session: Session, statement: StatementRequest, body: Buffer, response: ServerResponse): Promise<void> {
  const text = body.toString();
  const isEmptyInsert = /^\s*INSERT\b/i.test(statement.query) && text.trim() === '';
  // The engine would call it an error; ClickHouse's server takes it as nothing to do.
  const result =
    isEmptyInsert && /\bFORMAT\b/i.test(statement.query)
      ? undefined
      : await session.queryAsync(`${statement.query}\n${text}`, { format: statement.defaultFormat });
  response.setHeader(
    'X-ClickHouse-Summary',
    JSON.stringify({
      read_rows: '0',
      read_bytes: String(body.length),
      written_rows: String(result?.rowsRead ?? 0),
      written_bytes: String(body.length),
      result_rows: '0',
      result_bytes: '0',
    }),
  );
  response.end(result?.bytes());
}

async function runStatement(
  session: Session,
  { defaultFormat }: StatementRequest,
  sql: string,
  response: ServerResponse,
  gone: AbortSignal,
): Promise<void> {
  response.setHeader('Content-Type', 'application/octet-stream');
  try {
    for await (const chunk of session.queryStream(sql, { format: defaultFormat, signal: gone })) {
      // The status goes out with the first chunk: most errors come before it and are answered properly.
      if (!response.write(chunk.raw())) await drained(response, gone);
      if (gone.aborted) return;
    }
    response.end();
  } catch (error) {
    if (!/Streaming query is not supported/.test(error instanceof Error ? error.message : '')) throw error;
    // Not a SELECT. The streaming parser has looked at it, so it is one statement, as the server demands.
    const result = await session.queryAsync(sql, { format: defaultFormat });
    response.end(result.bytes());
  }
}

const drained = (response: ServerResponse, gone: AbortSignal) =>
  new Promise<void>((resolve) => {
    response.once('drain', resolve);
    gone.addEventListener('abort', () => resolve(), { once: true });
  });

async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (request.headers['content-encoding'])
    throw new ClickHouseProblem(415, 48, 'Compression is not supported by the embedded server. (NOT_IMPLEMENTED)');
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new ClickHouseProblem(413, 307, `More than ${maxBodyBytes} bytes at once. (TOO_MANY_BYTES)`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function fail(response: ServerResponse, error: unknown): void {
  // Half an answer must not look whole: the client sees the connection break.
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const problem = problemOf(error);
  response.writeHead(problem.status, {
    'X-ClickHouse-Exception-Code': String(problem.exceptionCode),
    'Content-Type': 'text/plain; charset=UTF-8',
    Connection: 'close',
  });
  response.end(`${problem.message}\n`);
}

async function close(server: Server, keep: Session): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
  keep.close();
}

/** At most so many at a time, the others in line; refuses when the line is too long. */
class Gate {
  #running = 0;
  readonly #line: (() => void)[] = [];

  async pass(work: () => Promise<void>): Promise<void> {
    if (this.#running >= maxRunning) {
      if (this.#line.length >= maxWaiting)
        throw new ClickHouseProblem(503, 202, 'Too many simultaneous queries. (TOO_MANY_SIMULTANEOUS_QUERIES)');
      await new Promise<void>((resolve) => this.#line.push(resolve));
    } else this.#running += 1;
    try {
      await work();
    } finally {
      // The place goes over to the next in line, or becomes free.
      const next = this.#line.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}
