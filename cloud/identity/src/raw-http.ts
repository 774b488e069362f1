import type { IncomingMessage, ServerResponse } from 'node:http';

/** Far more than any form of ours. */
const maxFormBytes = 10_000;
/** What is too large is read to its end, so that the answer arrives; longer than this it is cut. */
const maxReadBytes = 1_000_000;

/** Fields of a form, the last of each name. Undefined when it is none: another content type, or too large. */
export async function readForm(request: IncomingMessage): Promise<Readonly<Record<string, string>> | undefined> {
  if (!/^application\/x-www-form-urlencoded\b/i.test(request.headers['content-type'] ?? '')) return undefined;
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > maxReadBytes) request.destroy();
    if (bytes <= maxFormBytes) parts.push(part);
  }
  if (bytes > maxFormBytes) return undefined;
  return Object.fromEntries(new URLSearchParams(Buffer.concat(parts).toString('utf8')));
}

export function redirect(response: ServerResponse, to: string): void {
  response.writeHead(303, { location: to, 'content-length': 0, 'cache-control': 'no-store' }).end();
}

export function sendJson(response: ServerResponse, status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
  const text = JSON.stringify(body);
  response
    .writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      ...headers,
      'content-length': Buffer.byteLength(text),
    })
    .end(text);
}
