import type { Page, Problem } from '@stardipper/proto';

/** A refusal by Star: shown by its code and parameters, never by text of the server. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.code);
  }
}

let token = '';
let onUnauthenticated: () => void = () => undefined;

export function useToken(next: string, whenRefused: () => void): void {
  token = next;
  onUnauthenticated = whenRefused;
}

/** One request under /api/v1. Throws ApiError; a broken connection reads as `network.unreachable`. */
export async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  const raw = body instanceof Blob;
  const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
  if (body !== undefined) headers['content-type'] = raw ? body.type || 'application/octet-stream' : 'application/json';
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : raw ? body : JSON.stringify(body) });
  } catch {
    throw new ApiError(problemOf(0, 'network.unreachable'));
  }
  const text = await response.text();
  if (response.ok) return (text ? JSON.parse(text) : undefined) as T;
  const problem = readProblem(response.status, text);
  if (response.status === 401 && path !== '/session') onUnauthenticated();
  throw new ApiError(problem);
}

/** Saves what an address answers as a file. Throws as `request`. */
export async function download(path: string, name: string): Promise<void> {
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, { headers: { authorization: `Bearer ${token}` } });
  } catch {
    throw new ApiError(problemOf(0, 'network.unreachable'));
  }
  if (!response.ok) {
    if (response.status === 401) onUnauthenticated();
    throw new ApiError(readProblem(response.status, await response.text()));
  }
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

/** A stream of server-sent events; EventSource cannot send a header, so the token travels in the address. */
export function openEvents(path: string): EventSource {
  return new EventSource(`/api/v1${path}?access_token=${encodeURIComponent(token)}`);
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
