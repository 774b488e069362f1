import type { Page, Problem } from '@stardipper/proto';

/** A refusal by Star: shown by its code and parameters, never by text of the server. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.code);
  }
}

/** What requests carry; `renew` answers false when the session is over. */
export interface TokenSource {
  current(): string;
  renew(): Promise<boolean>;
}

let tokens: TokenSource = { current: () => '', renew: async () => false };

export function useTokens(source: TokenSource): void {
  tokens = source;
}

const changeListeners = new Set<() => void>();

/** Calls `listener` after each request of this tab that may have changed something; answers what ends it. */
export function onChange(listener: () => void): () => void {
  changeListeners.add(listener);
  return () => void changeListeners.delete(listener);
}
const announceChange = () => {
  for (const listener of changeListeners) listener();
};

/** `fetch` with the session's token: an answer that it has ended is asked for again with a new one. */
export async function withToken(path: string, init: RequestInit & { headers?: Record<string, string> }): Promise<Response> {
  const send = () => {
    const token = tokens.current();
    return fetch(`/api/v1${path}`, { ...init, headers: { ...init.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) } });
  };
  const used = tokens.current();
  const response = await send();
  if (response.status !== 401 || !used) return response;
  // Another request may have renewed it meanwhile.
  if (tokens.current() === used && !(await tokens.renew())) return response;
  return tokens.current() === used ? response : send();
}

/** One request under /api/v1. Throws ApiError; a broken connection reads as `network.unreachable`. */
export async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  const raw = body instanceof Blob;
  const headers: Record<string, string> = {};
  if (body !== undefined) headers['content-type'] = raw ? body.type || 'application/octet-stream' : 'application/json';
  let response: Response;
  try {
    response = await withToken(path, { method, headers, body: body === undefined ? undefined : raw ? body : JSON.stringify(body) });
  } catch {
    throw new ApiError(problemOf(0, 'network.unreachable'));
  }
  const text = await response.text();
  if (response.ok && method !== 'GET') announceChange();
  if (response.ok) return (text ? JSON.parse(text) : undefined) as T;
  throw new ApiError(readProblem(response.status, text));
}

/**
 * Sends a file and tells how far it is, which `fetch` cannot. Throws as `request` does; when `signal` aborts, as a
 * connection that breaks.
 */
export async function upload<T>(
  path: string,
  type: string,
  file: Blob,
  progress: (share: number) => void,
  signal: AbortSignal,
): Promise<T> {
  const used = tokens.current();
  const send = () => sendFile<T>(path, type, file, progress, signal);
  return send().catch(async (refused: unknown) => {
    const ended = refused instanceof ApiError && refused.problem.status === 401;
    if (!ended || (tokens.current() === used && !(await tokens.renew()))) throw refused;
    return send();
  });
}

function sendFile<T>(path: string, type: string, file: Blob, progress: (share: number) => void, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    const broken = () => reject(new ApiError(problemOf(0, 'network.unreachable')));
    sending.open('POST', `/api/v1${path}`);
    sending.setRequestHeader('authorization', `Bearer ${tokens.current()}`);
    sending.setRequestHeader('content-type', type);
    sending.upload.onprogress = ({ loaded, total }) => progress(total > 0 ? loaded / total : 0);
    sending.onerror = broken;
    sending.onabort = broken;
    sending.onload = () => {
      if (sending.status >= 200 && sending.status < 300) return resolve(JSON.parse(sending.responseText) as T);
      reject(new ApiError(readProblem(sending.status, sending.responseText)));
    };
    signal.addEventListener('abort', () => sending.abort(), { once: true });
    sending.send(file);
  });
}

/** Saves what an address answers as a file. Throws as `request`. */
export async function download(path: string, name: string): Promise<void> {
  let response: Response;
  try {
    response = await withToken(path, {});
  } catch {
    throw new ApiError(problemOf(0, 'network.unreachable'));
  }
  if (!response.ok) throw new ApiError(readProblem(response.status, await response.text()));
  const address = URL.createObjectURL(await response.blob());
  const link = Object.assign(document.createElement('a'), { href: address, download: name });
  link.click();
  URL.revokeObjectURL(address);
}

/** Follows every page of a list, `most` items at most. */
export async function requestAll<T>(path: string, most = 5000): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const separator: string = path.includes('?') ? '&' : '?';
    const page: Page<T> = await request<Page<T>>('GET', cursor ? `${path}${separator}cursor=${encodeURIComponent(cursor)}` : path);
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor && items.length < most);
  return items;
}

const problemOf = (status: number, code: string): Problem => ({ type: 'about:blank', title: code, status, code, params: {}, traceId: '' });

function readProblem(status: number, text: string): Problem {
  try {
    const problem = JSON.parse(text) as Problem;
    return problem.code ? problem : problemOf(status, 'unreadable_answer');
  } catch {
    return problemOf(status, status >= 500 ? 'network.unreachable' : 'unreadable_answer');
  }
}
