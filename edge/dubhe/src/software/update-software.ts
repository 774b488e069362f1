import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { AgentError, Backoff, type Clock, isDiskFull, makeFolder, supervise } from '@dipper/platform';
import type { Doorbell } from '../doorbell';
import { dubheErrors } from '../dubhe.errors';
import type { StarSession } from '../star-session';
import { downloadSoftware } from './download-software';
import type { InstallSoftware } from './install-command';
import type { SoftwareProgress, SoftwareStore } from './software.store';
import type { SoftwareTarget, Wanted } from './wanted-software';

export interface UpdaterOptions {
  /** For archives; of this alone. */
  readonly folder: string;
  readonly store: SoftwareStore;
  readonly clock: Clock;
  /** Undefined: this box cannot install anything. */
  readonly install: InstallSoftware | undefined;
  readonly wanted: () => Wanted;
  readonly configChanged: Doorbell;
  /** There is something to tell Star. */
  readonly stateWritten: Doorbell;
  /** A chunk that has not come after so long is asked for again. */
  readonly chunkTimeoutMs: number;
  /** First wait after a lost line; doubles up to a minute. */
  readonly retryMs: number;
  /** After a failure; doubles up to a day. */
  readonly failedRetryMs: number;
  /** Left free on the disk for everything else. */
  readonly reserveBytes: number;
  readonly busy: () => boolean;
  readonly report: (error: unknown, what: string) => void;
}

const dayMs = 86_400_000;
/** Connections that ended on a chunk, one after another: Star cannot serve it, and reports need the line. */
const maxLost = 5;

/** Gets this box the software Star wants it to have: download, check, install, one package at a time, resumed where it was. */
export class SoftwareUpdater {
  private session: StarSession | undefined;
  private lost = 0;
  private requestId = 0;
  private chunks = 0;

  constructor(private readonly options: UpdaterOptions) {
    makeFolder(options.folder, 0o700);
    const { phase, error } = options.store.progress();
    // Somebody has given this box a way to install since.
    if (phase === 'failed' && error === dubheErrors.notSupported().code && options.install) options.store.clear();
  }

  /** The session may be used: this box knows what Star wants it to have now. */
  sessionReady(session: StarSession): void {
    this.session = session;
    this.options.configChanged.ring();
  }

  run(signal: AbortSignal): Promise<void> {
    const { clock, report, retryMs } = this.options;
    const backoff = new Backoff(retryMs, 60_000);
    return supervise((stop) => this.once(stop, backoff), { clock, signal, backoff, report: (error) => report(error, 'software') });
  }

  private async once(signal: AbortSignal, backoff: Backoff): Promise<void> {
    const { store, clock, wanted: read, configChanged } = this.options;
    const wanted = read();
    this.follow(wanted);
    const { phase, retryAtMs, receivedBytes } = store.progress();
    const { target } = wanted;
    if (!target || phase === 'idle' || phase === 'updated' || phase === 'failed') {
      const dueInMs = target && phase === 'failed' && retryAtMs !== null ? retryAtMs - clock.now() : undefined;
      // More than the longest wait: the clock was put back since.
      if (dueInMs !== undefined && (dueInMs <= 0 || dueInMs > dayMs)) {
        store.again(receivedBytes === target?.sizeBytes ? 'downloaded' : 'downloading');
        this.lost = 0;
        this.options.stateWritten.ring();
      } else await configChanged.wait(signal, dueInMs);
      return;
    }
    if (phase === 'downloading' && (!this.session || this.session.closed.aborted)) return configChanged.wait(signal);
    // An installation that has begun is seen through: half of one package is no good to the next.
    const step = (stop: AbortSignal) => this.step(phase, target, receivedBytes, stop, backoff);
    await (phase === 'verified' || phase === 'updating' ? step(signal) : this.whileWanted(wanted.key, signal, step));
    this.options.stateWritten.ring();
  }

  /** Begins anew when something else is wanted than what is being worked on. */
  private follow({ key, target }: Wanted): void {
    const { store, install, stateWritten } = this.options;
    const progress = store.progress();
    if (key !== progress.target) {
      this.lost = 0;
      if (key === '') store.clear();
      else if (!target) store.fail(key, dubheErrors.assignmentUnusable().code, null);
      else if (isCurrent(target, progress)) store.finish(key, target);
      else if (!install) store.fail(key, dubheErrors.notSupported().code, null);
      else store.begin(key);
      stateWritten.ring();
    }
    const { phase } = store.progress();
    this.keepOnly(target && phase !== 'updated' && phase !== 'idle' ? target : undefined);
  }

