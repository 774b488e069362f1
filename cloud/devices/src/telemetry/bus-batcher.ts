import { AppError, type Bus, type BusRecord } from '@star/platform';

interface Submission {
  readonly records: readonly BusRecord[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** One append's size: large enough that the commit is shared by many, small enough to be over soon. */
const maxBatchRecords = 1000;
const maxBatchBytes = 4 * 1024 * 1024;
/** Above this, sessions are not read until half of it is gone; thousands of devices at 64 KB would fill the memory otherwise. */
const maxWaitingBytes = 64 * 1024 * 1024;

/**
 * Appends to the bus whatever has come in since the last append: one device waits for one commit, a thousand wait
 * for the same one. Order of submission is order on the bus.
 */
export class BusBatcher {
  #waiting: Submission[] = [];
  #waitingBytes = 0;
  #full = false;
  #running: Promise<void> | undefined;

  constructor(
    private readonly bus: Pick<Bus, 'append'>,
    private readonly onRoom: () => void,
  ) {}

  get full(): boolean {
    return this.#full;
  }

  /** Resolves when the records are durable; rejects when they are not, or may not be. `bytes` is about their size. */
  append(records: readonly BusRecord[], bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ records, bytes, resolve, reject });
      this.#waitingBytes += bytes;
      if (this.#waitingBytes >= maxWaitingBytes) this.#full = true;
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing is waiting. */
  async drained(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // What arrives in the same turn of the event loop shares the first append.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) await this.#appendBatch(this.#takeBatch());
    this.#running = undefined;
  }

  #takeBatch(): Submission[] {
    let records = 0;
    let bytes = 0;
    let count = 0;
    for (const submission of this.#waiting) {
      records += submission.records.length;
      bytes += submission.bytes;
      if (count > 0 && (records > maxBatchRecords || bytes > maxBatchBytes)) break;
      count += 1;
    }
    const batch = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    for (const submission of batch) this.#waitingBytes -= submission.bytes;
    if (this.#full && this.#waitingBytes < maxWaitingBytes / 2) {
      this.#full = false;
      this.onRoom();
    }
    return batch;
  }

  async #appendBatch(batch: readonly Submission[]): Promise<void> {
    try {
      await this.bus.append(batch.flatMap((submission) => submission.records));
      for (const submission of batch) submission.resolve();
    } catch (error) {
      if (batch.length === 1 || !isRefusal(error)) {
        for (const submission of batch) submission.reject(error);
        return;
      }
      // One record the bus will never take must not take the others with it.
      for (const submission of batch) await this.#appendBatch([submission]);
    }
  }
}

/** The bus will refuse these records however often they are sent. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof AppError && ['invalid', 'too_large', 'unprocessable'].includes(error.kind);
