import { createHash } from 'node:crypto';
import { closeSync, createReadStream, ftruncateSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { AgentError, Backoff, type Clock, isDiskFull, systemClock } from '@dipper/platform';
import { modelsErrors } from './models.errors';
import type { Progress } from './progress';

export interface DownloadSettings {
  readonly clock: Clock;
  readonly backoff: Backoff;
  /** A server that sends nothing for so long is given up, and asked again. */
  readonly idleMs: number;
  /** Tries in a row that bring nothing on. */
  readonly tries: number;
}

export const usualSettings = (): DownloadSettings => ({ clock: systemClock, backoff: new Backoff(1000, 30_000), idleMs: 30_000, tries: 6 });

export interface Wanted {
  readonly url: string;
  /** What has arrived is kept here, with `<path>.json` beside it, so that a later call can go on. */
  readonly path: string;
  readonly maxBytes: number;
  /** Of the whole file; another one is thrown away. */
  readonly sha256?: string;
  /** For the person who waits. */
  readonly what: string;
}

/** Less than this is no progress: a server that sends a byte and hangs up shall not keep us for ever. */
const PROGRESS_BYTES = 64 * 1024;
const RETRIED = [408, 425, 429];

/** What is known of the file as it lies here. */
interface Part {
  readonly file: number;
  bytes: number;
  /** A strong ETag or the date of the file there; without one, going on could join two different files. */
  validator: string | undefined;
  /** It was put together from several answers. */
  joined: boolean;
}

/**
 * Brings a file from http or https to `path`, going on after breaks where the server can and from the beginning where it
 * cannot. Throws `download.failed` (what arrived is kept), `download.refused`, `download.too_large`, `download.hash_mismatch`,
 * `source.invalid`.
 */
export async function download(wanted: Wanted, progress: Progress, settings: DownloadSettings = usualSettings()): Promise<void> {
  checkAddress(wanted.url);
  // Once more from the beginning when the joined pieces are not the file: it may have changed between them.
  for (let fresh = false; ; fresh = true) {
    const { joined } = await downloadWhole(wanted, progress, settings);
    if (wanted.sha256 === undefined) return;
    const found = await sha256Of(wanted.path);
    if (found === wanted.sha256) return;
    forget(wanted.path);
    if (!joined || fresh) throw modelsErrors.hashMismatch(wanted.sha256, found);
  }
}

/** Removes what has arrived. */
export function forget(path: string): void {
  rmSync(path, { force: true });
  rmSync(`${path}.json`, { force: true });
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function checkAddress(url: string): void {
  const address = URL.parse(url);
  if (!address || !/^https?:$/.test(address.protocol)) throw modelsErrors.sourceInvalid('address');
  // They would end up in the shell's history and in error messages.
  if (address.username !== '' || address.password !== '') throw modelsErrors.sourceInvalid('credentials_in_address');
}

/** Without the query, which may hold a signature. */
const shown = (url: string): string => url.replace(/[?#].*$/, '');

async function downloadWhole(wanted: Wanted, progress: Progress, settings: DownloadSettings): Promise<{ joined: boolean }> {
  const part = openPart(wanted);
  try {
    let furthest = part.bytes;
    for (let failed = 0; ; ) {
      try {
        await attempt(wanted, part, progress, settings.idleMs);
        return { joined: part.joined };
      } catch (error) {
        if (error instanceof AgentError) {
          if (error.code === 'download.too_large') forget(wanted.path);
          throw error;
        }
        if (isDiskFull(error)) throw error;
        if (part.bytes >= furthest + PROGRESS_BYTES) {
          failed = 0;
          furthest = part.bytes;
          settings.backoff.reset();
        }
        if (++failed >= settings.tries) throw modelsErrors.downloadFailed(shown(wanted.url), part.bytes, reasonOf(error), error);
        progress.step(`${wanted.what}: ${reasonOf(error)} after ${part.bytes} bytes; trying again`);
        await settings.clock.sleep(settings.backoff.nextMs());
      }
    }
  } finally {
    closeSync(part.file);
  }
}

function openPart({ path, url }: Wanted): Part {
  const file = openSync(path, 'a', 0o600);
  const { size } = statSync(path);
  try {
    const known = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as { url?: unknown; validator?: unknown } | null;
    if (known?.url === url && typeof known.validator === 'string')
      return { file, bytes: size, validator: known.validator, joined: size > 0 };
  } catch {
    // Never begun, or cut off while it began.
  }
  ftruncateSync(file, 0);
  return { file, bytes: 0, validator: undefined, joined: false };
}

/** Throws AgentError for what another try would not change, anything else for what it may. */
async function attempt(wanted: Wanted, part: Part, progress: Progress, idleMs: number): Promise<void> {
  const abort = new AbortController();
  const quiet = setTimeout(() => abort.abort(new Error('silence')), idleMs);
  try {
    if (part.validator === undefined) startOver(wanted, part, undefined);
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    if (part.bytes > 0 && part.validator !== undefined)
      Object.assign(headers, { range: `bytes=${part.bytes}-`, 'if-range': part.validator });
    const answer = await fetch(wanted.url, { headers, signal: abort.signal });
    const total = begin(wanted, part, answer);
    if (total === 'complete') return;
    if (total !== undefined && total > wanted.maxBytes) throw modelsErrors.downloadTooLarge(wanted.maxBytes);
    for await (const chunk of answer.body ?? []) {
      quiet.refresh();
      if (part.bytes + chunk.length > wanted.maxBytes) throw modelsErrors.downloadTooLarge(wanted.maxBytes);
      for (let at = 0; at < chunk.length; ) at += writeSync(part.file, chunk, at);
      part.bytes += chunk.length;
      progress.bytes(wanted.what, part.bytes, total);
    }
    if (total !== undefined && part.bytes !== total) throw new Error('incomplete');
  } finally {
    clearTimeout(quiet);
    // An answer that is refused unread would keep its connection.
    abort.abort();
  }
}

/** Makes the part fit for the body that follows; answers the size of the whole file, where the server says it. */
function begin(wanted: Wanted, part: Part, answer: Response): number | 'complete' | undefined {
  if (wanted.url.startsWith('https:') && !answer.url.startsWith('https:'))
    throw modelsErrors.downloadRefused(shown(wanted.url), 'insecure_redirect');
  const { status, headers } = answer;
  const length = headers.get('content-length');
  if (status === 200) {
    // Decoded by `fetch`: neither its length nor a place in it means anything to the server.
    const encoded = (headers.get('content-encoding') ?? 'identity') !== 'identity';
    startOver(wanted, part, encoded ? undefined : validatorOf(headers));
    return encoded || length === null ? undefined : Number(length);
  }
  const validator = validatorOf(headers);
  if (status === 206) {
    const [, from, size] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get('content-range') ?? '') ?? [];
    const same = validator === undefined || validator === part.validator;
    if (part.bytes > 0 && same && Number(from) === part.bytes) {
      part.joined = true;
      return size === '*' ? undefined : Number(size);
    }
    startOver(wanted, part, undefined);
    throw new Error('another file than before');
  }
  if (status === 416) {
    const [, size] = /^bytes \*\/(\d+)$/.exec(headers.get('content-range') ?? '') ?? [];
    if (part.bytes > 0 && Number(size) === part.bytes) return 'complete';
    startOver(wanted, part, undefined);
    throw new Error('HTTP status 416');
  }
  if (status >= 500 || RETRIED.includes(status)) throw new Error(`HTTP status ${status}`);
  throw modelsErrors.downloadRefused(shown(wanted.url), status);
}

function startOver({ path, url }: Wanted, part: Part, validator: string | undefined): void {
  ftruncateSync(part.file, 0);
  Object.assign(part, { bytes: 0, validator, joined: false });
  if (validator === undefined) rmSync(`${path}.json`, { force: true });
  else writeFileSync(`${path}.json`, JSON.stringify({ url, validator }), { mode: 0o600 });
}

/** RFC 9110, 13.1.5: If-Range takes no weak ETag. */
function validatorOf(headers: Headers): string | undefined {
  const etag = headers.get('etag');
  return etag?.startsWith('"') ? etag : (headers.get('last-modified') ?? undefined);
}

/** `fetch` hides why behind one or two causes. */
function reasonOf(error: unknown): string {
  const { code, message, cause } = error as NodeJS.ErrnoException & { cause?: unknown };
  return cause instanceof Error ? reasonOf(cause) : (code ?? message);
}