  private async step(
    phase: SoftwareProgress['phase'],
    target: SoftwareTarget,
    receivedBytes: number,
    signal: AbortSignal,
    backoff: Backoff,
  ): Promise<void> {
    const { store } = this.options;
    try {
      if (phase === 'downloading') {
        await this.download(target, receivedBytes, signal, backoff);
        store.advance('downloaded');
      } else if (phase === 'downloaded') {
        await this.verify(target, signal);
        store.advance('verified');
      } else {
        if (phase === 'verified') store.advance('updating');
        this.options.stateWritten.ring();
        await this.install(target, signal);
      }
    } catch (error) {
      // Stopped, or something else is wanted now.
      if (signal.aborted) return;
      const failure = failureOf(error);
      if (!failure) throw error;
      this.options.report(error, 'software');
      this.fail(failure, target);
    }
  }

  private async download(target: SoftwareTarget, receivedBytes: number, signal: AbortSignal, backoff: Backoff): Promise<void> {
    const { store, clock, chunkTimeoutMs, busy } = this.options;
    const session = this.session as StarSession;
    this.checkRoom(target.sizeBytes - receivedBytes);
    try {
      await downloadSoftware(
        {
          path: this.pathOf(target),
          target,
          receivedBytes,
          session,
          requestId: ++this.requestId,
          timeoutMs: chunkTimeoutMs,
          clock,
          busy,
          kept: (bytes) => store.received(bytes),
          progressed: () => {
            this.lost = 0;
            this.chunks++;
            backoff.reset();
          },
        },
        signal,
      );
    } catch (error) {
      if (session.closed.aborted && !signal.aborted && ++this.lost >= maxLost) throw dubheErrors.connectionLost();
      throw error;
    }
  }

  private checkRoom(bytes: number): void {
    const { folder, reserveBytes } = this.options;
    const { bavail, bsize } = statfsSync(folder);
    if (bavail * bsize < bytes + reserveBytes) throw dubheErrors.softwareDiskFull();
  }

  private async verify(target: SoftwareTarget, signal: AbortSignal): Promise<void> {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of createReadStream(this.pathOf(target), { signal })) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
    }
    if (bytes !== target.sizeBytes) throw dubheErrors.softwareSize(target.sizeBytes, bytes);
    if (hash.digest('hex') !== target.sha256) throw dubheErrors.checksumWrong();
  }

  private async install(target: SoftwareTarget, signal: AbortSignal): Promise<void> {
    const { store, install } = this.options;
    if (!install) throw dubheErrors.notSupported();
    try {
      await install(this.pathOf(target), { title: target.title, version: target.version });
    } catch (error) {
      if (signal.aborted) throw error;
      throw error instanceof AgentError ? error : dubheErrors.installFailed(String(error));
    }
    store.finish(store.progress().target, target);
    this.keepOnly(undefined);
  }

  private fail(code: string, target: SoftwareTarget): void {
    const { store, clock, failedRetryMs } = this.options;
    const { failures, target: key } = store.progress();
    // An archive that is whole is kept for the next try; everything else makes room and is fetched anew.
    if (!keepsArchive.has(code)) {
      rmSync(this.pathOf(target), { force: true });
      store.received(0);
    }
    const waitMs = Math.min(dayMs, failedRetryMs * 2 ** Math.min(failures, 10));
    store.fail(
      key,
      code,
      code === dubheErrors.notSupported().code ? null : Math.round(clock.now() + waitMs / 2 + (Math.random() * waitMs) / 2),
    );
  }

  /** Runs `work`, whose signal aborts also when something else is wanted. */
  private async whileWanted(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { wanted, configChanged } = this.options;
    const done = new AbortController();
    const changed = new AbortController();
    const watch = async () => {
      while (!done.signal.aborted && wanted().key === key) await configChanged.wait(done.signal);
      if (!done.signal.aborted) changed.abort();
    };
    const watching = watch();
    try {
      await work(AbortSignal.any([signal, changed.signal]));
    } finally {
      done.abort();
      await watching;
    }
  }

  private pathOf({ sha256 }: SoftwareTarget): string {
    return join(this.options.folder, `${sha256}.tar.gz`);
  }

  private keepOnly(target: SoftwareTarget | undefined): void {
    for (const name of readdirSync(this.options.folder)) {
      if (name.endsWith('.tar.gz') && name !== `${target?.sha256}.tar.gz`) rmSync(join(this.options.folder, name), { force: true });
    }
  }

  stats(): Record<string, number> {
    return { software_chunks: this.chunks, software_failures: this.options.store.progress().failures };
  }
}

const isCurrent = ({ title, version, sha256 }: SoftwareTarget, { current }: SoftwareProgress): boolean =>
  current?.title === title && current.version === version && current.sha256 === sha256;

const keepsArchive = new Set<string>([dubheErrors.installFailed('').code, dubheErrors.installTimeout(0).code]);

/** The code of an error that trying again at once will not heal; undefined for what time does, such as a lost line. */
function failureOf(error: unknown): string | undefined {
  if (error instanceof AgentError) return error.code.startsWith('software.') ? error.code : undefined;
  if (isDiskFull(error)) return dubheErrors.softwareDiskFull().code;
  // The archive is gone, or the disk is broken.
  return (error as NodeJS.ErrnoException).code === undefined ? undefined : dubheErrors.softwareDiskFailed(error).code;
}
