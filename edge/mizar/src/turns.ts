import { mizarErrors } from './mizar.errors';

/** At most `count` pieces of work at a time; the rest wait in the order they came, and leave when cancelled. */
export class Turns {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(
    private readonly count: number,
    private readonly maxWaiting: number,
  ) {}

  get active(): number {
    return this.running;
  }

  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.running >= this.count) await this.wait(signal);
    else this.running++;
    try {
      if (signal.aborted) throw mizarErrors.cancelled();
      return await work();
    } finally {
      // The place is handed on, so nobody slips in between.
      const next = this.waiting.shift();
      if (next) next();
      else this.running--;
    }
  }

  private wait(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(mizarErrors.cancelled());
    if (this.waiting.length >= this.maxWaiting) return Promise.reject(mizarErrors.busy(this.waiting.length));
    return new Promise((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        this.waiting.splice(this.waiting.indexOf(go), 1);
        reject(mizarErrors.cancelled());
      };
      this.waiting.push(go);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}
