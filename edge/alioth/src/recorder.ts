import { AgentError, Backoff, type Clock } from '@dipper/platform';
import type { RecorderConfig } from '@stardipper/proto';
import { type Channel, type DeviceInfo, readChannels, readClock, readDeviceInfo } from './discover';
import type { DownloadSource } from './downloads';
import type { DownloadForm } from './fetch-segment';
import { findTimeMode } from './find-time-mode';
import { IsapiClient } from './isapi-client';
import { listFootage } from './list-footage';
import { Listing, type ListingPage } from './listed';
import { fault, isFault } from './recorder.errors';
import { clockErrorMs, type RecorderTime, timeFrom } from './recorder-time';
import { SessionGovernor } from './session-governor';
import type { Settings } from './settings';

export interface RecorderState {
  readonly reachable: boolean;
  readonly error: AgentError | undefined;
  readonly checkedAtMs: number;
  readonly clockErrorMs: number;
  readonly info: DeviceInfo;
  readonly channels: readonly Channel[];
}

export interface PageRequest {
  readonly channel: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly size: number;
  readonly priority: number;
}

/** Searches a recorder answers beside its downloads. */
const SEARCHES_AT_ONCE = 2;
const MAX_OPEN_LISTINGS = 64;
/** A listing is continued only while it is fresh: footage goes on being written. */
const LISTING_LIFE_MS = 60_000;
const SEARCH_TRIES = 3;

/** One recorder on site: its connection, clock, channels and how much it can bear. */
export class Recorder implements DownloadSource {
  readonly governor: SessionGovernor;
  readonly client: IsapiClient;
  form: DownloadForm | undefined;
  state: RecorderState = {
    reachable: false,
    error: undefined,
    checkedAtMs: 0,
    clockErrorMs: 0,
    info: { model: '', serialNumber: '', firmware: '' },
    channels: [],
  };
  private time: RecorderTime | undefined;
  private provenMode: 'local' | 'utc' | undefined;
  private signsOfUtc = 0;
  private looking: Promise<void> | undefined;
  private readonly searches: SessionGovernor;
  private readonly open = new Map<string, { listing: Listing; time: RecorderTime; openedAt: number; abort: AbortController }>();
  private readonly closed = new AbortController();

  constructor(
    readonly config: RecorderConfig,
    private readonly settings: Settings,
    private readonly clock: Clock,
    private readonly changed: (recorder: Recorder) => void,
  ) {
    const limits = {
      connectMs: settings.ALIOTH_CONNECT_TIMEOUT_MS,
      headersMs: settings.ALIOTH_HEADERS_TIMEOUT_MS,
      idleMs: settings.ALIOTH_IDLE_TIMEOUT_MS,
    };
    this.client = new IsapiClient({ baseUrl: config.baseUrl, username: config.username, password: config.password, limits, clock });
    this.governor = new SessionGovernor(config.maxSessions, clock, settings.ALIOTH_AGEING_MS);
    this.searches = new SessionGovernor(SEARCHES_AT_ONCE, clock, settings.ALIOTH_AGEING_MS);
  }

  /** Looks at the recorder now and again until it is closed: every few minutes, sooner after a failure. Never rejects. */
  async watch(): Promise<void> {
    const backoff = new Backoff(Math.min(2000, this.settings.ALIOTH_REFRESH_MS), this.settings.ALIOTH_REFRESH_MS);
    while (!this.closed.signal.aborted) {
      await this.look().then(
        () => backoff.reset(),
        () => undefined,
      );
      const wait = this.state.error ? backoff.nextMs() : this.settings.ALIOTH_REFRESH_MS;
      await this.clock.sleep(wait, this.closed.signal);
    }
  }

  /** Asks for everything this agent needs to know; callers at the same time share one round. Throws why it failed. */
  look(): Promise<void> {
    this.looking ??= this.lookOnce().finally(() => {
      this.looking = undefined;
    });
    return this.looking;
  }

  private async lookOnce(): Promise<void> {
    const { signal } = this.closed;
    try {
      const info = await readDeviceInfo(this.client, signal);
      const channels = await readChannels(this.client, signal);
      await this.readTime(channels, signal);
      const error = this.time ? clockErrorMs(this.time, this.clock.now()) : 0;
      this.state = { reachable: true, error: undefined, checkedAtMs: this.clock.now(), clockErrorMs: error, info, channels };
    } catch (error) {
      const known = error instanceof AgentError ? error : fault('recorder.bad_answer', {}, error);
      // It answered, so it is there, whatever else is wrong.
      const reachable = !isFault(known, 'recorder.unreachable');
      this.state = { ...this.state, reachable, error: known, checkedAtMs: this.clock.now() };
      throw known;
    } finally {
      if (!signal.aborted) this.changed(this);
    }
  }

