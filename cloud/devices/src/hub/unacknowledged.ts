/** Messages sent with QoS 1 of which the device has not said that it has them, by message id. */
export class Unacknowledged {
  readonly #waiting = new Map<number, () => void>();
  #next = 1;

  get size(): number {
    return this.#waiting.size;
  }

  /** Answers an id that is free, 1 to 65,535; there must be one. `onAck` follows with its PUBACK. */
  add(onAck: () => void): number {
    while (this.#waiting.has(this.#next)) this.#next = (this.#next % 0xffff) + 1;
    const messageId = this.#next;
    this.#next = (messageId % 0xffff) + 1;
    this.#waiting.set(messageId, onAck);
    return messageId;
  }

  /** Nothing happens for an id that is not waited for: devices repeat themselves. */
  acknowledged(messageId: number): void {
    const onAck = this.#waiting.get(messageId);
    this.#waiting.delete(messageId);
    onAck?.();
  }

  clear(): void {
    this.#waiting.clear();
  }
}
