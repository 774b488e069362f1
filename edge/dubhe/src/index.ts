import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type AgentContext, AgentError, openSqlite, type RunningAgent, streaming, systemClock, unary } from '@dipper/platform';
import { agent, dubhe } from '@stardipper/proto';
import { AttributesStore } from './attributes.store';
import { CropsStore } from './crops.store';
import { Doorbell } from './doorbell';
import { readSettings } from './dubhe-settings';
import { type ConnectionState, SessionKeeper } from './keep-session';
import { migrations } from './migrations';
import { ConfigMirror } from './mirror-config';
import { OutgoingStore } from './outgoing.store';
import { HealthReporter } from './report-health';
import { CommandRouter } from './route-command';
import { ReportSender } from './send-reports';
import { installByCommand } from './software/install-command';
import { StateSender } from './software/send-states';
import { SoftwareStore } from './software/software.store';
import { SoftwareUpdater } from './software/update-software';
import { wantedSoftware } from './software/wanted-software';
import type { StarSession } from './star-session';
import { submitReports } from './submit-reports';
import { CropUploader } from './upload-crops';

/** Of the software on this box; Star shows it beside the box's name. */
export const version = '0.1.0';

const attributesTimeoutMs = 15_000;

/**
 * Dubhe: the box's one connection to Star. Starts offline as well as online; what it was given to send and what
 * it knows of its configuration is in `<dataDir>/dubhe/dubhe.db`. Throws when its settings or files are unusable.
 */
export async function startDubhe(context: AgentContext): Promise<RunningAgent> {
  const { dataDir, log } = context;
  const clock = systemClock;
  const settings = readSettings(context.settings);
  const folder = join(dataDir, 'dubhe');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // The attributes hold the recorders' passwords.
  chmodSync(folder, 0o700);
  const db = openSqlite(join(folder, 'dubhe.db'), migrations);
  const abort = new AbortController();
  const signal = AbortSignal.any([context.signal, abort.signal]);
  const report = (error: unknown, what: string) => {
    const known = error instanceof AgentError ? { code: error.code, params: error.params } : { err: error };
    log.warn({ ...known, what }, 'failed');
  };

  const spooled = new Doorbell();
  const sessionOpened = new Doorbell();
  const configChanged = new Doorbell();
  const outgoing = new OutgoingStore(db, settings.DUBHE_SPOOL_BYTES);
  const crops = new CropsStore(db);
  const attributes = new AttributesStore(db);
  const mirror = new ConfigMirror(attributes, configChanged, (code) => log.warn({ code }, 'attributes ignored'));
  const router = new CommandRouter({ dataDir, clock, signal, commandMs: settings.DUBHE_COMMAND_MS });
  const uploader = new CropUploader({ dataDir, store: crops, queued: spooled, clock, retryMs: settings.DUBHE_RETRY_MS, report });
  const software = new SoftwareStore(db, clock);
  const stateWritten = new Doorbell();
  const states = new StateSender({ store: software, stateWritten, report });
  const updater = new SoftwareUpdater({
    folder: join(folder, 'software'),
    store: software,
    clock,
    install: settings.DUBHE_INSTALL_PACK
      ? installByCommand({
          command: settings.DUBHE_INSTALL_PACK,
          pidPath: join(folder, 'software', 'installer.json'),
          env: { PATH: context.settings.PATH, HOME: context.settings.HOME, LANG: context.settings.LANG, DIPPER_DATA: dataDir },
          timeoutMs: settings.DUBHE_INSTALL_TIMEOUT_MS,
          signal,
        })
      : undefined,
    wanted: () => wantedSoftware(attributes.current().attributes),
    configChanged,
    stateWritten,
    chunkTimeoutMs: settings.DUBHE_ACK_TIMEOUT_MS,
    retryMs: settings.DUBHE_RETRY_MS,
    failedRetryMs: settings.DUBHE_SOFTWARE_RETRY_MS,
    reserveBytes: settings.DUBHE_DISK_RESERVE_BYTES,
    busy: () => outgoing.nextAfter(0, 1).length > 0 || router.isBusy(),
    report,
  });
  const sender = new ReportSender({
    store: outgoing,
    spooled,
    clock,
    onProgress: () => keeper.progressed(),
    onBuried: ({ id, key }, reason) => log.error({ code: 'spool.report_set_aside', id, key, reason }, 'report set aside'),
  });
  const keeper: SessionKeeper = new SessionKeeper({
    dataDir,
    settings,
    clock,
    signal,
    report,
    onCommand: (payload) => router.answer(payload),
    onAttributes: (update) => mirror.apply(update),
    onOpen: () => {
      log.info('connected');
      sessionOpened.ring();
    },
    duties: [
      (session, stop) => sender.run(session, stop),
      (session, stop) => uploader.run(session, stop),
      (session, stop) => states.run(session, stop),
      async (session: StarSession) => {
        await mirror.refresh(() => session.requestSharedAttributes(attributesTimeoutMs));
        updater.sessionReady(session);
      },
      // The others return when they have nothing left; the session lasts until it is closed.
      (_, stop) => new Doorbell().wait(stop),
    ],
  });
  const health = new HealthReporter({
    dataDir,
    version,
    everyMs: settings.DUBHE_HEALTH_MS,
    clock,
    log,
    session: () => keeper.session,
    sessionOpened,
  });
  const running = [keeper.run(), health.run(signal), updater.run(signal)];

  return {
    services: [
      [
        dubhe.DubheServiceService,
        {
          submitReports: unary((request: dubhe.SubmitReportsRequest): dubhe.SubmitReportsResponse => {
            submitReports(outgoing, request, clock.now());
            spooled.ring();
            return {};
          }),
          watchConfig: streaming(async function* (_: dubhe.WatchConfigRequest, gone: AbortSignal) {
            for await (const state of mirror.watch(AbortSignal.any([gone, signal]))) {
              yield { revision: state.revision, attributes: { ...state.attributes } };
            }
          }),
        },
      ],
    ],
    stats: () => ({ ...outgoing.stats(), ...crops.stats(), ...keeper.stats(), ...router.stats(), ...health.stats(), ...updater.stats() }),
    health: () => healthOf(keeper.connection, outgoing),
    stop: async () => {
      abort.abort();
      await Promise.all(running);
      for (const part of [router, uploader, health]) part.close();
      db.close();
    },
  };
}

/** What needs a person comes first: then what is being lost, then what time will heal. */
function healthOf(connection: ConnectionState, outgoing: OutgoingStore): ReturnType<NonNullable<RunningAgent['health']>> {
  const { HealthState } = agent;
  if (connection.state === 'refused') return { state: HealthState.HEALTH_STATE_FAILED, code: connection.code, detail: connection.detail };
  if (outgoing.isFull()) return { state: HealthState.HEALTH_STATE_DEGRADED, code: 'spool.full', detail: '' };
  if (connection.state === 'offline')
    return { state: HealthState.HEALTH_STATE_DEGRADED, code: 'star.offline', detail: `${connection.code} ${connection.detail}`.trim() };
  const dead = outgoing.deadCount();
  if (dead > 0) return { state: HealthState.HEALTH_STATE_DEGRADED, code: 'spool.dead_reports', detail: String(dead) };
  return { state: HealthState.HEALTH_STATE_OK, code: '', detail: '' };
}
