import { AgentError, Backoff, type Clock } from '@dipper/platform';
import type { DownloadForm } from './fetch-segment';
import { fetchSegment } from './fetch-segment';
import type { IsapiClient } from './isapi-client';
import { fault, isFault } from './recorder.errors';
import type { SessionGovernor, Ticket } from './session-governor';
import type { Settings } from './settings';
import type { Spool, SpooledFile } from './spool';

/** What a download needs of its recorder. */
export interface DownloadSource {
  readonly client: IsapiClient;
  readonly governor: SessionGovernor;
  form: DownloadForm | undefined;
}

export interface DownloadStats {
  downloads: number;
  failed: number;
  reused: number;
  shared: number;
  bytes: number;
  readonly retries: Record<string, number>;
}

interface Running {
  readonly done: Promise<SpooledFile>;
  readonly ticket: Ticket;
  readonly abort: AbortController;
  callers: number;
}

/** A recorder that answers nothing holds a session for the whole timeout each time; three times tells enough. */
const MAX_SILENT_TRIES = 3;

/**
 * Downloads, each segment once however many ask for it at the same time, tried again while that may help. What is in
 * the spool is answered at once. A download nobody waits for any more is stopped.
 */
export class Downloads {
  readonly stats: DownloadStats = { downloads: 0, failed: 0, reused: 0, shared: 0, bytes: 0, retries: {} };
  private readonly running = new Map<string, Running>();

  constructor(
    private readonly spool: Spool,
    private readonly settings: Settings,
    private readonly clock: Clock,
    private readonly random: () => number = Math.random,
  ) {}

  get active(): number {
    return this.running.size;
  }

  async get(
    key: string,
    source: DownloadSource,
    uri: string,
    sizeBytes: number,
    priority: number,
    signal: AbortSignal,
  ): Promise<SpooledFile> {
    const stored = this.running.has(key) ? undefined : this.spool.take(key);
    if (stored) {
      this.stats.reused++;
      return stored;
    }
    const running = this.running.get(key) ?? this.start(key, source, uri, sizeBytes, priority);
    if (running.callers++ > 0) this.stats.shared++;
    running.ticket.priority = Math.min(running.ticket.priority, priority);
    try {
      return await untilAborted(running.done, signal);
    } finally {
      if (--running.callers === 0) {
        running.abort.abort();
        // Whoever asks from now on starts anew instead of joining what is being stopped.
        this.forget(key, running);
      }
    }
  }

  private start(key: string, source: DownloadSource, uri: string, sizeBytes: number, priority: number): Running {
    const abort = new AbortController();
    const ticket: Ticket = { priority };
    const done = this.persist(key, source, { uri, sizeBytes }, ticket, abort.signal);
    const running: Running = { done, ticket, abort, callers: 0 };
    const ended = () => this.forget(key, running);
    // Whoever waits gets the failure through `untilAborted`; after a cancel nobody does.
    done.then(ended, ended);
    this.running.set(key, running);
    return running;
  }

  private forget(key: string, running: Running): void {
    if (this.running.get(key) === running) this.running.delete(key);
  }

  /** Tries until it works, the error will stay, or the tries are used up. Waits outside the session, so that others go on. */
  private async persist(
    key: string,
    source: DownloadSource,
    wanted: { uri: string; sizeBytes: number },
    ticket: Ticket,
    signal: AbortSignal,
  ): Promise<SpooledFile> {
    const { ALIOTH_BACKOFF_FIRST_MS: first, ALIOTH_BACKOFF_CAP_MS: cap, ALIOTH_ATTEMPTS: attempts } = this.settings;
    const backoff = new Backoff(first, cap, this.random);
    for (let attempt = 1; ; attempt++) {
      try {
        const file = await this.once(key, source, wanted, ticket, signal);
        this.stats.downloads++;
        source.governor.wentWell();
        return file;
      } catch (error) {
        const last = attempt >= (isFault(error, 'recorder.unreachable') ? Math.min(attempts, MAX_SILENT_TRIES) : attempts);
        if (signal.aborted || last || !isWorthTrying(error)) {
          if (!signal.aborted) this.stats.failed++;
          throw error;
        }
        this.stats.retries[error.code] = (this.stats.retries[error.code] ?? 0) + 1;
        // A recorder that is busy or answers nonsense gets a rest as a whole; a cut connection says nothing about the others.
        if (!isFault(error, 'recorder.unreachable')) source.governor.pause(Math.min(first, 2000));
        await this.clock.sleep(backoff.nextMs(), signal);
        if (signal.aborted) throw fault('alioth.cancelled');
      }
    }
  }

  private async once(
    key: string,
    source: DownloadSource,
    { uri, sizeBytes }: { uri: string; sizeBytes: number },
    ticket: Ticket,
    signal: AbortSignal,
  ): Promise<SpooledFile> {
    const leave = await source.governor.enter(ticket, signal);
    const limit = new AbortController();
    const deadline = setTimeout(() => limit.abort(), this.settings.ALIOTH_DOWNLOAD_DEADLINE_MS);
    const cancel = () => limit.abort();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      return await fetchSegment(
        {
          client: source.client,
          spool: this.spool,
          idleMs: this.settings.ALIOTH_IDLE_TIMEOUT_MS,
          signal: limit.signal,
          form: source.form,
          formWorked: (form) => {
            source.form = form;
          },
          received: (bytes) => {
            this.stats.bytes += bytes;
          },
        },
        key,
        uri,
        sizeBytes,
      );
    } catch (error) {
      if (limit.signal.aborted && !signal.aborted) throw fault('recorder.unreachable', { reason: 'deadline' }, error);
      throw error;
    } finally {
      clearTimeout(deadline);
      signal.removeEventListener('abort', cancel);
      leave();
    }
  }
}

/** Only what may be different in a moment: a full spool and a lock last longer than a call should. */
const isWorthTrying = (error: unknown): error is AgentError =>
  error instanceof AgentError && error.retry && !isFault(error, 'spool.full', 'recorder.locked_out');

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = () => reject(fault('alioth.cancelled'));
    if (signal.aborted) return cancel();
    signal.addEventListener('abort', cancel, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', cancel));
  });
}
