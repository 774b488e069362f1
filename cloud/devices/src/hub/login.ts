import type { IConnectPacket, Packet } from 'mqtt-packet';
import type { EdgeIdentity } from '../edges/edge';
import { type ConnackReason, connackReasons, connackReturnCode, type Login, refusalReason } from './connack';
import { type Connection, closeReasons, type PacketHandler } from './connection';

export interface LoginPorts {
  /** Whose credentials these are; undefined: nobody's. A rejection means Star cannot tell now. */
  logIn(login: Login): Promise<EdgeIdentity | undefined>;
  /** False when there are as many sessions as this hub bears. */
  roomForSession(): boolean;
  /** Makes the session; its CONNACK has been written. */
  enter(connection: Connection, edge: EdgeIdentity, connect: IConnectPacket): PacketHandler;
  /** A client named `provision`: it may register a device and do nothing else. */
  enterProvisioning(connection: Connection): PacketHandler;
  /** The connection ended before a session began. */
  abandoned(connection: Connection): void;
}

/** The first stage of every connection: CONNECT. What a device sends before its login is decided is not read until then. */
export class LoginHandler implements PacketHandler {
  #asked = false;
  #handedOver = false;

  constructor(
    private readonly connection: Connection,
    private readonly ports: LoginPorts,
    private readonly maxPacketBytes: number,
    private readonly receiveMaximum: number,
  ) {}

  ready(): boolean {
    return !this.#asked;
  }

  closed(): void {
    if (!this.#handedOver) this.ports.abandoned(this.connection);
  }

  receive(packet: Packet): void {
    this.#asked = true;
    if (packet.cmd === 'connect') void this.#decide(packet);
    else this.connection.close(closeReasons.protocolError);
  }

  async #decide(connect: IConnectPacket): Promise<void> {
    const login: Login = { clientId: connect.clientId ?? '', username: connect.username, password: connect.password?.toString('utf8') };
    if (login.username === 'provision' || login.clientId === 'provision') {
      this.#accept(connect, () => this.ports.enterProvisioning(this.connection));
      return;
    }
    let edge: EdgeIdentity | undefined;
    try {
      edge = await this.ports.logIn(login);
    } catch {
      this.#refuse(connackReasons.serverUnavailable);
      return;
    }
    if (!this.connection.open) return;
    if (!edge) this.#refuse(refusalReason(login));
    else if (!this.ports.roomForSession()) this.#refuse(connackReasons.serverUnavailable);
    else {
      const known = edge;
      this.#accept(connect, () => this.ports.enter(this.connection, known, connect));
    }
  }

  #accept(connect: IConnectPacket, enter: () => PacketHandler): void {
    const { connection } = this;
    // ThingsBoard's quirk: it keeps no sessions, and yet says "present" to whoever did not ask for a clean one.
    const sessionPresent = connect.clean === false && connection.version !== 3;
    if (connection.version === 5) {
      connection.write({
        cmd: 'connack',
        reasonCode: 0,
        sessionPresent,
        properties: {
          maximumQoS: 1,
          retainAvailable: false,
          maximumPacketSize: this.maxPacketBytes,
          receiveMaximum: this.receiveMaximum,
          sharedSubscriptionAvailable: false,
          subscriptionIdentifiersAvailable: false,
          ...(connect.clientId ? {} : { assignedClientIdentifier: crypto.randomUUID() }),
        },
      });
    } else connection.write({ cmd: 'connack', returnCode: 0, sessionPresent });
    const handler = enter();
    this.#handedOver = true;
    connection.handOver(handler);
  }

  #refuse(reason: ConnackReason): void {
    const { connection } = this;
    if (connection.version === 5) connection.write({ cmd: 'connack', reasonCode: reason, sessionPresent: false });
    else connection.write({ cmd: 'connack', returnCode: connackReturnCode(reason), sessionPresent: false });
    connection.closeAfterWrites();
  }
}
