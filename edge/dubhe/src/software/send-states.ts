import { AgentError } from '@dipper/platform';
import type { Doorbell } from '../doorbell';
import type { StarSession } from '../star-session';
import type { SoftwareStore } from './software.store';

export interface StateSenderOptions {
  readonly store: SoftwareStore;
  readonly stateWritten: Doorbell;
  readonly report: (error: unknown, what: string) => void;
}

/** Connections that may end on one state; then the reports, which need the line as well, are worth more. */
const maxDeliveries = 5;

/** Tells Star how far this box is, state by state, and forgets each when Star has it. */
export class StateSender {
  private readonly deliveries = new Map<number, number>();

  constructor(private readonly options: StateSenderOptions) {}

  /** Until the signal aborts; throws when Star cannot take any just now. */
  async run(session: Pick<StarSession, 'publishValues'>, signal: AbortSignal): Promise<void> {
    const { store, stateWritten, report } = this.options;
    while (!signal.aborted) {
      const next = store.nextReport();
      if (!next) {
        await stateWritten.wait(signal);
        continue;
      }
      try {
        await session.publishValues(next.atMs, next.body);
      } catch (error) {
        const tries = (this.deliveries.get(next.seq) ?? 0) + 1;
        this.deliveries.set(next.seq, tries);
        if (tries < maxDeliveries || !(error instanceof AgentError)) throw error;
        report(error, 'software state given up');
      }
      this.deliveries.delete(next.seq);
      store.forgetReport(next.seq);
    }
  }
}
