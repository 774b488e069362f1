import { AgentError, type Clock } from '@dipper/platform';
import type { Doorbell } from './doorbell';
import type { OutgoingStore, SpooledReport } from './outgoing.store';
import type { StarSession } from './star-session';

/** Unacknowledged reports at once: enough to hide a 100 ms round trip at 200 reports per second, and at most 1.3 MB. */
const windowSize = 20;
/** Connections that may end on one report, alone, before it is set aside. */
const deliveriesBeforeProbe = 5;
/** Acknowledgements are written down together: one fsync for many. */
const flushAfterMs = 20;
/** Malformed packet, topic name, packet too large, payload format: the same message will be refused again. */
const permanentRefusals = new Set([129, 144, 149, 153]);
/** Server busy, message rate too high, quota exceeded: not the report's fault. */
const overloads = new Set([137, 150, 151]);

export interface SenderOptions {
  readonly store: OutgoingStore;
  readonly spooled: Doorbell;
  readonly clock: Clock;
  /** Star took something: the connection works. */
  readonly onProgress: () => void;
  readonly onBuried: (report: SpooledReport, reason: string) => void;
}

/**
 * Sends what is spooled, oldest first, and forgets a report when Star has acknowledged it. Everything not
 * acknowledged when a session ends is sent again in the next one, so each report arrives at least once.
 */
export class ReportSender {
  /** Reports to send one at a time, because the last connection ended while they were on their way. */
  private careful = 0;

  constructor(private readonly options: SenderOptions) {}

  /** Until the signal aborts; throws when Star cannot take reports just now. */
  async run(session: StarSession, signal: AbortSignal): Promise<void> {
    const { store, spooled } = this.options;
    const flight = new Flight(store, Math.min(windowSize, session.receiveMaximum), spooled);
    try {
      while (!signal.aborted) {
        if (flight.failure) throw flight.failure;
        const acknowledged = flight.flushIfDue();
        if (acknowledged > 0) {
          this.careful = Math.max(0, this.careful - acknowledged);
          this.options.onProgress();
        }
        this.buryRefused(flight);
        if (await this.fill(flight, session)) continue;
        await spooled.wait(signal, flight.flushDueInMs());
      }
    } finally {
      flight.flush();
      this.buryRefused(flight);
      if (session.closed.aborted || flight.wasRefused()) this.learnFrom(flight);
    }
  }

  /** Starts as many as may be on their way; true when it got on. */
  private async fill(flight: Flight, session: StarSession): Promise<boolean> {
    const room = (this.careful > 0 ? 1 : flight.window) - flight.sending.size;
    if (room <= 0) return false;
    let started = false;
    for (const report of this.options.store.nextAfter(flight.cursor, room)) {
      const suspect = report.deliveries > 0;
      if (suspect && flight.sending.size > 0) break;
      if (report.deliveries >= deliveriesBeforeProbe) {
        // That may also have been Star failing on everything. When it takes a harmless message now and the
        // connection ends on the report all the same, it is the report.
        await session.publishReport('spoolProbe', this.options.clock.now(), String(report.deliveries));
        flight.lastChance = report;
      }
      flight.send(report, session);
      started = true;
      if (suspect) {
        this.careful = Math.max(1, this.careful);
        break;
      }
    }
    return started;
  }

  private buryRefused(flight: Flight): void {
    for (const [report, reasonCode] of flight.takeRefused()) this.bury(report, `refused_${reasonCode}`);
  }

  private bury(report: SpooledReport, reason: string): void {
    this.options.store.bury(report.seq, reason, this.options.clock.now());
    this.options.onBuried(report, reason);
  }

  /** One alone is to blame; of several nobody knows which, so the next session sends them one by one. */
  private learnFrom(flight: Flight): void {
    const [first] = flight.sending;
    if (first === undefined) return;
    this.careful = Math.max(this.careful, flight.sending.size);
    if (flight.sending.size > 1) return;
    if (flight.lastChance?.seq === first) this.bury(flight.lastChance, 'connection_lost_repeatedly');
    else this.options.store.blame(first);
  }
}

/** The reports on their way in one session. */
class Flight {
  readonly sending = new Set<number>();
  cursor = 0;
  failure: unknown;
  /** Sent although many connections ended on it; set aside when this one does, too. */
  lastChance: SpooledReport | undefined;
  private acknowledged: number[] = [];
  private refused: [SpooledReport, number][] = [];
  private firstAckAt = 0;

  constructor(
    private readonly store: OutgoingStore,
    readonly window: number,
    private readonly changed: Doorbell,
  ) {}

  send(report: SpooledReport, session: StarSession): void {
    this.cursor = report.seq;
    this.sending.add(report.seq);
    session
      .publishReport(report.key, report.atMs, report.body)
      .then(() => {
        if (this.acknowledged.length === 0) this.firstAckAt = performance.now();
        this.acknowledged.push(report.seq);
        this.sending.delete(report.seq);
      })
      .catch((error: unknown) => {
        const reasonCode = refusalOf(error);
        if (permanentRefusals.has(reasonCode)) {
          this.refused.push([report, reasonCode]);
          this.sending.delete(report.seq);
        } else this.failure ??= error;
      })
      .finally(() => this.changed.ring());
  }

  /** Star said no to a report, and not for being busy. */
  wasRefused(): boolean {
    const reasonCode = refusalOf(this.failure);
    return reasonCode > 0 && !overloads.has(reasonCode);
  }

  takeRefused(): [SpooledReport, number][] {
    return this.refused.splice(0);
  }

  flushDueInMs(): number | undefined {
    return this.acknowledged.length === 0 ? undefined : Math.max(1, this.firstAckAt + flushAfterMs - performance.now());
  }

  /** How many were written down; waits for more of them while there are few and others are still on their way. */
  flushIfDue(): number {
    const count = this.acknowledged.length;
    if (count === 0) return 0;
    const wait = count < 100 && this.sending.size > 0 && performance.now() - this.firstAckAt < flushAfterMs;
    return wait ? 0 : this.flush();
  }

  flush(): number {
    const done = this.acknowledged;
    if (done.length === 0) return 0;
    this.store.finish(done);
    this.acknowledged = [];
    return done.length;
  }
}

/** The reason code of a PUBACK that refused; 0 for everything else. */
function refusalOf(error: unknown): number {
  return error instanceof AgentError && error.code === 'star.message_refused' ? Number(error.params.reasonCode) : 0;
}
