import { AppError, type Database, type WriteEvents } from '@star/platform';
import { announceEnds } from './announce-ends';
import { type EndedRpc, endRpcs, type RpcEnd } from './rpc.store';

interface Waiting {
  readonly end: RpcEnd;
  readonly resolve: (ended: EndedRpc | undefined) => void;
  readonly reject: (error: unknown) => void;
}

const maxBatch = 200;

/**
 * Ends calls and announces it. A tenant's calls that end while a transaction of this tenant is under way share the
 * next one: a single reply is written at once, and a thousand boxes that answer together cost a few commits. Their
 * commits could not overlap anyway: PostgreSQL lets transactions that notify commit one after the other.
 */
export class EndWriter {
  /** By tenant; there while somebody writes for it. */
  readonly #waiting = new Map<string, Waiting[]>();

  constructor(
    private readonly db: Database,
    private readonly writeEvents: WriteEvents,
  ) {}

  /** Resolves when it is durable; undefined when the device has no such open call: a late, repeated or invented reply. */
  end(tenantId: string, end: RpcEnd): Promise<EndedRpc | undefined> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(tenantId);
      if (waiting) waiting.push({ end, resolve, reject });
      else {
        const first = [{ end, resolve, reject }];
        this.#waiting.set(tenantId, first);
        void this.#drain(tenantId, first);
      }
    });
  }

  async #drain(tenantId: string, waiting: Waiting[]): Promise<void> {
    while (waiting.length > 0) await this.#write(tenantId, waiting.splice(0, maxBatch));
    this.#waiting.delete(tenantId);
  }

  /** Never rejects. */
  async #write(tenantId: string, batch: readonly Waiting[]): Promise<void> {
    try {
      const ended = await this.db.tenant(tenantId, async (tx) => {
        const rows = await endRpcs(
          tx,
          batch.map(({ end }) => end),
        );
        await announceEnds(
          tx,
          this.writeEvents,
          rows.filter((row) => row !== undefined),
        );
        return rows;
      });
      for (const [place, { resolve }] of batch.entries()) resolve(ended[place]);
    } catch (error) {
      const forAll = batch.length === 1 || (error instanceof AppError && error.retry);
      // What PostgreSQL or the bus refuses in one reply must not take the others with it.
      if (!forAll) for (const each of batch) await this.#write(tenantId, [each]);
      else for (const { reject } of batch) reject(error);
    }
  }
}
