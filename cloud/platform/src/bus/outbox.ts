import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../postgres/database';
import type { Log } from '../postgres/open-database';
import type { Bus } from './bus';
import { deleteFromOutbox, lockOutbox, outboxChannel, readOutbox } from './outbox.store';

export interface RelayOptions {
  readonly db: Database;
  readonly bus: Bus;
  /** How often the outbox is looked at without being notified, and how soon another replica takes over. Default 1 s. */
  readonly pollMs?: number;
  readonly log?: Log;
}

export interface Relay {
  /** Resolves when the batch in flight is passed on and deleted. */
  stop(): Promise<void>;
}

const maxRows = 1000;
const maxBytes = 4 * 1024 * 1024;
const maxPauseMs = 30_000;

/**
 * Passes committed events from the outbox to the bus, in the order they were written. Start one in every replica: at
 * any moment one of them works. Rows are found by being there and not by a position, so a transaction that commits
 * late is never skipped. Killed between the append and the delete, the next relay appends the same records again.
 */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const { db, log, pollMs = 1000 } = options;
  const stopping = new AbortController();
  let woken = false;
  let wakeUp = () => {};
  const wake = () => {
    woken = true;
    wakeUp();
  };
  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  await db.listen(outboxChannel, wake, stopping.signal);
  const run = async () => {
    let pauseMs = 100;
    while (!stopping.signal.aborted) {
      try {
        woken = false;
        const passedOn = await relayOnce(options);
        pauseMs = 100;
        if (passedOn === 0 && !woken && !stopping.signal.aborted) await pause(pollMs);
      } catch (error) {
        log?.warn({ err: error }, 'the outbox could not be passed on and is tried again');
        await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => {});
        pauseMs = Math.min(pauseMs * 2, maxPauseMs);
      }
    }
  };
  const running = run();
  return {
    stop: async () => {
      stopping.abort();
      wake();
      await running;
    },
  };
}

/** One batch; answers how many records it passed on, 0 also while another relay works. */
export async function relayOnce({ db, bus }: Pick<RelayOptions, 'db' | 'bus'>): Promise<number> {
  return db.system('outbox: relay', async (tx) => {
    if (!(await lockOutbox(tx))) return 0;
    const rows = await readOutbox(tx, maxRows, maxBytes);
    if (rows.length === 0) return 0;
    await bus.appendEncoded(rows);
    await deleteFromOutbox(tx, rows);
    return rows.length;
  });
}
