import type { Clock } from './clock';

/** Exponential, with full jitter on the upper half, so that many boxes do not come back in step. */
export class Backoff {
  private attempt = 0;
  constructor(
    private readonly firstMs = 200,
    private readonly capMs = 30_000,
    private readonly random: () => number = Math.random,
  ) {}
  nextMs(): number {
    const full = Math.min(this.capMs, this.firstMs * 2 ** this.attempt++);
    return full / 2 + (this.random() * full) / 2;
  }
  reset(): void {
    this.attempt = 0;
  }
}

export interface SuperviseEnv {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly backoff: Backoff;
  readonly report: (error: unknown) => void;
}

/** Runs `once` again and again until the signal aborts; waits after a failure, not after a success. */
export async function supervise(
  once: (signal: AbortSignal) => Promise<void>,
  { clock, signal, backoff, report }: SuperviseEnv,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await once(signal);
      backoff.reset();
    } catch (error) {
      if (signal.aborted) return;
      report(error);
      await clock.sleep(backoff.nextMs(), signal);
    }
  }
}
