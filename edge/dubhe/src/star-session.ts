import { maxPayloadBytes } from '@stardipper/proto';
import { dubheErrors } from './dubhe.errors';
import { openLink } from './mqtt-link';

const telemetryTopic = 'v1/devices/me/telemetry';
const attributesTopic = 'v1/devices/me/attributes';
const commandPrefix = 'v1/devices/me/rpc/request/';
const commandReplyPrefix = 'v1/devices/me/rpc/response/';
const attributesRequestPrefix = 'v1/devices/me/attributes/request/';
const attributesAnswerPrefix = 'v1/devices/me/attributes/response/';
const chunkPrefix = 'v2/sw/response/';
/** Of software as well. */
const chunkErrorTopic = 'v2/fw/error';

export interface SessionOptions {
  readonly url: string;
  readonly token: string;
  readonly signal: AbortSignal;
  readonly connectTimeoutMs: number;
  readonly ackTimeoutMs: number;
  /** Star calls this box; what is returned is published as the reply. */
  readonly onCommand: (payload: Buffer) => Promise<string>;
  /** An update of the shared attributes, as parsed JSON. */
  readonly onAttributes: (update: unknown) => void;
  readonly report: (error: unknown, what: string) => void;
}

/** This box's session with Star: ThingsBoard's device API over one MQTT connection. */
export interface StarSession {
  /** Aborts when the connection is gone, with an AgentError as the reason. */
  readonly closed: AbortSignal;
  readonly receiveMaximum: number;
  /** One timestamped value; `body` is JSON text. Resolves when Star has it durably. */
  publishReport(key: string, atMs: number, body: string): Promise<void>;
  /** Several values of one time; `values` is the JSON text of an object. Resolves when Star has them durably. */
  publishValues(atMs: number, values: string): Promise<void>;
  /**
   * One piece of the software that is assigned. QoS 0 both ways: nothing waits for its acknowledgement, and a piece that
   * is lost is asked for again. Throws star.no_answer, star.closed, software.not_found, software.refused; rejects when
   * the signal aborts.
   */
  requestChunk(requestId: number, index: number, chunkBytes: number, timeoutMs: number, signal: AbortSignal): Promise<Buffer>;
  publishAttributes(attributes: Readonly<Record<string, unknown>>): Promise<void>;
  /** All shared attributes. Throws star.no_answer. */
  requestSharedAttributes(timeoutMs: number): Promise<Record<string, unknown>>;
  /** Calls a method of Star. Throws star.no_answer, star.method_failed, star.closed. */
  call(method: string, params: unknown, timeoutMs: number): Promise<unknown>;
  close(): Promise<void>;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Undefined for what is not JSON; the other end's mistakes must not end the session. */
function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Log in and subscribe. Throws star.credentials_refused, star.offline, star.no_answer. */
export async function openSession(options: SessionOptions): Promise<StarSession> {
  const waiting = new Map<string, (answer: unknown) => void>();
  const chunks = new Map<string, { resolve: (chunk: Buffer) => void; reject: (error: unknown) => void }>();
  let chunksSubscribed: Promise<void> | undefined;
  let lastId = 0;

  const onMessage = (topic: string, payload: Buffer) => {
    if (payload.length > maxPayloadBytes) return options.report(dubheErrors.messageRefused(149), topic);
    if (topic.startsWith(commandPrefix)) return answerCommand(topic.slice(commandPrefix.length), payload);
    if (topic === attributesTopic) return options.onAttributes(parseJson(payload));
    if (topic.startsWith(chunkPrefix)) return chunks.get(topic)?.resolve(payload);
    if (topic === chunkErrorTopic) {
      for (const { reject } of chunks.values()) reject(dubheErrors.softwareRefused(payload.toString('utf8').slice(0, 100)));
      return;
    }
    waiting.get(topic)?.(parseJson(payload));
  };

  const answerCommand = (id: string, payload: Buffer) => {
    if (!/^\d{1,19}$/.test(id)) return;
    options
      .onCommand(payload)
      .then((reply) => link.publish(`${commandReplyPrefix}${id}`, reply))
      .catch((error: unknown) => options.report(error, 'command'));
  };

  /** Publishes under a fresh id and waits for what comes back under the same. */
  const ask = async (requestPrefix: string, answerPrefix: string, body: unknown, timeoutMs: number): Promise<unknown> => {
    const id = ++lastId;
    const topic = `${answerPrefix}${id}`;
    try {
      const answer = new Promise<unknown>((resolve, reject) => {
        const timer = setTimeout(() => fail(dubheErrors.noAnswer(requestPrefix)), timeoutMs);
        const gone = () => fail(link.closed.reason);
        const fail = (error: unknown) => {
          clearTimeout(timer);
          link.closed.removeEventListener('abort', gone);
          reject(error);
        };
        waiting.set(topic, (value) => {
          clearTimeout(timer);
          link.closed.removeEventListener('abort', gone);
          resolve(value);
        });
        if (link.closed.aborted) gone();
        else link.closed.addEventListener('abort', gone, { once: true });
      });
      // The answer may come before the acknowledgement, so both are waited for together.
      const [value] = await Promise.all([answer, link.publish(`${requestPrefix}${id}`, JSON.stringify(body))]);
      return value;
    } finally {
      waiting.delete(topic);
    }
  };

  const requestChunk: StarSession['requestChunk'] = async (requestId, index, chunkBytes, timeoutMs, signal) => {
    // Only when there is something to fetch: a Star that has no software may refuse the topics.
    chunksSubscribed ??= link.subscribe([`${chunkPrefix}+/chunk/+`, chunkErrorTopic], 0);
    await chunksSubscribed.catch((error: unknown) => {
      chunksSubscribed = undefined;
      throw error;
    });
    const topic = `${chunkPrefix}${requestId}/chunk/${index}`;
    const stop = AbortSignal.any([signal, link.closed]);
    stop.throwIfAborted();
    let timer: NodeJS.Timeout | undefined;
    const gone = () => chunks.get(topic)?.reject(stop.reason);
    try {
      return await new Promise<Buffer>((resolve, reject) => {
        timer = setTimeout(() => reject(dubheErrors.noAnswer(topic)), timeoutMs);
        stop.addEventListener('abort', gone, { once: true });
        chunks.set(topic, { resolve, reject });
        link.tell(`v2/sw/request/${requestId}/chunk/${index}`, String(chunkBytes));
      });
    } finally {
      clearTimeout(timer);
      stop.removeEventListener('abort', gone);
      chunks.delete(topic);
    }
  };

  const link = await openLink({
    url: options.url,
    username: options.token,
    signal: options.signal,
    connectTimeoutMs: options.connectTimeoutMs,
    ackTimeoutMs: options.ackTimeoutMs,
    onMessage,
  });
  try {
    // Star sends the commands that wait as soon as it sees the subscription, so this comes after the attributes'.
    await link.subscribe([attributesTopic, `${attributesAnswerPrefix}+`, `${commandReplyPrefix}+`]);
    await link.subscribe([`${commandPrefix}+`]);
  } catch (error) {
    await link.close();
    throw error;
  }

  return {
    closed: link.closed,
    receiveMaximum: link.receiveMaximum,
    publishReport: (key, atMs, body) => link.publish(telemetryTopic, `{"ts":${atMs},"values":{${JSON.stringify(key)}:${body}}}`),
    publishValues: (atMs, values) => link.publish(telemetryTopic, `{"ts":${atMs},"values":${values}}`),
    requestChunk,
    publishAttributes: (attributes) => link.publish(attributesTopic, JSON.stringify(attributes)),
    requestSharedAttributes: async (timeoutMs) => {
      const answer = await ask(attributesRequestPrefix, attributesAnswerPrefix, {}, timeoutMs);
      if (!isObject(answer)) throw dubheErrors.methodFailed('attributes', 'malformed');
      return isObject(answer.shared) ? answer.shared : {};
    },
    call: async (method, params, timeoutMs) => {
      const answer = await ask(commandPrefix, commandReplyPrefix, { method, params }, timeoutMs);
      if (isObject(answer) && 'error' in answer) throw dubheErrors.methodFailed(method, JSON.stringify(answer.error).slice(0, 200));
      return answer;
    },
    close: () => link.close(),
  };
}
