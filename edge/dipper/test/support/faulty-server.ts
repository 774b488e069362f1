/** A file server with the faults of real ones, on a port of its own. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ServedFile {
  bytes: Buffer;
  etag: string;
}
/** Answers one request. */
export type Answer = (request: IncomingMessage, response: ServerResponse, file: ServedFile) => void;

export class FaultyServer {
  /** For the requests in turn; once they are used up, every request is answered honestly. */
  readonly plan: Answer[] = [];
  /** As `GET /path bytes=5-`, in order. */
  readonly requests: string[] = [];
  private readonly files = new Map<string, ServedFile>();
  private readonly server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://x').pathname;
    this.requests.push([path, request.headers.range].filter(Boolean).join(' '));
    const file = this.files.get(path);
    if (!file) response.writeHead(404).end();
    else (this.plan.shift() ?? honest)(request, response, file);
  });

  static async start(): Promise<FaultyServer> {
    const faulty = new FaultyServer();
    await new Promise<void>((resolve) => faulty.server.listen(0, '127.0.0.1', resolve));
    return faulty;
  }

  /** Answers the address. */
  serve(path: string, bytes: Buffer, etag = '"1"'): string {
    this.files.set(path, { bytes, etag });
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}${path}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** Ranges and If-Range as RFC 9110 wants them. */
export const honest: Answer = (request, response, { bytes, etag }) => {
  const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
  if (from === undefined || request.headers['if-range'] !== etag) {
    response.writeHead(200, { etag, 'content-length': bytes.length }).end(bytes);
    return;
  }
  const start = Number(from);
  if (start >= bytes.length) {
    response.writeHead(416, { etag, 'content-range': `bytes */${bytes.length}` }).end();
    return;
  }
  const headers = { etag, 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}`, 'content-length': bytes.length - start };
  response.writeHead(206, headers).end(bytes.subarray(start));
};

/** Hangs up after so many bytes of the body that `answer` would give. */
export const droppedAfter =
  (count: number, answer: Answer = honest): Answer =>
  (request, response, file) => {
    response.end = ((body?: Buffer) => {
      response.write((body ?? Buffer.alloc(0)).subarray(0, count), () => response.socket?.end());
      return response;
    }) as typeof response.end;
    answer(request, response, file);
  };

/** Sends so many bytes and then nothing, for ever. */
export const silentAfter =
  (count: number): Answer =>
  (_, response, { bytes, etag }) => {
    response.writeHead(200, { etag, 'content-length': bytes.length }).write(bytes.subarray(0, count));
  };

export const status =
  (code: number): Answer =>
  (_, response) =>
    void response.writeHead(code).end('no');

/** Knows no ranges. */
export const whole: Answer = (_, response, { bytes, etag }) =>
  void response.writeHead(200, { etag, 'content-length': bytes.length }).end(bytes);

/** Nothing by which the file could be known again. */
export const nameless: Answer = (_, response, { bytes }) => void response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
