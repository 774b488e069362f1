import type { Socket } from 'node:net';
import { AgentError } from '@dipper/platform';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { dubheErrors } from './dubhe.errors';

export interface LinkOptions {
  readonly url: string;
  readonly username: string;
  readonly signal: AbortSignal;
  readonly connectTimeoutMs: number;
  readonly ackTimeoutMs: number;
  readonly onMessage: (topic: string, payload: Buffer) => void;
}

/** One MQTT connection, from CONNACK to its end; it never comes back by itself. */
export interface MqttLink {
  /** Aborts when the connection is gone, with an AgentError as the reason. */
  readonly closed: AbortSignal;
  /** How many unacknowledged messages the server takes. */
  readonly receiveMaximum: number;
  /** Throws when the server refuses one of the topics. */
  subscribe(topics: readonly string[], qos?: 0 | 1): Promise<void>;
  /** QoS 1: resolves at PUBACK. Rejects when the server refuses the message or the connection ends first. */
  publish(topic: string, payload: string): Promise<void>;
  /** QoS 0: on its way or not, nobody says. */
  tell(topic: string, payload: string): void;
  close(): Promise<void>;
}

const goodbyeMs = 500;

/** Bad user name or password, not authorized, identifier rejected, banned: in MQTT 3.1.1 and in 5. */
const refusals = new Set([2, 4, 5, 133, 134, 135, 138]);

/**
 * Connects. Nothing is stored in the client and it does not reconnect: our spool is the store, and the session
 * around this decides when to try again. Throws star.credentials_refused or star.offline.
 */
export async function openLink(options: LinkOptions): Promise<MqttLink> {
  const { signal } = options;
  signal.throwIfAborted();
  const client = connect(options.url, {
    protocolVersion: 5,
    username: options.username,
    clientId: '',
    clean: true,
    keepalive: 20,
    reconnectPeriod: 0,
    connectTimeout: options.connectTimeoutMs,
    queueQoSZero: false,
    resubscribe: false,
  } satisfies IClientOptions);
  // With Nagle on, a reply waits up to 40 ms for the acknowledgement of the packet before it.
  (client.stream as Partial<Socket>).setNoDelay?.(true);
  const closed = new AbortController();
  let reason: AgentError | undefined;
  client.on('message', (topic, payload) => options.onMessage(topic, payload));
  client.on('disconnect', (packet) => {
    reason ??= dubheErrors.closed(packet.reasonCode);
  });
  client.on('error', (error) => {
    reason ??= dubheErrors.offline(error);
  });
  const end = (why: AgentError) => {
    reason ??= why;
    client.end(true);
    closed.abort(reason);
  };
  client.on('close', () => end(dubheErrors.closed()));
  const stop = () => end(dubheErrors.closed());
  signal.addEventListener('abort', stop, { once: true });
  closed.signal.addEventListener('abort', () => signal.removeEventListener('abort', stop), { once: true });

  const receiveMaximum = await new Promise<number>((resolve, reject) => {
    client.once('connect', (packet) => resolve(packet.properties?.receiveMaximum ?? 65_535));
    client.once('error', (error) => {
      const code = (error as { code?: unknown }).code;
      if (typeof code === 'number' && refusals.has(code)) reason = dubheErrors.credentialsRefused(code);
    });
    closed.signal.addEventListener('abort', () => reject(closed.signal.reason), { once: true });
  });
  return new ClientLink(client, closed.signal, receiveMaximum, options.ackTimeoutMs, end);
}

class ClientLink implements MqttLink {
  constructor(
    private readonly client: MqttClient,
    readonly closed: AbortSignal,
    readonly receiveMaximum: number,
    private readonly ackTimeoutMs: number,
    private readonly end: (why: AgentError) => void,
  ) {}

  async subscribe(topics: readonly string[], qos: 0 | 1 = 1): Promise<void> {
    await this.answered('subscribe', (done) =>
      this.client.subscribe([...topics], { qos }, (error, granted) => {
        const refused = granted?.find((grant) => grant.qos >= 128);
        done(error ?? (refused ? dubheErrors.messageRefused(refused.qos) : undefined));
      }),
    );
  }

  async publish(topic: string, payload: string): Promise<void> {
    await this.answered('publish', (done) =>
      this.client.publish(topic, payload, { qos: 1 }, (error) => {
        const code = (error as { code?: unknown } | undefined)?.code;
        done(typeof code === 'number' ? dubheErrors.messageRefused(code) : error);
      }),
    );
  }

  tell(topic: string, payload: string): void {
    if (!this.closed.aborted) this.client.publish(topic, payload, { qos: 0 }, () => undefined);
  }

  async close(): Promise<void> {
    // The client waits for every acknowledgement before it says goodbye, and some may never come.
    if (!this.closed.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, goodbyeMs);
        this.client.end(false, {}, () => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    this.end(dubheErrors.closed());
  }

  /** Waits for the server's acknowledgement; one that never comes means the connection is of no use. */
  private answered(what: string, send: (done: (error?: Error | null) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: Error | null) => {
        clearTimeout(timer);
        this.closed.removeEventListener('abort', gone);
        if (!error) resolve();
        else reject(error instanceof AgentError ? error : dubheErrors.closed());
      };
      const gone = () => settle(this.closed.reason as AgentError);
      const timer = setTimeout(() => this.end(dubheErrors.noAnswer(what)), this.ackTimeoutMs);
      if (this.closed.aborted) return gone();
      this.closed.addEventListener('abort', gone, { once: true });
      send(settle);
    });
  }
}
