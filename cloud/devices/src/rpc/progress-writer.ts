import type { Database, Log } from '@star/platform';
import type { RpcProgress } from './rpc';
import { recordProgress } from './rpc.store';

const flushEveryMs = 100;
const flushAtOnce = 500;

/**
 * Writes SENT, DELIVERED and TIMEOUT in batches. A call answered within a tenth of a second, as most are, costs no
 * write for these states at all: its end says the same. A hub that dies before the write leaves QUEUED behind, and
 * the call is sent again, which the device must bear anyway.
 */
export class ProgressWriter {
  readonly #waiting = new Map<string, RpcProgress>();
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(
    private readonly db: Database,
    private readonly log: Log,
  ) {}

  note(rpcId: string, progress: RpcProgress): void {
    const before = this.#waiting.get(rpcId);
    this.#waiting.set(rpcId, { ...before, ...progress });
    this.#timer ??= setTimeout(() => void this.flush(), flushEveryMs);
  }

  /** The call has ended, or is about to, in a transaction of its own. */
  forget(rpcId: string): void {
    this.#waiting.delete(rpcId);
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushing = this.#flushing.then(() => this.#write());
    await this.#flushing;
  }

  async #write(): Promise<void> {
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting].slice(0, flushAtOnce);
      for (const [id] of batch) this.#waiting.delete(id);
      await this.db
        .system('RPC progress', (tx) => recordProgress(tx, batch))
        .catch((error: unknown) => this.log.warn({ err: error, calls: batch.length }, 'states of RPCs were not written'));
    }
  }
}
