/** Cuts a byte stream into MQTT packets without ever holding more than one packet of the allowed size. */

/** The peer broke MQTT's framing or its size limit: the connection must be closed. `reason` is an MQTT 5 reason code. */
export class FramingError extends Error {
  constructor(
    message: string,
    readonly reason: number,
  ) {
    super(message);
    this.name = 'FramingError';
  }
}

const firstAllocationBytes = 4096;

/**
 * mqtt-packet's own parser collects a packet whole before anyone can object to its size, so the length in the
 * fixed header is checked here first; a 1 MB publish is refused after five bytes. Memory grows with what has
 * really arrived, so that thousands of slow senders who announce 64 KB each cost next to nothing.
 */
export class FrameReader {
  #chunk: Buffer = Buffer.alloc(0);
  #offset = 0;
  readonly #header = Buffer.alloc(5);
  #headerBytes = 0;
  #length = 0;
  #multiplier = 1;
  #headerDone = false;
  #body: Buffer | undefined;
  #bodyBytes = 0;

  constructor(private readonly maxRemainingBytes: number) {}

  /** Bytes taken in but not yet returned as frames. */
  get heldBytes(): number {
    return this.#chunk.length - this.#offset + this.#bodyBytes;
  }

  push(chunk: Buffer): void {
    this.#chunk = this.#offset === this.#chunk.length ? chunk : Buffer.concat([this.#chunk.subarray(this.#offset), chunk]);
    this.#offset = 0;
  }

  /** The next whole packet, or undefined until more bytes come. Throws FramingError. */
  next(): Buffer | undefined {
    while (!this.#headerDone) {
      const byte = this.#chunk[this.#offset];
      if (byte === undefined) return undefined;
      this.#offset += 1;
      this.#headerByte(byte);
    }
    const wanted = this.#length - this.#bodyBytes;
    const here = this.#chunk.subarray(this.#offset, this.#offset + wanted);
    this.#offset += here.length;
    if (this.#bodyBytes === 0 && here.length === wanted) return this.#finish(here);
    this.#append(here);
    return this.#bodyBytes === this.#length ? this.#finish((this.#body as Buffer).subarray(0, this.#length)) : undefined;
  }

  #headerByte(byte: number): void {
    this.#header[this.#headerBytes++] = byte;
    if (this.#headerBytes === 1) return;
    this.#length += (byte & 0x7f) * this.#multiplier;
    this.#multiplier *= 128;
    if (this.#length > this.maxRemainingBytes) throw new FramingError('packet too large', 0x95);
    if ((byte & 0x80) === 0) this.#headerDone = true;
    else if (this.#headerBytes === 5) throw new FramingError('malformed length', 0x81);
  }

  #append(bytes: Buffer): void {
    const needed = this.#bodyBytes + bytes.length;
    if (!this.#body || this.#body.length < needed) {
      const size = Math.min(this.#length, Math.max(needed, firstAllocationBytes, (this.#body?.length ?? 0) * 2));
      const larger = Buffer.allocUnsafe(size);
      this.#body?.copy(larger, 0, 0, this.#bodyBytes);
      this.#body = larger;
    }
    bytes.copy(this.#body, this.#bodyBytes);
    this.#bodyBytes = needed;
  }

  #finish(body: Buffer): Buffer {
    const frame = Buffer.concat([this.#header.subarray(0, this.#headerBytes), body]);
    this.#headerBytes = 0;
    this.#length = 0;
    this.#multiplier = 1;
    this.#headerDone = false;
    this.#body = undefined;
    this.#bodyBytes = 0;
    return frame;
  }
}
