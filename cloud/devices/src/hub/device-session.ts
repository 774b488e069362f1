import type { IPublishPacket, ISubscribePacket, Packet } from 'mqtt-packet';
import type { EdgeIdentity } from '../edges/edge';
import { ChunkRequests, readChunkSize } from '../ota/serve-chunks';
import { type Connection, closeReasons, type PacketHandler } from './connection';
import { BadPayload, parseJson, readAttributes, readAttributesRequest, readRpcCall, readTelemetry } from './payloads';
import type { DeviceRates, SessionLimits, SessionPorts } from './session-ports';
import {
  attributesReplyTopic,
  attributesTopic,
  chunkErrorTopic,
  chunkReplyTopic,
  downlinkOf,
  rpcReplyTopic,
  rpcRequestTopic,
  type TopicStyle,
  type Uplink,
  uplinkOf,
} from './topics';
import { Unacknowledged } from './unacknowledged';

class RateExceeded extends Error {}

/** A packet being worked on. PUBACKs leave in the order their PUBLISHes came, which MQTT demands. */
interface Work {
  readonly messageId: number | undefined;
  reasonCode?: number;
}

const unknownTopic = 0x90;
/** RPCs stop here until the device acknowledges some. */
const maxUnackedSends = 100;
/** Replies do not wait for room, so a client that asks on and on without a PUBACK is closed here. */
const maxUnackedAtAll = 1000;

/** A device that has logged in: ThingsBoard's device API on one connection. */
export class DeviceSession implements PacketHandler {
  #inFlight = 0;
  readonly #works: Work[] = [];
  readonly #unacked = new Unacknowledged();
  #attributes: { style: TopicStyle; qos: 0 | 1 } | undefined;
  #rpc: { style: TopicStyle; qos: 0 | 1 } | undefined;
  #replyQos: 0 | 1 = 1;
  #chunkQos: 0 | 1 = 1;
  readonly #chunks: ChunkRequests;

  constructor(
    readonly id: string,
    readonly edge: EdgeIdentity,
    readonly connection: Connection,
    private readonly ports: SessionPorts,
    private readonly limits: SessionLimits,
    private readonly rates: DeviceRates,
    private readonly receiveMaximum: number,
  ) {
    this.#chunks = new ChunkRequests(edge, ports.software, limits.maxPayloadBytes);
  }

  get takesRpcs(): boolean {
    return this.connection.open && this.#rpc !== undefined;
  }

  /** Room for one more message that wants a PUBACK. */
  get hasRoom(): boolean {
    return this.#unacked.size < Math.min(maxUnackedSends, this.receiveMaximum) && !this.connection.congested;
  }

  ready(): boolean {
    return this.#inFlight < this.limits.maxInFlight && !this.#chunks.full && !this.ports.overloaded();
  }

  closed(): void {
    this.#unacked.clear();
    this.ports.closed(this);
  }

  close(reason: number): void {
    this.connection.close(reason);
  }

  receive(packet: Packet): void {
    switch (packet.cmd) {
      case 'publish':
        this.#publish(packet);
        return;
      case 'subscribe':
        this.#subscribe(packet);
        return;
      case 'unsubscribe':
        this.#unsubscribe(packet.messageId ?? 0, packet.unsubscriptions);
        return;
      case 'puback':
        this.#unacked.acknowledged(packet.messageId ?? 0);
        return;
      case 'pingreq':
        this.connection.write({ cmd: 'pingresp' });
        return;
      case 'disconnect':
        this.connection.closeAfterWrites();
        return;
      case 'pubrel':
      case 'pubrec':
      case 'pubcomp':
        // No QoS 2 here; ThingsBoard ignores these as well.
        return;
      default:
        this.connection.close(closeReasons.protocolError);
    }
  }

