import type { Socket } from 'node:net';
import { generate, type IConnectPacket, type Packet, type Parser, parser } from 'mqtt-packet';
import { FrameReader, FramingError } from './framing';

/** MQTT 5 reasons this hub gives when it closes a connection; older versions just see the socket close. */
export const closeReasons = {
  normal: 0x00,
  malformed: 0x81,
  protocolError: 0x82,
  implementationError: 0x83,
  notAuthorized: 0x87,
  serverBusy: 0x89,
  serverShuttingDown: 0x8b,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  qosNotSupported: 0x9b,
  maximumConnectTime: 0xa0,
} as const;

/** Whoever understands the packets of a connection at this stage of its life. */
export interface PacketHandler {
  receive(packet: Packet): void;
  /** False holds further packets back, and with them the socket, until `Connection.resume`. */
  ready(): boolean;
  /** Once, when the socket is gone. */
  closed(): void;
}

export interface ConnectionLimits {
  readonly maxPacketBytes: number;
  /** Bytes the peer has not taken yet; more than that, and nothing of it is read until it catches up. */
  readonly maxUnsentBytes: number;
}

/** One socket: frames in, packets out, back-pressure both ways. */
export class Connection {
  readonly #frames: FrameReader;
  readonly #parser: Parser = parser();
  #handler: PacketHandler;
  #packet: Packet | undefined;
  #failure: Error | undefined;
  #pumping = false;
  #gone = false;
  #first = true;
  version: 3 | 4 | 5 = 4;
  /** performance.now() of the last bytes read. */
  lastReadAt = performance.now();
  readonly openedAt = performance.now();
  readonly remoteAddress: string;

  constructor(
    private readonly socket: Socket,
    private readonly limits: ConnectionLimits,
    handlerOf: (connection: Connection) => PacketHandler,
  ) {
    this.remoteAddress = socket.remoteAddress ?? '';
    this.#frames = new FrameReader(limits.maxPacketBytes);
    this.#parser.on('packet', (packet) => {
      this.#packet = packet;
    });
    this.#parser.on('error', (error: Error) => {
      this.#failure = error;
    });
    this.#handler = handlerOf(this);
    socket.on('data', (chunk: Buffer) => {
      this.lastReadAt = performance.now();
      this.#frames.push(chunk);
      this.#pump();
    });
    socket.on('drain', () => this.resume());
    // A reset is an ordinary end of a device's connection; 'close' follows.
    socket.on('error', () => {});
    // Half-open sockets are of no use to MQTT: nothing more will be asked.
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#end());
  }

  get open(): boolean {
    return !this.#gone;
  }

  get congested(): boolean {
    return this.socket.writableLength > this.limits.maxUnsentBytes;
  }

  /** The next packets go to `handler`. */
  handOver(handler: PacketHandler): void {
    this.#handler = handler;
    this.resume();
  }

  /** Writes at once (Nagle is off); false when the socket is gone. */
  write(packet: Packet): boolean {
    if (this.#gone) return false;
    this.socket.write(generate(packet, { protocolVersion: this.version }));
    return true;
  }

  /** Goes on reading after `ready()` was false. */
  resume(): void {
    if (this.#gone || this.#pumping) return;
    this.#pump();
  }

  /** Tells an MQTT 5 client why, then closes. */
  close(reason: number): void {
    if (this.#gone) return;
    if (this.version === 5 && !this.#first) this.socket.end(generate({ cmd: 'disconnect', reasonCode: reason }, { protocolVersion: 5 }));
    this.#discard();
  }

  /** Closes after what was written before has been sent, such as a refusing CONNACK. */
  closeAfterWrites(): void {
    if (this.#gone) return;
    this.socket.end();
    this.#discard();
  }

  #discard(): void {
    const { socket } = this;
    this.#end();
    socket.removeAllListeners('data');
    if (!socket.writableEnded) {
      socket.destroy();
      return;
    }
    // Destroying a socket with unread bytes resets it, and the peer would lose the reason just written: what it
    // still sends is thrown away for a second instead.
    socket.resume();
    const cut = setTimeout(() => socket.destroy(), 1000);
    cut.unref();
    socket.once('close', () => clearTimeout(cut));
  }

  #end(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#handler.closed();
  }

  #pump(): void {
    this.#pumping = true;
    try {
      while (!this.#gone) {
        if (!this.#handler.ready() || this.congested) {
          this.socket.pause();
          return;
        }
        const frame = this.#frames.next();
        if (!frame) break;
        this.#handler.receive(this.#parse(frame));
      }
      if (!this.#gone && this.socket.isPaused()) this.socket.resume();
    } catch (error) {
      this.close(error instanceof FramingError ? error.reason : closeReasons.malformed);
    } finally {
      this.#pumping = false;
    }
  }

  #parse(frame: Buffer): Packet {
    if (this.#first && (frame[0] as number) !== 0x10)
      throw new FramingError('the first packet must be CONNECT', closeReasons.protocolError);
    this.#packet = undefined;
    this.#failure = undefined;
    this.#parser.parse(frame);
    const packet = this.#packet as Packet | undefined;
    if (this.#failure || !packet) throw this.#failure ?? new FramingError('malformed packet', closeReasons.malformed);
    if (packet.cmd === 'connect') {
      if (!this.#first) throw new FramingError('a second CONNECT', closeReasons.protocolError);
      this.#first = false;
      this.version = (packet as IConnectPacket).protocolVersion ?? 4;
    }
    return packet;
  }
}
