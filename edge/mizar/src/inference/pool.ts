import { Worker } from 'node:worker_threads';
import { AgentError, type ErrorKind } from '@dipper/platform';
import { mizarErrors } from '../mizar.errors';
import type { LoadedPack } from '../pack/pack';
import type { FrameAnswer, FrameJob, JobAnswer, PhotoAnswer, PhotoJob, WorkerHello, WorkerSetup } from './messages';

type Job = FrameJob | PhotoJob;

interface Pending {
  readonly job: Job;
  attempts: number;
  readonly resolve: (answer: FrameAnswer | PhotoAnswer) => void;
  readonly reject: (error: unknown) => void;
}

interface Seat {
  worker: Worker | undefined;
  ready: boolean;
  current: Pending | undefined;
  /** Consecutive deaths before it got ready. */
  failedStarts: number;
}

export interface PoolOptions {
  readonly pack: LoadedPack;
  readonly threads: number;
  /** Jobs waiting beyond this are refused with `mizar.busy`. Frames are bounded before, by their slots. */
  readonly maxQueued?: number;
  /** The worker's script; tests run it from source. */
  readonly workerFile: string;
  readonly execArgv?: readonly string[];
  readonly onCrash?: (error: unknown) => void;
}

/** One retry: what kills a worker twice is the frame's own fault. */
const MAX_ATTEMPTS = 2;
const MAX_FAILED_STARTS = 5;

/**
 * Worker threads, each with its own detector and embedder. First come, first served. A worker that dies is replaced
 * and its job given to another once; then the job fails with `inference.failed`.
 */
export class InferencePool {
  private readonly queue: Pending[] = [];
  private readonly seats: Seat[] = [];
  private nextId = 1;
  private closed = false;
  private crashes = 0;

  private constructor(private readonly options: PoolOptions) {}

  /** Resolves when every worker has loaded and tried the pack; throws what it found wrong with it. */
  static async open(options: PoolOptions): Promise<InferencePool> {
    const pool = new InferencePool(options);
    try {
      await Promise.all(Array.from({ length: options.threads }, () => pool.seat()));
    } catch (error) {
      await pool.close();
      throw error;
    }
    return pool;
  }

  get workerCrashes(): number {
    return this.crashes;
  }

  get queued(): number {
    return this.queue.length;
  }

  get threads(): number {
    return this.seats.length;
  }

  frame(job: Omit<FrameJob, 'kind' | 'id'>): Promise<FrameAnswer> {
    return this.submit({ ...job, kind: 'frame', id: this.nextId++ }) as Promise<FrameAnswer>;
  }

  photo(job: Omit<PhotoJob, 'kind' | 'id'>): Promise<PhotoAnswer> {
    return this.submit({ ...job, kind: 'photo', id: this.nextId++ }) as Promise<PhotoAnswer>;
  }

  private submit(job: Job): Promise<FrameAnswer | PhotoAnswer> {
    if (this.closed) return Promise.reject(mizarErrors.stopping());
    if (this.queue.length >= (this.options.maxQueued ?? 256)) return Promise.reject(mizarErrors.busy(this.queue.length));
    return new Promise((resolve, reject) => {
      this.queue.push({ job, attempts: 0, resolve, reject });
      this.dispatch();
    });
  }

  private dispatch(): void {
    for (const seat of this.seats) {
      if (!seat.ready || seat.current || !seat.worker) continue;
      const next = this.queue.shift();
      if (!next) return;
      next.attempts++;
      seat.current = next;
      // Photos are copied, not transferred: a retry needs the pixels again, and there are few.
      seat.worker.postMessage(next.job);
    }
  }

  private seat(): Promise<void> {
    const seat: Seat = { worker: undefined, ready: false, current: undefined, failedStarts: 0 };
    this.seats.push(seat);
    return this.start(seat);
  }

  private start(seat: Seat): Promise<void> {
    return new Promise((resolve, reject) => {
      const worker = new Worker(this.options.workerFile, {
        workerData: { pack: this.options.pack } satisfies WorkerSetup,
        execArgv: this.options.execArgv ? [...this.options.execArgv] : undefined,
      });
      seat.worker = worker;
      seat.ready = false;
      worker.on('message', (message: JobAnswer | WorkerHello) => {
        if (!('ready' in message)) {
          this.finish(seat, message);
          return;
        }
        if (!message.ready) {
          reject(agentError(message.error));
          return;
        }
        seat.ready = true;
        seat.failedStarts = 0;
        resolve();
        this.dispatch();
      });
      worker.on('error', (error) => {
        reject(mizarErrors.inferenceFailed(error));
        this.options.onCrash?.(error);
      });
      worker.on('exit', (code) => {
        reject(mizarErrors.inferenceFailed(new Error(`worker ended with ${code}`)));
        this.replace(seat, worker);
      });
    });
  }

  private finish(seat: Seat, message: JobAnswer): void {
    const pending = seat.current;
    seat.current = undefined;
    if (pending && pending.job.id === message.id) {
      if (message.ok) pending.resolve(message.answer);
      else pending.reject(agentError(message.error));
    }
    this.dispatch();
  }

  private replace(seat: Seat, worker: Worker): void {
    if (seat.worker !== worker) return;
    const pending = seat.current;
    const wasReady = seat.ready;
    Object.assign(seat, { worker: undefined, ready: false, current: undefined });
    if (this.closed) {
      pending?.reject(mizarErrors.stopping());
      return;
    }
    this.crashes++;
    if (pending) {
      if (pending.attempts < MAX_ATTEMPTS) this.queue.unshift(pending);
      else pending.reject(mizarErrors.inferenceFailed(new Error('the worker died with this picture twice')));
    }
    if (!wasReady && ++seat.failedStarts >= MAX_FAILED_STARTS) {
      this.giveUp(seat);
      return;
    }
    this.start(seat).catch((error: unknown) => this.options.onCrash?.(error));
    this.dispatch();
  }

  /** A worker that cannot start any more; without any left, waiting jobs fail rather than wait for ever. */
  private giveUp(seat: Seat): void {
    this.seats.splice(this.seats.indexOf(seat), 1);
    if (this.seats.length > 0) return;
    for (const pending of this.queue.splice(0)) pending.reject(mizarErrors.inferenceFailed(new Error('no worker is left')));
    this.closed = true;
  }

  /** Ends the threads; what waits or runs fails with `mizar.stopping`. */
  async close(): Promise<void> {
    this.closed = true;
    for (const pending of this.queue.splice(0)) pending.reject(mizarErrors.stopping());
    await Promise.all(this.seats.map((seat) => seat.worker?.terminate()));
  }
}

function agentError(e: { code: string; kind: string; params: Record<string, unknown>; detail: string }): AgentError {
  return new AgentError(e.code, e.kind as ErrorKind, e.params, e.detail);
}
