import type { Clock } from '@dipper/platform';
import { fault } from './recorder.errors';

/** What waits for a session; `priority` (1 is the most urgent) may be raised while it waits. */
export interface Ticket {
  priority: number;
}

interface Waiting {
  readonly ticket: Ticket;
  readonly sinceMs: number;
  readonly order: number;
  readonly enter: () => void;
}

const MAX_WAITING = 10_000;
/** Some recorders free a session only a moment after its last byte; after a refusal we leave them that moment. */
const FIRST_GAP_MS = 50;
const LONGEST_GAP_MS = 2000;

/**
 * Lets at most `limit` downloads of one recorder run at once. The most urgent goes first; waiting makes more urgent,
 * one priority for each `ageingMs`, so the least urgent is served in the end however much comes before it. After
 * trouble nothing starts until the pause is over.
 */
export class SessionGovernor {
  private waiting: Waiting[] = [];
  private order = 0;
  private pausedUntil = 0;
  private timer: NodeJS.Timeout | undefined;
  private gapMs = 0;
  private lastLeftAt = Number.NEGATIVE_INFINITY;
  private running = 0;
  private mostRunning = 0;

  constructor(
    private limit: number,
    private readonly clock: Pick<Clock, 'now'>,
    private readonly ageingMs: number,
  ) {}

  get inUse(): number {
    return this.running;
  }
  get queued(): number {
    return this.waiting.length;
  }
  /** The most that ever ran at once. */
  get peak(): number {
    return this.mostRunning;
  }

  setLimit(limit: number): void {
    this.limit = limit;
    this.drain();
  }

  /** The recorder refused or talked nonsense: nothing starts for a while, and then not so closely one after another. */
  pause(ms: number): void {
    this.pausedUntil = Math.max(this.pausedUntil, this.clock.now() + ms);
    this.gapMs = Math.min(LONGEST_GAP_MS, Math.max(FIRST_GAP_MS, this.gapMs * 2));
  }

  /** A download went well: the gap between two shrinks again, slowly. */
  wentWell(): void {
    this.gapMs = this.gapMs < 5 ? 0 : this.gapMs * 0.95;
  }

  /** Resolves with a function that gives the session back (once; calling it again does nothing). Rejects when cancelled while waiting. */
  enter(ticket: Ticket, signal?: AbortSignal): Promise<() => void> {
    if (signal?.aborted) return Promise.reject(fault('alioth.cancelled'));
    if (this.waiting.length >= MAX_WAITING) return Promise.reject(fault('recorder.busy', { reason: 'queue full' }));
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.waiting = this.waiting.filter((one) => one !== entry);
        reject(fault('alioth.cancelled'));
      };
      const entry: Waiting = {
        ticket,
        sinceMs: this.clock.now(),
        order: this.order++,
        enter: () => {
          signal?.removeEventListener('abort', leave);
          this.running++;
          this.mostRunning = Math.max(this.mostRunning, this.running);
          let held = true;
          resolve(() => {
            if (!held) return;
            held = false;
            this.running--;
            this.lastLeftAt = this.clock.now();
            this.drain();
          });
        },
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.waiting.push(entry);
      this.drain();
    });
  }

  private drain(): void {
    clearTimeout(this.timer);
    const now = this.clock.now();
    const startAt = Math.max(this.pausedUntil, this.lastLeftAt + this.gapMs);
    if (this.waiting.length > 0 && now < startAt) {
      this.timer = setTimeout(() => this.drain(), startAt - now);
      return;
    }
    while (this.running < this.limit && this.waiting.length > 0) {
      const rank = ({ ticket, sinceMs }: Waiting): number => ticket.priority - Math.floor((now - sinceMs) / this.ageingMs);
      const first = this.waiting.reduce((best, one) =>
        rank(one) < rank(best) || (rank(one) === rank(best) && one.order < best.order) ? one : best,
      );
      this.waiting = this.waiting.filter((one) => one !== first);
      first.enter();
    }
  }

  close(): void {
    clearTimeout(this.timer);
  }
}
