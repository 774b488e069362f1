import { createHash } from 'node:crypto';
import { type CreateTaskParams, mizar, queryDocument } from '@stardipper/proto';
import { queryHashMismatch, queryMalformed, queryNotReached, queryPackMismatch, queryUnavailable } from './merak.errors';

/** The question of a task, ready to be sent to Mizar. */
export interface Query {
  readonly threshold: number;
  /** In parts that each fit one gRPC message. */
  readonly parts: readonly (readonly mizar.QueryPerson[])[];
  readonly personIds: ReadonlySet<string>;
}

const fetchTimeoutMs = 60_000;
const partBytes = 4 * 1024 * 1024;

/**
 * Fetches a task's query document. Reads no more than was announced. Throws query.unavailable when the
 * address is refused for good, query.hash_mismatch, query.malformed, query.pack_mismatch, and
 * query.not_reached (worth a retry) when the network or the server fails.
 */
export async function fetchQuery({ query, packId }: Pick<CreateTaskParams, 'query' | 'packId'>, signal: AbortSignal): Promise<Buffer> {
  const bytes = await fetchDocument(query, signal);
  readQuery(bytes, packId);
  return bytes;
}

/** What Star put at a signed address. Throws as `fetchQuery`, but for what is in it. */
export async function fetchDocument(document: CreateTaskParams['query'], signal: AbortSignal): Promise<Buffer> {
  const bytes = await download(document.url, document.bytes, signal);
  if (bytes.length !== document.bytes || createHash('sha256').update(bytes).digest('hex') !== document.sha256) throw queryHashMismatch();
  return bytes;
}

async function download(url: string, limit: number, signal: AbortSignal): Promise<Buffer> {
  const timeout = AbortSignal.any([signal, AbortSignal.timeout(fetchTimeoutMs)]);
  const response = await fetch(url, { signal: timeout, headers: { 'accept-encoding': 'identity' } }).catch((error: unknown) => {
    throw queryNotReached(error);
  });
  if (response.status >= 500 || response.status === 408 || response.status === 429) {
    await response.body?.cancel();
    throw queryNotReached(response.status);
  }
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    throw queryUnavailable(response.status);
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  const body = response.body[Symbol.asyncIterator]();
  for (;;) {
    const next = await body.next().catch((error: unknown) => {
      throw queryNotReached(error);
    });
    if (next.done) return Buffer.concat(parts);
    size += next.value.length;
    if (size > limit) {
      await body.return?.();
      throw queryHashMismatch();
    }
    parts.push(next.value);
  }
}

/** Checks and decodes a query document; throws query.malformed or query.pack_mismatch. */
export function readQuery(bytes: Uint8Array, packId: string): Query {
  const parsed = queryDocument.safeParse(jsonOf(bytes));
  if (!parsed.success) throw queryMalformed();
  const { threshold, persons } = parsed.data;
  if (parsed.data.packId !== packId) throw queryPackMismatch(parsed.data.packId);
  const parts: mizar.QueryPerson[][] = [[]];
  let size = 0;
  for (const person of persons) {
    const embeddings = person.embeddings.map((text) => Buffer.from(text, 'base64'));
    if (embeddings.some((e) => e.length === 0 || e.length % 4 !== 0 || e.length > 16_384)) throw queryMalformed();
    const bytesHere = embeddings.reduce((sum, e) => sum + e.length, person.id.length);
    if (size + bytesHere > partBytes) {
      parts.push([]);
      size = 0;
    }
    parts.at(-1)?.push({ personId: person.id, embeddings });
    size += bytesHere;
  }
  return { threshold, parts, personIds: new Set(persons.map((p) => p.id)) };
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch {
    throw queryMalformed();
  }
}
