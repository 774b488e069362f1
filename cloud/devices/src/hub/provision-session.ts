import type { IPublishPacket, Packet } from 'mqtt-packet';
import { type Connection, closeReasons, type PacketHandler } from './connection';
import { BadPayload, parseJson } from './payloads';
import { provisionRequestTopic, provisionResponseTopic } from './topics';

export interface ProvisionPorts {
  /** Answers what the device is to read; throws BadPayload when the request lacks its key or secret. */
  provision(request: unknown): Promise<unknown>;
  closed(session: ProvisionSession): void;
}

/** A client that has nothing but a provisioning key: it may ask to become a device, and has a minute for it. */
export class ProvisionSession implements PacketHandler {
  #busy = false;
  #replyQos: 0 | 1 = 1;
  #messageId = 0;

  constructor(
    readonly connection: Connection,
    private readonly ports: ProvisionPorts,
  ) {}

  /** One request at a time: a guesser of secrets gains nothing by sending many at once. */
  ready(): boolean {
    return !this.#busy;
  }

  closed(): void {
    this.ports.closed(this);
  }

  receive(packet: Packet): void {
    switch (packet.cmd) {
      case 'publish':
        this.#publish(packet);
        return;
      case 'subscribe': {
        const refused = this.connection.version === 5 ? 0x8f : 0x80;
        const granted = packet.subscriptions.map(({ topic, qos }) => {
          if (topic !== provisionResponseTopic) return refused;
          this.#replyQos = qos === 0 ? 0 : 1;
          return this.#replyQos;
        });
        this.connection.write({ cmd: 'suback', messageId: packet.messageId ?? 0, granted });
        return;
      }
      case 'unsubscribe':
        this.connection.write({ cmd: 'unsuback', messageId: packet.messageId ?? 0, granted: packet.unsubscriptions.map(() => 0) });
        return;
      case 'pingreq':
        this.connection.write({ cmd: 'pingresp' });
        return;
      case 'puback':
        return;
      case 'disconnect':
        this.connection.closeAfterWrites();
        return;
      default:
        this.connection.close(closeReasons.protocolError);
    }
  }

  #publish(packet: IPublishPacket): void {
    if (packet.topic !== provisionRequestTopic) {
      this.connection.close(closeReasons.notAuthorized);
      return;
    }
    this.#busy = true;
    this.#answer(packet)
      .catch((error: unknown) => {
        const reason = error instanceof BadPayload ? closeReasons.payloadFormatInvalid : closeReasons.serverBusy;
        if (error instanceof BadPayload) this.#ack(packet, reason);
        this.connection.close(reason);
      })
      .finally(() => {
        this.#busy = false;
        this.connection.resume();
      });
  }

  async #answer(packet: IPublishPacket): Promise<void> {
    const response = await this.ports.provision(parseJson(packet.payload));
    this.#ack(packet, 0);
    const message = {
      cmd: 'publish',
      topic: provisionResponseTopic,
      payload: JSON.stringify(response),
      dup: false,
      retain: false,
    } as const;
    this.#messageId = (this.#messageId % 0xffff) + 1;
    this.connection.write(this.#replyQos === 0 ? { ...message, qos: 0 } : { ...message, qos: 1, messageId: this.#messageId });
  }

  #ack(packet: IPublishPacket, reasonCode: number): void {
    if (packet.qos > 0) this.connection.write({ cmd: 'puback', messageId: packet.messageId ?? 0, reasonCode });
  }
}
