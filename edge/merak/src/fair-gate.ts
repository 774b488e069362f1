/** Who waits: a camera of a task. */
export interface Turn {
  readonly taskId: string;
  /** 1 (most urgent) to 6. */
  readonly priority: number;
  /** Tasks accepted earlier go first within a priority. */
  readonly order: number;
  readonly camera: string;
}

interface Waiter {
  readonly grant: (leave: () => void) => void;
}

interface WaitingTask {
  readonly turn: Turn;
  /** Since when it has waited without being served. */
  since: number;
  readonly cameras: Map<string, { served: number; waiters: Waiter[] }>;
  waiting: number;
}

export interface GateRules {
  /** How many may be inside; asked every time, because a recorder's limit can change. */
  readonly limit: () => number;
  /** A further condition on letting anyone in. */
  readonly open?: () => boolean;
  readonly now: () => number;
  /** A waiting task gains one priority for each such stretch, and falls back when it is served: it cannot starve, nor crowd out urgent work. */
  readonly ageMs: number;
}

/** A bounded door that lets in by priority with ageing, then by order of acceptance, then the camera served longest ago. */
export class FairGate {
  private readonly tasks = new Map<string, WaitingTask>();
  private inside = 0;
  private served = 0;
  /** The most that were ever inside at once. */
  peak = 0;

  constructor(private readonly rules: GateRules) {}

  get busy(): number {
    return this.inside;
  }

  get waiting(): number {
    let count = 0;
    for (const task of this.tasks.values()) count += task.waiting;
    return count;
  }

  /** Resolves with the function to leave by (idempotent). Rejects with the signal's reason when it aborts while waiting. */
  enter(turn: Turn, signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const waiter: Waiter = {
        grant: (leave) => {
          signal.removeEventListener('abort', giveUp);
          resolve(leave);
        },
      };
      const giveUp = () => {
        this.remove(turn, waiter);
        reject(signal.reason);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      this.add(turn, waiter);
      this.admit();
    });
  }

  /** Lets in whoever may go in now; to be called when `limit` or `open` may have changed. */
  admit(): void {
    while (this.tasks.size > 0 && this.inside < this.rules.limit() && (this.rules.open?.() ?? true)) {
      const task = this.next();
      if (!task) return;
      const camera = [...task.cameras.values()].filter((c) => c.waiters.length > 0).reduce((a, b) => (b.served < a.served ? b : a));
      const waiter = camera.waiters.shift();
      if (!waiter) return;
      camera.served = ++this.served;
      task.since = this.rules.now();
      this.forget(task, 1);
      this.inside += 1;
      this.peak = Math.max(this.peak, this.inside);
      let left = false;
      waiter.grant(() => {
        if (left) return;
        left = true;
        this.inside -= 1;
        this.admit();
      });
    }
  }

  private next(): WaitingTask | undefined {
    const now = this.rules.now();
    let best: WaitingTask | undefined;
    let bestLevel = 0;
    for (const task of this.tasks.values()) {
      const level = task.turn.priority - Math.floor(Math.max(0, now - task.since) / this.rules.ageMs);
      if (!best || level < bestLevel || (level === bestLevel && task.turn.order < best.turn.order)) {
        best = task;
        bestLevel = level;
      }
    }
    return best;
  }

  private add(turn: Turn, waiter: Waiter): void {
    let task = this.tasks.get(turn.taskId);
    if (!task) {
      task = { turn, since: this.rules.now(), cameras: new Map(), waiting: 0 };
      this.tasks.set(turn.taskId, task);
    }
    let camera = task.cameras.get(turn.camera);
    if (!camera) {
      camera = { served: 0, waiters: [] };
      task.cameras.set(turn.camera, camera);
    }
    camera.waiters.push(waiter);
    task.waiting += 1;
  }

  private remove(turn: Turn, waiter: Waiter): void {
    const task = this.tasks.get(turn.taskId);
    const camera = task?.cameras.get(turn.camera);
    const at = camera?.waiters.indexOf(waiter) ?? -1;
    if (!task || !camera || at < 0) return;
    camera.waiters.splice(at, 1);
    this.forget(task, 1);
  }

  private forget(task: WaitingTask, count: number): void {
    task.waiting -= count;
    if (task.waiting === 0) this.tasks.delete(task.turn.taskId);
  }
}
