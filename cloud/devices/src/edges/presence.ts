import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Log, WriteEvent } from '@star/platform';
import type { DeviceSession } from '../hub/device-session';
import { signalHubs } from '../hub/hub-channel.store';
import { evictDeadHubs, markOffline, markOnline, releaseLease, renewLease, touchSeen } from './presence.store';

export interface PresenceDeps {
  readonly db: Database;
  readonly writeEvent: WriteEvent;
  readonly log: Log;
  readonly hubId: string;
  /** A hub silent for so long is dead and its edges are offline. */
  readonly leaseMs: number;
  /** The live session of an edge here, if there is one. */
  readonly current: (edgeId: string) => DeviceSession | undefined;
  readonly sessions: () => Iterable<DeviceSession>;
  /** Told of a session whose edge no longer exists. */
  readonly orphaned: (session: DeviceSession) => void;
}

const evictAtOnce = 500;
const seenEveryMs = 10_000;

/**
 * Writes who is online. What is written for an edge is always its newest state here: several changes that come
 * while one is being written become one. A hub that dies stops renewing its lease and takes its edges offline with it.
 */
export class Presence {
  readonly #changed = new Map<string, DeviceSession>();
  readonly #writing = new Map<string, Promise<void>>();
  /** The session last written for an edge, from the moment the writing is tried: a failure may have been a commit. */
  readonly #written = new Map<string, string>();
  /** Edges whose row may not say what `#written` says. */
  readonly #doubtful = new Set<string>();
  readonly #seen = new Map<string, number>();
  readonly #stop = new AbortController();
  #beating: Promise<void> | undefined;
  #abandoned = false;

  constructor(private readonly deps: PresenceDeps) {}

  /** Registers this hub and marks offline what dead hubs left behind. */
  async start(): Promise<void> {
    await this.#beat();
    this.#beating = this.#keepBeating();
  }

  /** Waits until every change is written, then gives the lease up. Sessions must be closed before. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#beating;
    await Promise.all(this.#writing.values());
    const { db, hubId } = this.deps;
    await db
      .system('hub stops', (tx) => releaseLease(tx, hubId))
      .catch((error: unknown) => this.deps.log.warn({ err: error }, 'the lease of this hub runs out by itself'));
  }

  /** Ends without a word, as a killed process does; for tests of exactly that. */
  async abandon(): Promise<void> {
    this.#abandoned = true;
    this.#stop.abort();
    this.#changed.clear();
    await this.#beating;
    await Promise.all(this.#writing.values());
  }

  /** A session of this edge has begun or ended here. */
  changed(session: DeviceSession): void {
    if (this.#abandoned) return;
    this.#changed.set(session.edge.id, session);
    if (this.#writing.has(session.edge.id)) return;
    const writing = this.#write(session.edge.id).finally(() => this.#writing.delete(session.edge.id));
    this.#writing.set(session.edge.id, writing);
  }

  async #write(edgeId: string): Promise<void> {
    for (let failures = 0; ; ) {
      const session = this.#changed.get(edgeId);
      if (!session) return;
      this.#changed.delete(edgeId);
      try {
        await this.#settle(session);
        failures = 0;
      } catch (error) {
        this.deps.log.warn({ err: error, edgeId }, 'presence could not be written and is tried again');
        // On the way out a second try is enough: the lease runs out and says the same.
        if (this.#stop.signal.aborted && failures > 0) return;
        failures += 1;
        await sleep(Math.min(5000, 50 * 2 ** failures), undefined, { signal: this.#stop.signal }).catch(() => {});
        if (!this.#changed.has(edgeId)) this.#changed.set(edgeId, session);
      }
    }
  }

  async #settle(session: DeviceSession): Promise<void> {
    const { db, writeEvent, hubId, current, orphaned } = this.deps;
    const { id: edgeId, tenantId } = session.edge;
    const live = current(edgeId);
    const online = (isOnline: boolean) => ({
      topic: 'device.status.changed.v1' as const,
      key: edgeId,
      tenantId,
      message: { edgeId, online: isOnline, atMs: Date.now() },
    });
    if (live) {
      if (this.#written.get(edgeId) === live.id && !this.#doubtful.has(edgeId)) return;
      this.#written.set(edgeId, live.id);
      this.#doubtful.add(edgeId);
      const known = await db.tenant(tenantId, async (tx) => {
        const before = await markOnline(tx, { edgeId, hubId, sessionId: live.id, connectedAt: new Date() });
        if (before && !before.wasOnline) await writeEvent(tx, online(true));
        if (before?.previousHubId) await signalHubs(tx, { kind: 'takenOver', edgeId, hubId: before.previousHubId });
        return before !== undefined;
      });
      this.#doubtful.delete(edgeId);
      if (!known) orphaned(live);
      return;
    }
    if (!this.#written.has(edgeId)) return;
    await db.tenant(tenantId, async (tx) => {
      if (await markOffline(tx, edgeId, hubId, lastSeen(session))) await writeEvent(tx, online(false));
    });
    this.#written.delete(edgeId);
    this.#doubtful.delete(edgeId);
    this.#seen.delete(edgeId);
  }

  async #keepBeating(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await sleep(this.deps.leaseMs / 3, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await this.#beat().catch((error: unknown) => this.deps.log.warn({ err: error }, 'the lease of this hub was not renewed'));
    }
  }

  async #beat(): Promise<void> {
    const { db, writeEvent, hubId, leaseMs } = this.deps;
    const lapsed = await db.system('hub lease', (tx) => renewLease(tx, hubId, leaseMs));
    if (lapsed) this.#writeAllAgain();
    await this.#writeSeen();
    for (let evicted = evictAtOnce; evicted === evictAtOnce; ) {
      evicted = await db.system('edges of dead hubs', async (tx) => {
        const rows = await evictDeadHubs(tx, evictAtOnce);
        for (const { edgeId, tenantId } of rows) {
          await writeEvent(tx, {
            topic: 'device.status.changed.v1',
            key: edgeId,
            tenantId,
            message: { edgeId, online: false, atMs: Date.now() },
          });
        }
        return rows.length;
      });
    }
  }

  /** While the lease was gone, another hub may have marked these edges offline. */
  #writeAllAgain(): void {
    for (const session of this.deps.sessions()) {
      this.#doubtful.add(session.edge.id);
      this.changed(session);
    }
  }

  async #writeSeen(): Promise<void> {
    const seen: { edgeId: string; sessionId: string; at: Date }[] = [];
    for (const session of this.deps.sessions()) {
      const at = session.connection.lastReadAt;
      if (at - (this.#seen.get(session.edge.id) ?? 0) < seenEveryMs) continue;
      this.#seen.set(session.edge.id, at);
      seen.push({ edgeId: session.edge.id, sessionId: session.id, at: lastSeen(session) });
    }
    if (seen.length > 0) await this.deps.db.system('last seen', (tx) => touchSeen(tx, seen));
  }
}

const lastSeen = (session: DeviceSession) => new Date(performance.timeOrigin + session.connection.lastReadAt);
