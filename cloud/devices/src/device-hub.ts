import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Audit,
  type Bus,
  type Database,
  keepSweepingTenants,
  type LimitsOf,
  type Log,
  type Objects,
  type Retention,
  type SecretBox,
  type WriteEvent,
  type WriteEvents,
} from '@star/platform';
import type { AreasPort } from './areas';
import { pushSharedAttributes, readDeviceAttributes, saveClientAttributes } from './attributes/device-attributes';
import { sendAwayClosed } from './customers/send-away';
import { logIn } from './edges/log-in';
import { Presence } from './edges/presence';
import { provisionEdge } from './edges/provision-edge';
import { closeReasons } from './hub/connection';
import { Hub } from './hub/hub';
import { hubChannel, readSignal } from './hub/hub-channel.store';
import type { HubSettings } from './hub/hub-settings';
import { announceAssignments } from './ota/announce-software';
import { applySoftwareTelemetry } from './ota/apply-software-telemetry';
import { deleteDoomedObjects } from './ota/manage-packages';
import { createSoftwareSource } from './ota/serve-chunks';
import { expireRejectedReports } from './retention/expire-rejected-reports';
import { answerCall, type SignCrops } from './rpc/answer-call';
import { AnswerWaiters } from './rpc/ask-edge';
import { Dispatcher } from './rpc/dispatcher';
import { endExpiredRpcs } from './rpc/expire-rpcs';
import { forgetFinishedRpcs } from './rpc/forget-rpcs';
import { acceptTelemetry } from './telemetry/accept-telemetry';
import { BusBatcher } from './telemetry/bus-batcher';

export interface DeviceHubDeps extends AreasPort {
  readonly limitsOf: LimitsOf;
  readonly db: Database;
  readonly bus: Pick<Bus, 'append'>;
  readonly writeEvent: WriteEvent;
  readonly writeEvents: WriteEvents;
  readonly audit: Audit;
  readonly log: Log;
  readonly secrets: SecretBox;
  readonly signCrops: SignCrops;
  readonly objects: Pick<Objects, 'getRange' | 'delete'>;
  readonly settings: HubSettings;
  /** Without a PUBACK for so long, an RPC counts as not delivered. */
  readonly ackTimeoutMs: number;
  /** A hub silent for so long is dead, and its edges are offline. */
  readonly leaseMs: number;
  /** Between two looks for calls whose time is over. */
  readonly expiryEveryMs: number;
  /** How long calls that have ended can be looked at, days. */
  readonly rpcKeepDays: number;
  readonly retention?: Retention;
  /** Between two looks for those that are older. */
  readonly upkeepEveryMs: number;
}

const pushesAtOnce = 4;

