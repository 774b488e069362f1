import { randomUUID } from 'node:crypto';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { IConnectPacket } from 'mqtt-packet';
import type { EdgeIdentity } from '../edges/edge';
import { Connection, closeReasons } from './connection';
import { DeviceSession } from './device-session';
import type { HubSettings } from './hub-settings';
import { LoginHandler, type LoginPorts } from './login';
import { type ProvisionPorts, ProvisionSession } from './provision-session';
import { RateLimit } from './rate-limit';
import type { DeviceRates, SessionPorts } from './session-ports';

export interface HubPorts extends SessionPorts, Pick<LoginPorts, 'logIn'>, Pick<ProvisionPorts, 'provision'> {
  /** A session has begun and the device has its CONNACK. */
  opened(session: DeviceSession): void;
}

interface Guest {
  readonly connection: Connection;
  /** Silence it may keep; undefined until it has logged in. */
  keepAliveMs?: number;
  provision?: ProvisionSession;
}

/** Rates of devices that have gone are kept, so that reconnecting does not refill them; the oldest go first. */
const maxRemembered = 50_000;
const sweepEveryMs = 500;

/** The MQTT server: sockets, sessions, one per device. Knows nothing of databases. */
export class Hub {
  readonly #server: Server;
  readonly #guests = new Map<Connection, Guest>();
  readonly #sessions = new Map<string, DeviceSession>();
  readonly #rates = new Map<string, DeviceRates>();
  #sweeper: NodeJS.Timeout | undefined;
  #stopping = false;

  constructor(
    private readonly settings: HubSettings,
    private readonly ports: HubPorts,
  ) {
    // Nagle costs 40 ms per exchange with a peer that delays its ACKs.
    this.#server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }, (socket) => this.#welcome(socket));
    // Sockets without a session count too; each has `connectTimeoutMs` to become one.
    this.#server.maxConnections = settings.maxSessions + 1000;
  }

  /** Listens; answers the port. */
  async start(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.settings.port, this.settings.host, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#sweeper = setInterval(() => this.#sweep(), sweepEveryMs);
    return (this.#server.address() as AddressInfo).port;
  }

  /** Stops listening and closes every connection. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#sweeper);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.closeAll(closeReasons.serverShuttingDown);
    await closed;
  }

  closeAll(reason: number): void {
    for (const { connection } of [...this.#guests.values()]) connection.close(reason);
  }

  session(edgeId: string): DeviceSession | undefined {
    return this.#sessions.get(edgeId);
  }

  sessions(): Iterable<DeviceSession> {
    return this.#sessions.values();
  }

  /** Lets sessions go on that were held back by `overloaded`. */
  resumeAll(): void {
    for (const { connection } of this.#guests.values()) connection.resume();
  }

  #welcome(socket: Socket): void {
    const { settings } = this;
    const limits = { maxPacketBytes: settings.maxPayloadBytes + settings.maxHeaderBytes, maxUnsentBytes: 1024 * 1024 };
    const connection = new Connection(
      socket,
      limits,
      (self) => new LoginHandler(self, this.#loginPorts(), limits.maxPacketBytes, settings.maxInFlight),
    );
    this.#guests.set(connection, { connection });
    if (this.#stopping) connection.close(closeReasons.serverShuttingDown);
  }

  #loginPorts(): LoginPorts {
    return {
      logIn: (login) => this.ports.logIn(login),
      roomForSession: () => this.#sessions.size < this.settings.maxSessions,
      enter: (connection, edge, connect) => this.#enter(connection, edge, connect),
      enterProvisioning: (connection) => this.#enterProvisioning(connection),
      abandoned: (connection) => this.#guests.delete(connection),
    };
  }

  #enter(connection: Connection, edge: EdgeIdentity, connect: IConnectPacket): DeviceSession {
    const guest = this.#guests.get(connection);
    if (guest) guest.keepAliveMs = keepAliveLimitMs(connect.keepalive ?? 0, this.settings.inactivityTimeoutMs);
    const session = new DeviceSession(
      randomUUID(),
      edge,
      connection,
      { ...this.ports, closed: (ended) => this.#ended(ended) },
      this.settings,
      this.#ratesOf(edge.id),
      connect.properties?.receiveMaximum ?? 0xffff,
    );
    const previous = this.#sessions.get(edge.id);
    this.#sessions.set(edge.id, session);
    previous?.close(closeReasons.sessionTakenOver);
    this.ports.opened(session);
    return session;
  }

  #ended(session: DeviceSession): void {
    this.#guests.delete(session.connection);
    if (this.#sessions.get(session.edge.id) === session) this.#sessions.delete(session.edge.id);
    this.ports.closed(session);
  }

  #enterProvisioning(connection: Connection): ProvisionSession {
    const guest = this.#guests.get(connection);
    const session = new ProvisionSession(connection, {
      provision: (request) => this.ports.provision(request),
      closed: () => this.#guests.delete(connection),
    });
    if (guest) {
      guest.keepAliveMs = this.settings.provisionTimeoutMs;
      guest.provision = session;
    }
    return session;
  }

  #ratesOf(edgeId: string): DeviceRates {
    const known = this.#rates.get(edgeId);
    const { rateLimits } = this.settings;
    const nowMs = Date.now();
    const rates = known ?? {
      messages: new RateLimit(rateLimits.messages, nowMs),
      telemetryMessages: new RateLimit(rateLimits.telemetryMessages, nowMs),
      telemetryDataPoints: new RateLimit(rateLimits.telemetryDataPoints, nowMs),
    };
    // Set again: a Map keeps insertion order, so the first key is the one unused for longest.
    this.#rates.delete(edgeId);
    this.#rates.set(edgeId, rates);
    const oldest = this.#rates.keys().next().value;
    if (this.#rates.size > maxRemembered && oldest !== undefined) this.#rates.delete(oldest);
    return rates;
  }

  /** One timer for all connections: a timer per socket costs more than looking at each twice a second. */
  #sweep(): void {
    const now = performance.now();
    const { connectTimeoutMs, provisionTimeoutMs } = this.settings;
    for (const { connection, keepAliveMs, provision } of [...this.#guests.values()]) {
      // Counted from the beginning: a byte now and then is no login.
      if (keepAliveMs === undefined && now - connection.openedAt > connectTimeoutMs) connection.close(closeReasons.maximumConnectTime);
      else if (provision && now - connection.openedAt > provisionTimeoutMs) connection.close(closeReasons.maximumConnectTime);
      else if (keepAliveMs !== undefined && now - connection.lastReadAt > keepAliveMs) connection.close(closeReasons.keepAliveTimeout);
      else connection.resume();
    }
  }
}

/** One and a half times what the client promised, as MQTT has it; a client that promised nothing gets the hub's limit. */
export function keepAliveLimitMs(keepAliveSeconds: number, inactivityTimeoutMs: number): number {
  return keepAliveSeconds === 0 ? inactivityTimeoutMs : Math.min(keepAliveSeconds * 1500, inactivityTimeoutMs);
}
