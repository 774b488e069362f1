import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Database } from '../postgres/database';
import type { Log } from '../postgres/open-database';
import type { SubscribeBatchOptions, SubscribeOptions, Subscription } from './bus';
import { batchesOf, deliverBatch, reasonOf, workOf } from './delivery';
import * as group from './group.store';
import * as log from './postgres-log.store';
import { shareOut } from './share';

export interface ConsumerEnv {
  readonly db: Database;
  readonly log: Log | undefined;
  readonly leaseMs: number;
  readonly pollMs: number;
}

/** One partition while it is this member's. */
interface Owned {
  readonly topic: string;
  readonly partition: number;
  readonly epoch: number;
  /** Everything up to here is handled; `stored` is what the database knows. */
  position: number;
  stored: number;
  storedAtMs: number;
  /** On the monotonic clock: past it another member may work here, so this one hands over nothing more. */
  leasedUntilMs: number;
  readonly leave: AbortController;
  working: Promise<void> | undefined;
}

const maxReadRecords = 1000;
/** With `maxParallel` partitions at work, at most some 32 MiB of records are in memory. */
const maxReadBytes = 4 * 1024 * 1024;
const maxParallel = 8;
/** Storing a position after every record would cost more than most handlers do; after a crash at most this much is repeated. */
const storeEveryMs = 200;

const nameOf = ({ topic, partition }: { topic: string; partition: number }) => `${topic}/${partition}`;

/**
 * One member of a consumer group. Partitions are shared through rows with leases rather than session locks: a lease
 * needs no connection of its own, and its epoch tells a member that was paused and woke up late that it is too late.
 */
export class PostgresConsumer implements Subscription {
  readonly #member = `${hostname()}/${process.pid}/${randomUUID()}`;
  readonly #owned = new Map<string, Owned>();
  readonly #work;
  readonly #stopping = new AbortController();
  #tending: Promise<void> = Promise.resolve();
  #tendTimer: NodeJS.Timeout | undefined;
  #pumping: Promise<void> = Promise.resolve();
  #replaying: Promise<void> | undefined;
  #woken = false;
  #wakeUp: () => void = () => {};

  constructor(
    private readonly env: ConsumerEnv,
    private readonly options: SubscribeOptions | SubscribeBatchOptions,
    private readonly onStopped: () => void,
  ) {
    this.#work = workOf(options, env.log);
  }

  async start(): Promise<void> {
    await this.env.db.system('bus: join a group', (tx) => group.createCursors(tx, this.options.group, this.options.topics));
    await this.#tend();
    // The others make room for a newcomer now rather than at their next renewal.
    await this.env.db.system('bus: join a group', (tx) => group.notifyGroup(tx, this.options.group));
    this.#tendTimer = setInterval(() => this.#tendSoon(), this.env.leaseMs / 3);
    this.#pumping = this.#pumpUntilStopped();
  }