/** The MQTT hub joined to the database and the bus: presence, RPC, attributes, telemetry. */
export function createDeviceHub(deps: DeviceHubDeps) {
  const { db, bus, writeEvent, writeEvents, log, settings } = deps;
  const hubId = randomUUID();
  const stopping = new AbortController();
  const answers = new AnswerWaiters();
  const batcher = new BusBatcher(bus, () => hub.resumeAll());
  const dispatcher = new Dispatcher({ db, writeEvents, log, ackTimeoutMs: deps.ackTimeoutMs });
  const push = pushSharedAttributes(deps);
  const accept = acceptTelemetry({ db, batcher, log });
  const applySoftware = applySoftwareTelemetry(deps);
  const hub: Hub = new Hub(settings, {
    logIn: logIn({ db }),
    provision: provisionEdge({
      db,
      writeEvent,
      audit: deps.audit,
      log,
      limitsOf: deps.limitsOf,
      holdArea: deps.holdArea,
      areasVisibleTo: deps.areasVisibleTo,
    }),
    acceptTelemetry: async (edge, entries) => {
      await accept(edge, entries);
      await applySoftware(edge, entries);
    },
    saveClientAttributes: saveClientAttributes({ db }),
    readAttributes: readDeviceAttributes(deps),
    answerCall: answerCall({ signCrops: deps.signCrops, settings }),
    rpcSubscribed: (session) => dispatcher.subscribed(session),
    acceptReply: (session, requestId, replyJson, readAt) => dispatcher.reply(session, requestId, replyJson, readAt),
    software: createSoftwareSource(deps),
    chunkFailed: (session, error) => log.warn({ err: error, edgeId: session.edge.id }, 'a piece of software could not be read'),
    overloaded: () => batcher.full,
    opened: (session) => presence.changed(session),
    closed: (session) => {
      dispatcher.closed(session);
      presence.changed(session);
    },
  });
  const presence = new Presence({
    db,
    writeEvent,
    log,
    hubId,
    leaseMs: deps.leaseMs,
    current: (edgeId) => hub.session(edgeId),
    sessions: () => hub.sessions(),
    orphaned: (session) => session.close(closeReasons.administrativeAction),
  });

  const customers = sendAwayClosed({ db, log, sessions: () => hub.sessions() });

  /** One push at a time per edge, and each reads the values anew, so the last one always says what is true. */
  const pushes = new Map<string, Promise<void>>();
  const pushAttributes = (edgeId: string, keys: readonly string[] | 'all'): Promise<void> => {
    const last = (pushes.get(edgeId) ?? Promise.resolve()).then(async () => {
      const session = hub.session(edgeId);
      if (!session) return;
      await push(session, keys).catch((error: unknown) => {
        // The device asks for everything when it comes back, so a new connection repairs what was missed.
        log.warn({ err: error, edgeId }, 'changed attributes could not be read; the session is closed');
        session.close(closeReasons.serverBusy);
      });
    });
    pushes.set(edgeId, last);
    void last.finally(() => pushes.get(edgeId) === last && pushes.delete(edgeId));
    return last;
  };
  /** A few at a time: thousands of edges must not keep everything else from the database. */
  const pushToTenant = async (tenantId: string, keys: readonly string[]) => {
    const edgeIds = [...hub.sessions()].flatMap(({ edge }) => (edge.tenantId === tenantId ? [edge.id] : []));
    const worker = async () => {
      for (let edgeId = edgeIds.pop(); edgeId !== undefined && !stopping.signal.aborted; edgeId = edgeIds.pop()) {
        await pushAttributes(edgeId, keys);
      }
    };
    await Promise.all(Array.from({ length: pushesAtOnce }, worker));
  };

  const heard = (payload: string) => {
    const signal = readSignal(payload);
    if (!signal) {
      // The listening was broken: whatever was said meanwhile is looked up.
      if (payload !== '') return;
      dispatcher.wakeAll();
      answers.lookAgain();
      customers.lookAtAll();
      for (const session of hub.sessions()) void pushAttributes(session.edge.id, 'all');
      return;
    }
    switch (signal.kind) {
      case 'rpc':
        return dispatcher.wake(signal.edgeId);
      case 'answered':
        return answers.answered(signal.rpcId);
      case 'attributes':
        return void pushAttributes(signal.edgeId, signal.keys);
      case 'tenantAttributes':
        return void pushToTenant(signal.tenantId, signal.keys);
      case 'tenantClosed':
        return customers.closed(signal.tenantId);
      case 'takenOver':
        if (signal.hubId === hubId) hub.session(signal.edgeId)?.close(closeReasons.sessionTakenOver);
        return;
      case 'revoked':
        hub.session(signal.edgeId)?.close(closeReasons.administrativeAction);
    }
  };

  const endExpired = endExpiredRpcs({ db, writeEvents });
  const forgetFinished = forgetFinishedRpcs({ db, keepDays: deps.rpcKeepDays, retention: deps.retention });
  const repeat = async (work: () => Promise<unknown>, everyMs: number, failed: string) => {
    while (!stopping.signal.aborted) {
      await work().catch((error: unknown) => log.warn({ err: error }, failed));
      await sleep(everyMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  };
  const sweeping: Promise<void>[] = [];

  const end = async (finish: () => Promise<void>) => {
    stopping.abort();
    await hub.stop();
    await batcher.drained();
    await Promise.all([...sweeping, ...pushes.values()]);
    await dispatcher.stop();
    await finish();
  };

  return {
    dispatcher,
    answers,
    connectedHere: (edgeId: string) => dispatcher.canAsk(edgeId),
    /** Sessions on this replica. */
    sessionCount: () => [...hub.sessions()].length,
    /** Answers the port. */
    start: async (): Promise<number> => {
      await presence.start();
      await db.listen(hubChannel, heard, stopping.signal);
      dispatcher.start();
      sweeping.push(
        repeat(endExpired, deps.expiryEveryMs, 'expired RPCs could not be ended'),
        repeat(forgetFinished, deps.upkeepEveryMs, 'finished RPCs past their time could not be deleted'),
        repeat(announceAssignments(deps), deps.expiryEveryMs, 'assigned software could not be announced'),
        repeat(deleteDoomedObjects(deps), deps.upkeepEveryMs, 'software objects nobody needs could not be deleted'),
      );
      if (deps.retention) {
        const { retention, upkeepEveryMs: everyMs } = deps;
        const sweepTenant = expireRejectedReports({ db, retention }, () => new Date());
        const onError = (error: unknown) => log.warn({ err: error }, 'rejected reports past their time could not be removed; tried again');
        sweeping.push(keepSweepingTenants({ database: db, retention, service: 'devices', everyMs, sweepTenant, onError }, stopping.signal));
      }
      return hub.start();
    },
    /** Closes the sessions, waits for what is in flight, says that its edges are offline. */
    stop: () => end(() => presence.stop()),
    /** Closes the sockets and writes nothing more, as a killed process would; for tests of what is left behind. */
    abandon: async () => {
      const abandoned = presence.abandon();
      await end(() => abandoned);
    },
  };
}
