import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { AgentError, type Clock } from '@dipper/platform';
import type { Credentials } from './digest';
import { failureFrom, faultOf, readResponseStatus } from './isapi-failure';
import { Login, type Sent } from './login';
import { fault } from './recorder.errors';
import { parseXml, type XmlNode } from './xml';

export interface ClientLimits {
  readonly connectMs: number;
  readonly headersMs: number;
  readonly idleMs: number;
}

export interface ClientOptions extends Credentials {
  readonly baseUrl: string;
  readonly limits: ClientLimits;
  readonly clock: Clock;
}

/** Answers are a few KB; a page of 100 matches is some 100 KB. */
const MAX_TEXT_BYTES = 4 * 1024 * 1024;
const MAX_STALE = 3;

/**
 * HTTP with digest login to one recorder, over kept connections. Every wait has an end and every answer a size.
 * Throws AgentError with a `recorder.*` code only.
 */
export class IsapiClient {
  private readonly base: URL;
  private readonly agent: HttpAgent | HttpsAgent;
  private readonly login: Login;
  private readonly limits: ClientLimits;

  constructor({ baseUrl, limits, clock, username, password }: ClientOptions) {
    this.base = new URL(baseUrl);
    this.limits = limits;
    this.login = new Login({ username, password }, clock);
    const options = { keepAlive: true, keepAliveMsecs: 10_000, maxFreeSockets: 4, noDelay: true };
    // Recorders come with self-signed certificates; the digest keeps the password safe from whoever listens.
    this.agent = this.base.protocol === 'https:' ? new HttpsAgent({ ...options, rejectUnauthorized: false }) : new HttpAgent(options);
  }

  get host(): string {
    return this.base.host;
  }

  /** Asks for a document and checks its root. Anything else is `recorder.bad_answer` or what the recorder's status says. */
  async xml(method: string, path: string, root: string, { body, signal }: { body?: string; signal?: AbortSignal } = {}): Promise<XmlNode> {
    const response = await this.send(method, path, body, signal);
    const text = await readText(response, this.limits.idleMs);
    const http = response.statusCode ?? 0;
    const parsed = parseXml(text);
    if (http === 200 && parsed?.name === root) return parsed.node;
    if (http === 200 && !readResponseStatus(http, text)) throw fault('recorder.bad_answer', { path, root: parsed?.name ?? 'none' });
    throw faultOf(failureFrom(http, text));
  }

  /** Sends a request and answers the response with its body unread; a 401 has been dealt with. The caller must read or destroy it. */
  async send(method: string, path: string, body: string | undefined, signal?: AbortSignal): Promise<IncomingMessage> {
    for (let stale = 0, doubts = 0; ; ) {
      this.login.check();
      const uri = (this.base.pathname.replace(/\/$/, '') + path).replace(/^(?!\/)/, '/');
      const sent = this.login.sign(method, uri);
      const response = await this.once(method, uri, body, sent, signal);
      if (response.statusCode !== 401) {
        if (sent && (response.statusCode ?? 0) < 300) this.login.accepted();
        return response;
      }
      const text = await readText(response, this.limits.idleMs);
      const verdict = this.login.refused({ challenges: challengesOf(response), body: text, sent });
      if (verdict === 'again' && stale++ < MAX_STALE) continue;
      if (verdict === 'again') throw fault('recorder.bad_answer', { reason: 'every nonce is stale' });
      if (verdict === 'doubtful' && doubts++ === 0) continue;
      throw await this.explainRefusal(path, text, signal);
    }
  }

  /** A 401 for a password that works elsewhere is about this address only; one extra question keeps the other channels going. */
  private async explainRefusal(path: string, text: string, signal?: AbortSignal): Promise<Error> {
    if (!this.login.proven || path === '/ISAPI/Security/userCheck') return this.login.wrongPassword(text);
    const node = await this.xml('GET', '/ISAPI/Security/userCheck', 'userCheck', signal ? { signal } : {});
    return node.statusValue === '200' ? fault('recorder.unauthorized', { path: path.split('?')[0] }) : this.login.wrongPassword(text);
  }

  private once(
    method: string,
    path: string,
    body: string | undefined,
    sent: Sent | undefined,
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    const attempt = (again: boolean): Promise<IncomingMessage> =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(fault('alioth.cancelled'));
        const headers: Record<string, string | number> = { accept: '*/*', ...(sent ? { authorization: sent.header } : {}) };
        if (body !== undefined) Object.assign(headers, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(body) });
        const options = {
          method,
          host: this.base.hostname.replace(/^\[|\]$/g, ''),
          port: this.base.port,
          path,
          headers,
          agent: this.agent,
        };
        const request = this.base.protocol === 'https:' ? httpsRequest(options) : httpRequest(options);
        let reason = '';
        let timer = setTimeout(() => stop('connect timeout'), this.limits.connectMs);
        const stop = (why: string) => {
          reason = why;
          request.destroy();
        };
        const cancel = () => stop('cancelled');
        signal?.addEventListener('abort', cancel, { once: true });
        const connected = () => {
          clearTimeout(timer);
          timer = setTimeout(() => stop('no answer'), this.limits.headersMs);
        };
        request.once('socket', (socket) => (socket.connecting ? socket.once('connect', connected) : connected()));
        request.once('response', (response) => {
          clearTimeout(timer);
          const done = () => signal?.removeEventListener('abort', cancel);
          response.once('close', done);
          resolve(response);
        });
        request.once('close', () => clearTimeout(timer));
        request.once('error', (error: NodeJS.ErrnoException) => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', cancel);
          if (reason === 'cancelled') return reject(fault('alioth.cancelled', {}, error));
          // A kept connection that the recorder closed just now: not a failure of the recorder.
          if (again && request.reusedSocket && !reason) return attempt(false).then(resolve, reject);
          reject(fault('recorder.unreachable', { reason: reason || (error.code ?? 'failed') }, error));
        });
        request.end(body);
      });
    return attempt(true);
  }

  close(): void {
    this.agent.destroy();
  }
}

function challengesOf(response: IncomingMessage): string[] {
  const { rawHeaders } = response;
  return rawHeaders.flatMap((name, i) => (i % 2 === 0 && name.toLowerCase() === 'www-authenticate' ? [rawHeaders[i + 1] ?? ''] : []));
}

/** The rest of an answer as text; more than a few MB, or a silence, is an error. */
export async function readText(response: IncomingMessage, idleMs: number, maxBytes = MAX_TEXT_BYTES): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of withIdleLimit(response, idleMs)) {
      size += chunk.length;
      if (size > maxBytes) throw fault('recorder.bad_answer', { reason: 'too long' });
      chunks.push(chunk);
    }
  } catch (error) {
    response.destroy();
    throw error;
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The body chunk by chunk; a silence longer than the limit, or a connection cut short, is `recorder.unreachable`. */
export async function* withIdleLimit(response: IncomingMessage, idleMs: number): AsyncGenerator<Buffer> {
  let idle = false;
  const timer = setTimeout(() => {
    idle = true;
    response.destroy();
  }, idleMs);
  try {
    for await (const chunk of response) {
      timer.refresh();
      yield chunk as Buffer;
      timer.refresh();
    }
  } catch (error) {
    if (error instanceof AgentError) throw error;
    throw fault('recorder.unreachable', { reason: idle ? 'silent' : 'cut off' }, error);
  } finally {
    clearTimeout(timer);
  }
  if (!response.complete) throw fault('recorder.unreachable', { reason: idle ? 'silent' : 'cut off' });
}
