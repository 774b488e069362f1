import type { DatabaseSync } from 'node:sqlite';
import { Backoff, type Clock, inTransaction } from '@dipper/platform';
import type { Neighbours } from './neighbours';
import type { OutboxStore } from './outbox.store';

export interface DeliverDeps {
  readonly db: DatabaseSync;
  readonly outbox: OutboxStore;
  readonly neighbours: Pick<Neighbours, 'submitReports' | 'releaseSegment'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly report: (error: unknown) => void;
  /** Footage somebody looks at right now; its file stays. */
  readonly inUse: (segmentKey: string) => boolean;
}

/** Twenty reports of 60 KB stay well below a gRPC message. */
const reportsPerCall = 20;
const releasesPerTurn = 50;

/** Lets one loop sleep until another part of the process has something for it. */
export class Bell {
  private rung = false;
  private wake = () => {};
  ring(): void {
    this.rung = true;
    this.wake();
  }
  /** Resolves at the next ring, at once when it rang since the last wait, or when the signal aborts. */
  async heard(signal: AbortSignal): Promise<void> {
    if (!this.rung && !signal.aborted)
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        signal.addEventListener('abort', this.onAbort(resolve), { once: true });
      });
    this.rung = false;
  }
  private aborted: (() => void) | undefined;
  private onAbort(resolve: () => void): () => void {
    // One listener for the life of the loop, whichever wait it ends.
    this.aborted ??= () => this.wake();
    this.wake = resolve;
    return this.aborted;
  }
}

/** Hands reports to Dubhe in order, page by page from disk, for as long as it takes; a report is deleted only after Dubhe has it. */
export async function deliverReports({ db, outbox, neighbours, clock, signal, report }: DeliverDeps, bell: Bell): Promise<void> {
  const backoff = new Backoff(100, 5_000);
  while (!signal.aborted) {
    try {
      const { reports, until } = outbox.page(reportsPerCall);
      if (reports.length === 0) {
        await bell.heard(signal);
        continue;
      }
      await neighbours.submitReports(reports, signal);
      inTransaction(db, () => outbox.delivered(until));
      backoff.reset();
    } catch (error) {
      if (signal.aborted) return;
      report(error);
      await clock.sleep(backoff.nextMs(), signal);
    }
  }
}

/** Tells Alioth which files are no longer needed; remembered on disk until it has answered. */
export async function deliverReleases({ db, outbox, neighbours, clock, signal, report, inUse }: DeliverDeps, bell: Bell): Promise<void> {
  const backoff = new Backoff(200, 10_000);
  while (!signal.aborted) {
    try {
      const all = outbox.releases(releasesPerTurn);
      const due = all.filter(({ key }) => !inUse(key));
      if (due.length === 0) {
        if (all.length > 0) await clock.sleep(500, signal);
        else await bell.heard(signal);
        continue;
      }
      await Promise.all(due.map(({ segment }) => neighbours.releaseSegment(segment, signal)));
      inTransaction(db, () => {
        for (const { key } of due) outbox.released(key);
      });
      backoff.reset();
    } catch (error) {
      if (signal.aborted) return;
      report(error);
      await clock.sleep(backoff.nextMs(), signal);
    }
  }
}