  /** What a NOTIFY said: the topics that got records, or `group:x`, or nothing after a reconnect. */
  notified(payload: string): void {
    if (payload.startsWith('group:')) {
      if (payload === `group:${this.options.group}`) this.#tendSoon();
      return;
    }
    if (payload === '' || payload.split(',').some((topic) => this.options.topics.includes(topic as never))) this.#wake();
  }

  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    clearInterval(this.#tendTimer);
    for (const owned of this.#owned.values()) owned.leave.abort();
    this.#wake();
    await this.#pumping;
    await Promise.allSettled([...this.#owned.values()].map((owned) => owned.working));
    await this.#replaying;
    await this.#tending;
    // Without it the lease runs out by itself.
    await this.env.db
      .system('bus: leave a group', (tx) => group.removeMember(tx, this.options.group, this.#member))
      .catch((error: unknown) => this.#report(error, 'could not leave the group'));
    this.onStopped();
  }

  #tendSoon(): void {
    this.#tending = this.#tending.then(async () => {
      if (this.#stopping.signal.aborted) return;
      await this.#tend().catch((error: unknown) => this.#report(error, 'could not renew the lease of a consumer'));
    });
  }

  /** Gives back what was worked off, renews the rest, and takes or frees partitions so that members share evenly. */
  async #tend(): Promise<void> {
    const { group: name, topics } = this.options;
    const sentAtMs = performance.now();
    const leaving = [...this.#owned.values()].filter((owned) => owned.leave.signal.aborted && !owned.working);
    const { cursors, release } = await this.env.db.system('bus: share partitions', async (tx) => {
      for (const owned of leaving) await group.releaseCursor(tx, name, this.#member, owned);
      const renewed = await group.renewMember(tx, name, this.#member, topics, this.env.leaseMs);
      const { cursors, members } = await group.readGroup(tx, name, topics);
      const plan = shareOut(this.#member, cursors, members);
      const claimed: group.Cursor[] = [];
      for (const place of plan.claim) {
        const cursor = await group.claimCursor(tx, name, this.#member, place, this.env.leaseMs);
        if (cursor) claimed.push(cursor);
      }
      return { cursors: [...renewed, ...claimed], release: plan.release };
    });
    this.#adopt(cursors, sentAtMs);
    for (const place of release) this.#owned.get(nameOf(place))?.leave.abort();
    if ([...this.#owned.values()].some((owned) => owned.leave.signal.aborted && !owned.working)) this.#tendSoon();
    this.#wake();
  }

  #adopt(cursors: readonly group.Cursor[], sentAtMs: number): void {
    const leasedUntilMs = sentAtMs + this.env.leaseMs;
    const held = new Map(cursors.map((cursor) => [nameOf(cursor), cursor]));
    for (const [name, owned] of this.#owned) {
      if (held.get(name)?.epoch === owned.epoch) owned.leasedUntilMs = leasedUntilMs;
      else {
        owned.leave.abort();
        this.#owned.delete(name);
      }
    }
    for (const [name, cursor] of held) {
      if (this.#owned.has(name)) continue;
      this.#owned.set(name, {
        ...cursor,
        stored: cursor.position,
        storedAtMs: performance.now(),
        leasedUntilMs,
        leave: new AbortController(),
        working: undefined,
      });
    }
  }

  #wake(): void {
    this.#woken = true;
    this.#wakeUp();
  }

  async #pumpUntilStopped(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#woken = false;
      try {
        await this.#pump();
      } catch (error) {
        this.#report(error, 'could not look for new records');
      }
      if (this.#woken || this.#stopping.signal.aborted) continue;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.env.pollMs);
        this.#wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async #pump(): Promise<void> {
    const idle = [...this.#owned.values()].filter(
      (owned) => !owned.working && !owned.leave.signal.aborted && performance.now() < owned.leasedUntilMs,
    );
    const { pending, replay } = await this.env.db.system('bus: look for records', async (tx) => ({
      replay: this.#replaying ? undefined : await log.claimReplay(tx, this.options.group, this.options.topics, this.env.leaseMs * 6),
      pending: idle.length > 0 ? await log.findPending(tx, idle) : [],
    }));
    if (replay) this.#replaying = this.#replay(replay);
    for (const place of pending) {
      if ([...this.#owned.values()].filter((owned) => owned.working).length >= maxParallel) return;
      const owned = this.#owned.get(nameOf(place));
      if (!owned || owned.working || owned.leave.signal.aborted) continue;
      owned.working = this.#workOff(owned, place.last_position).then((ended) => {
        owned.working = undefined;
        if (this.#stopping.signal.aborted) return;
        if (owned.leave.signal.aborted) this.#tendSoon();
        // There may be more by now. After a failure the next look comes with the next poll.
        else if (ended) this.#wake();
      });
    }
  }

  /** One read and what is in it; false when it was broken off. Never rejects. */
  async #workOff(owned: Owned, lastPosition: number): Promise<boolean> {
    let ended = false;
    try {
      const records = await this.env.db.system('bus: read records', (tx) => log.readRecords(tx, owned, maxReadRecords, maxReadBytes));
      // Retention has deleted everything that was pending.
      if (records.length === 0) owned.position = Math.max(owned.position, lastPosition);
      for (const batch of batchesOf(records, this.#work.maxBatch(owned.topic))) {
        if (owned.leave.signal.aborted || performance.now() >= owned.leasedUntilMs) break;
        if ('undecodable' in batch) {
          await this.#bury(batch.undecodable, batch.reason);
          owned.position = batch.undecodable.position;
          continue;
        }
        const failed = await deliverBatch(batch.records, this.#work, this.options, owned.leave.signal);
        for (const { index, reason } of failed) await this.#bury(batch.wire[index] as log.StoredRecord, reason);
        owned.position = batch.wire.at(-1)?.position ?? owned.position;
        if (performance.now() - owned.storedAtMs > storeEveryMs) await this.#store(owned);
      }
      ended = true;
    } catch (error) {
      if (!owned.leave.signal.aborted) this.#report(error, 'a partition stopped and is tried again');
    } finally {
      await this.#store(owned).catch((error: unknown) => this.#report(error, 'could not store a position'));
    }
    return ended;
  }

  async #store(owned: Owned): Promise<void> {
    owned.storedAtMs = performance.now();
    if (owned.position === owned.stored) return;
    const { position } = owned;
    const stillMine = await this.env.db.system('bus: store a position', (tx) =>
      group.movePosition(tx, this.options.group, this.#member, owned),
    );
    if (stillMine) owned.stored = position;
    else owned.leave.abort();
  }

  async #bury(record: log.StoredRecord, reason: string): Promise<void> {
    await this.env.db.system('bus: dead letter', (tx) => log.putDeadLetter(tx, this.options.group, record, reason));
    this.env.log?.error(
      { group: this.options.group, topic: record.topic, id: record.headers.id, reason },
      'a record went to the dead letters',
    );
  }

  /** One requested dead letter, beside the partitions: its place in the order is long gone. */
  async #replay(row: log.DeadLetterRow): Promise<void> {
    try {
      let failure: string | undefined;
      for (const batch of batchesOf([row], 1)) {
        if ('undecodable' in batch) failure = batch.reason;
        else failure = (await deliverBatch(batch.records, this.#work, this.options, this.#stopping.signal))[0]?.reason;
      }
      await this.env.db.system('bus: end a replay', (tx) => log.finishReplay(tx, row.id, failure));
    } catch (error) {
      this.#report(error, `a replay was broken off: ${reasonOf(error)}`);
    } finally {
      this.#replaying = undefined;
      if (!this.#stopping.signal.aborted) this.#wake();
    }
  }

  #report(error: unknown, message: string): void {
    this.env.log?.warn({ err: error, group: this.options.group }, message);
  }
}