  private async readTime(channels: readonly Channel[], signal: AbortSignal): Promise<void> {
    const reading = await readClock(this.client, () => this.clock.now(), signal);
    const { timeZone, timeMode } = this.config;
    const local = timeFrom(reading, timeZone, 'local', this.time);
    const utc = timeFrom(reading, timeZone, 'utc', this.time);
    if (timeMode === 'auto' && !this.provenMode) {
      const online = channels.filter((one) => one.online).map((one) => one.channel);
      // A recorder that cannot be searched now is still known; the next look tries again.
      const found = await findTimeMode(this.client, online, { local, utc }, this.clock.now(), signal).catch(() => undefined);
      this.signsOfUtc = found?.mode === 'utc' ? this.signsOfUtc + 1 : 0;
      if (found && (found.sure || this.signsOfUtc > 1)) this.provenMode = found.mode;
    }
    // The first sign counts only while nothing else is known: a recorder that falls silent later must not move all its footage.
    const likely = this.signsOfUtc > 0 && (!this.time || this.time.mode === 'utc') ? 'utc' : 'local';
    const mode = timeMode === 'auto' ? (this.provenMode ?? likely) : timeMode;
    this.time = mode === 'utc' ? utc : local;
  }

  /** One page of footage by the contract of `ListSegments`. A page that follows another goes on with the same search. */
  async page({ channel, fromMs, toMs, size, priority }: PageRequest, signal: AbortSignal): Promise<ListingPage> {
    if (!this.time) await untilAborted(this.look(), signal);
    const time = this.time;
    if (!time) throw fault('recorder.unreachable', { reason: 'clock unknown' });
    const key = `${channel} ${fromMs} ${toMs}`;
    const kept = this.open.get(key);
    this.open.delete(key);
    const usable = kept && sameTime(kept.time, time) && this.clock.now() - kept.openedAt < LISTING_LIFE_MS;
    const { listing, abort } = usable ? kept : this.openListing(time, { channel, fromMs, toMs, priority });
    const openedAt = usable ? kept.openedAt : this.clock.now();
    const cancel = () => abort.abort();
    if (signal.aborted) cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      const page = await listing.page(size);
      if (!listing.finished) this.keep(`${channel} ${page.listedUntilMs} ${toMs}`, { listing, time, openedAt, abort });
      return page;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  private openListing(
    time: RecorderTime,
    { channel, fromMs, toMs, priority }: Omit<PageRequest, 'size'>,
  ): { listing: Listing; abort: AbortController } {
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, this.closed.signal]);
    const admit = <T>(work: () => Promise<T>): Promise<T> => this.search(work, priority, signal);
    return { listing: new Listing(listFootage({ client: this.client, time, channel, admit, signal }, fromMs, toMs), fromMs, toMs), abort };
  }

  /** A search is cheap for a recorder, so a busy one is asked again a few times before the caller hears of it. */
  private async search<T>(work: () => Promise<T>, priority: number, signal: AbortSignal): Promise<T> {
    const backoff = new Backoff(this.settings.ALIOTH_BACKOFF_FIRST_MS, this.settings.ALIOTH_BACKOFF_CAP_MS);
    for (let attempt = 1; ; attempt++) {
      const leave = await this.searches.enter({ priority }, signal);
      try {
        return await work();
      } catch (error) {
        if (signal.aborted || attempt >= SEARCH_TRIES || !isFault(error, 'recorder.busy')) throw error;
      } finally {
        leave();
      }
      await this.clock.sleep(backoff.nextMs(), signal);
    }
  }

  private keep(key: string, entry: { listing: Listing; time: RecorderTime; openedAt: number; abort: AbortController }): void {
    this.open.set(key, entry);
    for (const oldest of this.open.keys()) {
      if (this.open.size <= MAX_OPEN_LISTINGS) break;
      this.open.delete(oldest);
    }
  }

  /** Footage that ended this recently is still being written. */
  isGrowing(toMs: number): boolean {
    return toMs > this.clock.now() - 2 * 60_000;
  }

  close(): void {
    this.closed.abort();
    this.governor.close();
    this.searches.close();
    this.open.clear();
    this.client.close();
  }
}

const sameTime = (a: RecorderTime, b: RecorderTime): boolean =>
  a.mode === b.mode && a.zone === b.zone && a.fixedOffsetMs === b.fixedOffsetMs && a.skewMs === b.skewMs;

function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = () => reject(fault('alioth.cancelled'));
    if (signal.aborted) return cancel();
    signal.addEventListener('abort', cancel, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', cancel));
  });
}