  /**
   * Writes one RPC; answers performance.now() of the writing, or undefined when the device cannot take it now.
   * `onAck` follows with the PUBACK, or at once when the device subscribed with QoS 0.
   */
  sendRpc(requestId: number, method: string, paramsJson: string, onAck: () => void): number | undefined {
    if (!this.#rpc || !this.connection.open || !this.hasRoom) return undefined;
    const payload = `{"method":${JSON.stringify(method)},"params":${paramsJson}}`;
    const writtenAt = performance.now();
    this.#send(rpcRequestTopic(this.#rpc.style, requestId), payload, this.#rpc.qos, onAck);
    return writtenAt;
  }

  /** Tells the device of changed shared attributes when it has subscribed; nothing is replayed later. */
  pushAttributes(values: Readonly<Record<string, unknown>>, deleted: readonly string[]): void {
    if (!this.#attributes) return;
    const payload = JSON.stringify(deleted.length > 0 ? { ...values, deleted } : values);
    this.#send(attributesTopic(this.#attributes.style), payload, this.#attributes.qos, () => {});
  }

  #send(topic: string, payload: string | Buffer, qos: 0 | 1, onAck: () => void): void {
    if (qos === 0) {
      this.connection.write({ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false });
      onAck();
      return;
    }
    if (this.#unacked.size >= maxUnackedAtAll) {
      this.connection.close(closeReasons.quotaExceeded);
      return;
    }
    const messageId = this.#unacked.add(onAck);
    this.connection.write({ cmd: 'publish', topic, payload, qos: 1, dup: false, retain: false, messageId });
  }

  #subscribe(packet: ISubscribePacket): void {
    if (!this.rates.messages.take(Date.now())) {
      this.connection.close(closeReasons.implementationError);
      return;
    }
    let rpcSubscribed = false;
    const granted = packet.subscriptions.map(({ topic, qos }) => {
      const downlink = downlinkOf(topic);
      if (!downlink) return this.connection.version === 5 ? 0x8f : 0x80;
      const grantedQos = qos === 0 ? 0 : 1;
      if (downlink.channel === 'attributes') this.#attributes = { style: downlink.style, qos: grantedQos };
      else if (downlink.channel === 'rpc') {
        this.#rpc = { style: downlink.style, qos: grantedQos };
        rpcSubscribed = true;
      } else if (downlink.channel === 'chunks') this.#chunkQos = grantedQos;
      else this.#replyQos = grantedQos;
      return grantedQos;
    });
    this.connection.write({ cmd: 'suback', messageId: packet.messageId ?? 0, granted });
    // After the SUBACK: clients do not expect messages of a subscription before its answer.
    if (rpcSubscribed) this.ports.rpcSubscribed(this);
  }

