import { withToken } from './client';

type Handlers = Readonly<Record<string, (data: unknown) => void>>;

const againMs = 2000;

/**
 * Follows server-sent events until the function it answers is called, or Star says that there is nothing to follow. The
 * browser's own EventSource cannot send a header and keeps the token it began with; this one comes back with the
 * present token, and with the id of the last event, so nothing is missed.
 */
export function followEvents(path: string, on: Handlers): () => void {
  const gone = new AbortController();
  let lastId = '';
  const once = async (): Promise<boolean> => {
    const headers = { accept: 'text/event-stream', ...(lastId ? { 'last-event-id': lastId } : {}) };
    const response = await withToken(path, { headers, signal: gone.signal, cache: 'no-store' });
    if (!response.ok || !response.body) return response.status >= 500 || response.status === 429;
    await readEvents(response.body, (event) => {
      if (event.id !== undefined) lastId = event.id;
      if (!gone.signal.aborted && Object.hasOwn(on, event.name)) on[event.name]?.(JSON.parse(event.data));
    });
    return true;
  };
  const run = async () => {
    while (!gone.signal.aborted) {
      if (!(await once().catch(() => true))) return;
      await new Promise((resolve) => setTimeout(resolve, againMs));
    }
  };
  void run();
  return () => gone.abort();
}

interface ServerEvent {
  readonly name: string;
  readonly id?: string;
  readonly data: string;
}

async function readEvents(body: ReadableStream<Uint8Array>, take: (event: ServerEvent) => void): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const events = text.split('\n\n');
    text = events.pop() ?? '';
    for (const each of events) {
      const event = parsed(each);
      if (event) take(event);
    }
  }
}

/** Undefined for a comment, which only keeps the line open. */
function parsed(text: string): ServerEvent | undefined {
  const fields = text.split('\n').flatMap((line) => {
    const [, name, value = ''] = /^(event|id|data): ?(.*)$/.exec(line) ?? [];
    return name ? [[name, value] as const] : [];
  });
  const data = fields.filter(([name]) => name === 'data').map(([, value]) => value);
  if (data.length === 0) return undefined;
  const { event = 'message', id } = Object.fromEntries(fields);
  return { name: event, data: data.join('\n'), ...(id === undefined ? {} : { id }) };
}
