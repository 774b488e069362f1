import type { IncomingMessage } from 'node:http';
import { type IsapiClient, readText, withIdleLimit } from './isapi-client';
import { failureFrom, faultOf, isMethodRefused, readResponseStatus } from './isapi-failure';
import { probeVideo } from './probe-video';
import { fault } from './recorder.errors';
import { downloadBody } from './search-request';
import type { Spool, SpooledFile, SpoolWriter } from './spool';

/** How a recorder wants to be asked for a file. */
export const downloadForms = ['post', 'get_body', 'get_query'] as const;
export type DownloadForm = (typeof downloadForms)[number];

export interface FetchDeps {
  readonly client: IsapiClient;
  readonly spool: Spool;
  readonly idleMs: number;
  readonly signal: AbortSignal;
  /** The form that worked before, if any. */
  readonly form: DownloadForm | undefined;
  readonly formWorked: (form: DownloadForm) => void;
  readonly received: (bytes: number) => void;
}

const PATH = '/ISAPI/ContentMgmt/download';
const SNIFF_BYTES = 512;
const MAX_ERROR_BYTES = 64 * 1024;

/** Downloads one file once. Rejects with a stable code and leaves nothing behind, or answers the complete file. */
export async function fetchSegment(deps: FetchDeps, key: string, uri: string, estimateBytes: number): Promise<SpooledFile> {
  const { signal, spool } = deps;
  let response: IncomingMessage | undefined;
  let writer: SpoolWriter | undefined;
  try {
    response = await openDownload(deps, uri);
    const declared = Number(response.headers['content-length'] ?? 0);
    writer = await spool.begin(key, Math.max(declared, declared > 0 ? 0 : estimateBytes));
    const { isProgramStream } = await copy(response, writer, deps);
    await writer.sync();
    return await writer.finish(await probeVideo(writer.path, isProgramStream));
  } catch (error) {
    if (signal.aborted) throw fault('alioth.cancelled', {}, error);
    throw error;
  } finally {
    response?.destroy();
    await writer?.discard();
  }
}

/** Tries the forms in the order of how common they are, until one is not refused as a method; remembers it. */
async function openDownload(deps: FetchDeps, uri: string): Promise<IncomingMessage> {
  let last: Error | undefined;
  for (const form of deps.form ? [deps.form] : downloadForms) {
    const response = await ask(deps, form, uri);
    const http = response.statusCode ?? 0;
    if (http === 200 || http === 206) {
      deps.formWorked(form);
      return response;
    }
    const failure = failureFrom(http, await readText(response, deps.idleMs, MAX_ERROR_BYTES));
    last = faultOf(failure);
    // A GET whose body a recorder does not read looks to it like a request without an address.
    const unread = form === 'get_body' && http === 400;
    if (!isMethodRefused(failure) && !unread) throw last;
  }
  throw last ?? fault('recorder.bad_answer');
}

function ask({ client, signal }: FetchDeps, form: DownloadForm, uri: string): Promise<IncomingMessage> {
  if (form === 'post') return client.send('POST', PATH, downloadBody(uri), signal);
  if (form === 'get_body') return client.send('GET', PATH, downloadBody(uri), signal);
  return client.send('GET', `${PATH}?playbackURI=${encodeURIComponent(uri)}`, undefined, signal);
}

async function copy(
  response: IncomingMessage,
  writer: SpoolWriter,
  { idleMs, signal, received }: FetchDeps,
): Promise<{ isProgramStream: boolean }> {
  const chunks = withIdleLimit(response, idleMs);
  const head: Buffer[] = [];
  let headBytes = 0;
  let known: { isProgramStream: boolean } | undefined;
  for await (const chunk of chunks) {
    if (signal.aborted) throw fault('alioth.cancelled');
    received(chunk.length);
    if (known) {
      await writer.write(chunk);
      continue;
    }
    head.push(chunk);
    headBytes += chunk.length;
    if (headBytes < SNIFF_BYTES) continue;
    const first = Buffer.concat(head);
    if (isMarkup(first)) return refuse(first, chunks);
    known = recognise(first);
    await writer.write(first);
  }
  if (known) return known;
  const all = Buffer.concat(head);
  if (all.length === 0) throw fault('segment.no_video', { reason: 'empty' });
  if (isMarkup(all)) return refuse(all, chunks);
  const found = recognise(all);
  await writer.write(all);
  return found;
}

const isMarkup = (head: Buffer): boolean => /^(?:\uFEFF)?\s*</.test(head.subarray(0, 64).toString('utf8'));

/** A failure dressed as success: reads the rest of it, within reason, and throws what it says. */
async function refuse(head: Buffer, rest: AsyncIterable<Buffer>): Promise<never> {
  let text = head.toString('utf8');
  for await (const chunk of rest) {
    text += chunk.toString('utf8');
    if (text.length > MAX_ERROR_BYTES) break;
  }
  const failure = readResponseStatus(200, text);
  throw failure ? faultOf(failure) : fault('recorder.bad_answer', { reason: /<html/i.test(text) ? 'html' : 'markup' });
}

/** MPEG-PS, with or without a header before it, as recorders send; MP4, TS or a bare stream, as a few do. */
function recognise(head: Buffer): { isProgramStream: boolean } {
  const starts = (hex: string, at = 0): boolean => head.subarray(at, at + hex.length / 2).toString('hex') === hex;
  const isProgramStream = starts('000001ba') || starts('494d4b48');
  const other = starts('000001') || starts('00000001') || starts('66747970', 4) || (head[0] === 0x47 && head[188] === 0x47);
  if (!isProgramStream && !other) throw fault('segment.corrupt', { reason: 'unknown format', head: head.subarray(0, 4).toString('hex') });
  return { isProgramStream };
}