  #unsubscribe(messageId: number, unsubscriptions: readonly string[]): void {
    const granted = unsubscriptions.map((filter) => {
      const downlink = downlinkOf(filter);
      if (downlink?.channel === 'attributes') this.#attributes = undefined;
      if (downlink?.channel === 'rpc') this.#rpc = undefined;
      return downlink ? 0x00 : 0x11;
    });
    this.connection.write({ cmd: 'unsuback', messageId, granted });
  }

  #publish(packet: IPublishPacket): void {
    const readAt = this.connection.lastReadAt;
    if (packet.topic === '' || packet.properties?.topicAlias !== undefined) {
      // No alias was offered in CONNACK, so none may be used.
      this.connection.close(closeReasons.topicAliasInvalid);
      return;
    }
    if (packet.qos === 2 && this.connection.version === 5) {
      this.connection.close(closeReasons.qosNotSupported);
      return;
    }
    if (packet.payload.length > this.limits.maxPayloadBytes) {
      this.connection.close(closeReasons.packetTooLarge);
      return;
    }
    const work: Work = { messageId: packet.qos > 0 ? packet.messageId : undefined };
    this.#works.push(work);
    this.#inFlight += 1;
    const uplink = uplinkOf(packet.topic);
    this.#handle(uplink, packet.payload, readAt)
      .then(
        () => this.#finish(work, uplink === undefined ? unknownTopic : 0),
        (error: unknown) => this.#fail(work, error),
      )
      .finally(() => {
        this.#inFlight -= 1;
        this.connection.resume();
      });
  }

  async #handle(uplink: Uplink | 'bad_id' | undefined, payload: Buffer | string, readAt: number): Promise<void> {
    const nowMs = Date.now();
    if (!this.rates.messages.take(nowMs)) throw new RateExceeded();
    if (uplink === undefined) return;
    if (uplink === 'bad_id') throw new BadPayload('the topic ends in an integer');
    switch (uplink.kind) {
      case 'telemetry': {
        const entries = readTelemetry(payload, nowMs);
        this.#takeDataPoints(
          nowMs,
          entries.reduce((sum, entry) => sum + entry.values.size, 0),
        );
        return this.ports.acceptTelemetry(this.edge, entries);
      }
      case 'attributes': {
        const values = readAttributes(payload);
        this.#takeDataPoints(nowMs, values.size);
        return this.ports.saveClientAttributes(this.edge, values);
      }
      case 'attributesRequest': {
        const values = await this.ports.readAttributes(this.edge, readAttributesRequest(payload));
        this.#reply(attributesReplyTopic(uplink.style, uplink.requestId), values);
        return;
      }
      case 'rpcReply':
        return this.ports.acceptReply(this, uplink.requestId, JSON.stringify(parseJson(payload)), readAt);
      case 'rpcRequest': {
        const { method, params } = readRpcCall(payload);
        const answer = await this.ports.answerCall(this.edge, method, params).catch(() => ({ error: 'unavailable' }));
        this.#reply(rpcReplyTopic(uplink.style, uplink.requestId), answer);
        return;
      }
      case 'chunk':
        return this.#serveChunk(uplink, readChunkSize(payload));
    }
  }

  /**
   * The PUBACK of a request says that it came; the chunk follows. Otherwise a PUBACK of a report would have to wait for
   * every chunk asked for before it.
   */
  #serveChunk({ image, requestId, index }: Extract<Uplink, { kind: 'chunk' }>, chunkBytes: number | undefined): void {
    if (image === 'fw') {
      this.#failChunk('NOT_FOUND');
      return;
    }
    this.#chunks
      .chunk(requestId, index, chunkBytes)
      .then(
        (chunk) => {
          if (typeof chunk === 'string') this.#failChunk(chunk);
          else if (this.connection.open) this.#send(chunkReplyTopic(requestId, index), chunk, this.#chunkQos, () => {});
        },
        (error: unknown) => this.ports.chunkFailed(this, error),
      )
      .finally(() => this.connection.resume());
  }

  #failChunk(error: string): void {
    if (!this.connection.open) return;
    this.#send(chunkErrorTopic, error, this.#chunkQos, () => {});
    if (this.connection.version === 5) this.connection.close(closeReasons.implementationError);
    else this.connection.closeAfterWrites();
  }

  #takeDataPoints(nowMs: number, points: number): void {
    if (!this.rates.telemetryMessages.take(nowMs) || !this.rates.telemetryDataPoints.take(nowMs, points)) throw new RateExceeded();
  }

  /** Replies are written whether the device has subscribed or not. */
  #reply(topic: string, body: unknown): void {
    if (this.connection.open) this.#send(topic, JSON.stringify(body), this.#replyQos, () => {});
  }

  #finish(work: Work, reasonCode: number): void {
    work.reasonCode = reasonCode;
    for (let head = this.#works[0]; head?.reasonCode !== undefined; head = this.#works[0]) {
      this.#works.shift();
      if (head.messageId === undefined) continue;
      this.connection.write({ cmd: 'puback', messageId: head.messageId, reasonCode: head.reasonCode });
    }
  }

  #fail(work: Work, error: unknown): void {
    if (!this.connection.open) return;
    if (error instanceof RateExceeded) this.connection.close(closeReasons.implementationError);
    else if (!(error instanceof BadPayload)) {
      // Not durable, so no PUBACK. A client resends only on a new connection, so it is sent to make one.
      this.connection.close(closeReasons.serverBusy);
    } else if (this.connection.version === 5 && work.messageId !== undefined) this.#finish(work, closeReasons.payloadFormatInvalid);
    else this.connection.close(closeReasons.payloadFormatInvalid);
  }
}
