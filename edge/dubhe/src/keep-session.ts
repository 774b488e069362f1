import { AgentError, Backoff, type Clock, supervise } from '@dipper/platform';
import { credentialsPath } from './credentials';
import { dubheErrors } from './dubhe.errors';
import type { DubheSettings } from './dubhe-settings';
import { askForAccount, ownCredentials } from './provision';
import { openSession, type SessionOptions, type StarSession } from './star-session';

const connectTimeoutMs = 10_000;
const provisionTimeoutMs = 15_000;
/** A connection that held so long was a good one: the next attempt need not wait. */
const goodAfterMs = 30_000;

/** Nothing but a person at Star or at this box can settle these. */
const needsPerson = new Set([
  'star.credentials_refused',
  'star.not_configured',
  'provision.refused',
  'provision.name_taken',
  'provision.not_configured',
]);

export type ConnectionState = { state: 'online' } | { state: 'offline' | 'refused'; code: string; detail: string };

export interface SessionKeeperOptions extends Pick<SessionOptions, 'onCommand' | 'onAttributes' | 'report'> {
  readonly dataDir: string;
  readonly settings: DubheSettings;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onOpen: (session: StarSession) => void;
  /** What needs a session, one after another as they come and go; each ends when its signal aborts. */
  readonly duties: readonly ((session: StarSession, signal: AbortSignal) => Promise<void>)[];
}

/** Keeps this box connected: provisions it once, logs in, and again whenever the connection is lost. */
export class SessionKeeper {
  session: StarSession | undefined;
  connection: ConnectionState = { state: 'offline', code: 'star.offline', detail: '' };
  private opened = 0;
  private readonly backoff: Backoff;

  constructor(private readonly options: SessionKeeperOptions) {
    this.backoff = new Backoff(options.settings.DUBHE_RETRY_MS, Math.max(30_000, options.settings.DUBHE_RETRY_MS));
  }

  /** Star took something from us: a connection lost after this is tried again at once. */
  progressed(): void {
    this.backoff.reset();
  }

  run(): Promise<void> {
    const { clock, signal, report } = this.options;
    return supervise((stop) => this.once(stop), { clock, signal, backoff: this.backoff, report: (error) => report(error, 'session') });
  }

  private async once(signal: AbortSignal): Promise<void> {
    const { clock, settings, report } = this.options;
    try {
      await this.hold(await this.login(signal), signal);
    } catch (error) {
      if (signal.aborted) return;
      const known = error instanceof AgentError ? error : new AgentError('internal', 'internal', {}, error);
      const refused = needsPerson.has(known.code);
      this.connection = { state: refused ? 'refused' : 'offline', code: known.code, detail: detailOf(known) };
      if (!refused) throw error;
      report(error, 'login');
      const { DUBHE_SLOW_RETRY_MS: slowMs } = settings;
      await clock.sleep(slowMs / 2 + (Math.random() * slowMs) / 2, signal);
    }
  }

  private async login(signal: AbortSignal): Promise<StarSession> {
    const { dataDir, settings } = this.options;
    const url = settings.STAR_MQTT_URL;
    if (!url) throw dubheErrors.notConfigured('STAR_MQTT_URL');
    const asking = {
      url,
      key: settings.PROVISION_KEY,
      secret: settings.PROVISION_SECRET,
      deviceName: settings.DEVICE_NAME,
      path: credentialsPath(dataDir),
      signal,
      timeoutMs: provisionTimeoutMs,
    };
    const own = ownCredentials(asking);
    if (own.state === 'provisioned') return this.open(url, own.token, signal);
    if (!own.fresh) {
      // Asked before, and the answer was lost: if Star made the account then, its token works.
      try {
        return await this.open(url, own.token, signal);
      } catch (error) {
        if (!(error instanceof AgentError) || error.code !== 'star.credentials_refused') throw error;
      }
    }
    const { state, token, deviceName } = own;
    const account = await askForAccount(asking, { state, token, deviceName });
    return this.open(url, account.token, signal);
  }

  private open(url: string, token: string, signal: AbortSignal): Promise<StarSession> {
    const { onCommand, onAttributes, report, settings } = this.options;
    return openSession({
      url,
      token,
      signal,
      connectTimeoutMs,
      ackTimeoutMs: settings.DUBHE_ACK_TIMEOUT_MS,
      onCommand,
      onAttributes,
      report,
    });
  }

  /** Until the connection ends, with everything that needs it; throws why it ended. */
  private async hold(session: StarSession, signal: AbortSignal): Promise<void> {
    const startedAt = performance.now();
    const ended = new AbortController();
    const stop = AbortSignal.any([signal, session.closed, ended.signal]);
    let failure: unknown;
    this.session = session;
    this.connection = { state: 'online' };
    this.opened++;
    this.options.onOpen(session);
    const run = async (duty: SessionKeeperOptions['duties'][number]) => {
      try {
        await duty(session, stop);
      } catch (error) {
        failure ??= error;
        ended.abort();
      }
    };
    await Promise.all(this.options.duties.map(run));
    this.session = undefined;
    const reason: unknown = session.closed.aborted ? session.closed.reason : failure;
    await session.close();
    if (performance.now() - startedAt > goodAfterMs) this.backoff.reset();
    if (!signal.aborted) throw reason ?? dubheErrors.closed();
  }

  stats(): Record<string, number> {
    return { sessions_opened: this.opened, session_open: this.session ? 1 : 0 };
  }
}

function detailOf(error: AgentError): string {
  const cause = error.cause instanceof Error ? error.cause.message : '';
  return [Object.keys(error.params).length > 0 ? JSON.stringify(error.params) : '', cause].filter(Boolean).join(' ').slice(0, 300);
}
