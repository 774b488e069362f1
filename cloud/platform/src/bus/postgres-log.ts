import { type Topic, topics } from '@stardipper/proto';
import type { Database } from '../postgres/database';
import type { Log } from '../postgres/open-database';
import type { Bus, BusRecord, DeadLetter, EncodedRecord, SubscribeBatchOptions, SubscribeOptions, Subscription } from './bus';
import { busErrors } from './bus.errors';
import { decodeRecord, encodeRecord, partitionOf } from './codec';
import { PostgresConsumer } from './postgres-consumer';
import * as store from './postgres-log.store';

export interface PostgresBusOptions {
  readonly db: Database;
  /** For topics that do not exist yet; an existing topic keeps the number it has. Default 8. */
  readonly partitions?: number;
  /** How long a member of a group that died keeps its partitions. Default 10 s. */
  readonly leaseMs?: number;
  /** How often members look without being notified. Default 1 s. */
  readonly pollMs?: number;
  readonly log?: Log;
}

/** The bus in PostgreSQL, with what only this engine needs. */
export interface PostgresBus extends Bus {
  /**
   * Deletes records older than the cutoff that every group has passed; answers how many. Interruptible and safe to run
   * anywhere, any number of times.
   */
  deleteOlderThan(cutoff: Date): Promise<number>;
  /** Ends a group for good: its positions are gone and it holds no records back. Dead letters stay. */
  forgetGroup(group: string): Promise<void>;
}

interface WaitingAppend {
  readonly records: readonly (EncodedRecord & { partition: number })[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const maxTransactionRecords = 5000;
const maxTransactionBytes = 8 * 1024 * 1024;
const maxWaitingBytes = 64 * 1024 * 1024;
/** Headers and row overhead; keeps a flood of tiny records bounded as well. */
const bytesPerRecord = 300;
const sweepRecords = 5000;

/** Creates what is missing for the topics of `proto` and listens. Rejects when the database cannot be reached. */
export async function openPostgresBus(options: PostgresBusOptions): Promise<PostgresBus> {
  const { db } = options;
  const counts = await db.system('bus: create topics', async (tx) => {
    await store.createTopics(tx, Object.keys(topics), options.partitions ?? 8);
    return store.readPartitionCounts(tx);
  });
  const bus = new PostgresLog(options, counts);
  await bus.listen();
  return bus;
}

class PostgresLog implements PostgresBus {
  readonly #consumers = new Set<PostgresConsumer>();
  readonly #closing = new AbortController();
  #waiting: WaitingAppend[] = [];
  #waitingBytes = 0;
  #draining: Promise<void> | undefined;

  constructor(
    private readonly options: PostgresBusOptions,
    private readonly partitionCounts: ReadonlyMap<string, number>,
  ) {}

  listen(): Promise<void> {
    const onNotify = (payload: string) => {
      for (const consumer of this.#consumers) consumer.notified(payload);
    };
    return this.options.db.listen(store.busChannel, onNotify, this.#closing.signal);
  }

  async append(records: readonly BusRecord[]): Promise<void> {
    await this.appendEncoded(records.map(encodeRecord));
  }

  /** Concurrent calls share a transaction, so that many small appends cost one commit; see `appendRecords`. */
  async appendEncoded(records: readonly EncodedRecord[]): Promise<void> {
    if (this.#closing.signal.aborted) throw busErrors.error('bus.closed');
    if (records.length === 0) return;
    const placed = records.map((record) => {
      const partitions = this.partitionCounts.get(record.topic);
      if (!partitions) throw busErrors.error('bus.unknown_topic', { topic: record.topic });
      return { ...record, partition: partitionOf(record.key, partitions) };
    });
    const bytes = records.reduce((sum, record) => sum + record.value.length + bytesPerRecord, 0);
    if (this.#waitingBytes > 0 && this.#waitingBytes + bytes > maxWaitingBytes) throw busErrors.error('bus.overloaded');
    this.#waitingBytes += bytes;
    const done = new Promise<void>((resolve, reject) => this.#waiting.push({ records: placed, bytes, resolve, reject }));
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined;
    });
    await done;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const calls = this.#takeCalls();
      try {
        await this.#commit(calls);
        for (const call of calls) call.resolve();
      } catch (error) {
        // One call's records may be what PostgreSQL refuses; the others must not fail with it.
        if (calls.length === 1) calls[0]?.reject(error);
        else for (const call of calls) await this.#commit([call]).then(call.resolve, call.reject);
      }
      for (const call of calls) this.#waitingBytes -= call.bytes;
    }
  }

  #takeCalls(): WaitingAppend[] {
    let count = 0;
    let records = 0;
    let bytes = 0;
    for (const call of this.#waiting) {
      records += call.records.length;
      bytes += call.bytes;
      if (count > 0 && (records > maxTransactionRecords || bytes > maxTransactionBytes)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  async #commit(calls: readonly WaitingAppend[]): Promise<void> {
    const records = calls.flatMap((call) => call.records);
    await this.options.db.system('bus: append', (tx) => store.appendRecords(tx, records));
  }

  subscribe(options: SubscribeOptions): Promise<Subscription> {
    return this.#subscribe(options);
  }

  subscribeBatches(options: SubscribeBatchOptions): Promise<Subscription> {
    return this.#subscribe(options);
  }

  async #subscribe(options: SubscribeOptions | SubscribeBatchOptions): Promise<Subscription> {
    if (this.#closing.signal.aborted) throw busErrors.error('bus.closed');
    const { db, log, leaseMs = 10_000, pollMs = 1000 } = this.options;
    const consumer = new PostgresConsumer({ db, log, leaseMs, pollMs }, options, () => this.#consumers.delete(consumer));
    this.#consumers.add(consumer);
    try {
      await consumer.start();
    } catch (error) {
      this.#consumers.delete(consumer);
      throw error;
    }
    return consumer;
  }

  async deadLetters(group: string): Promise<DeadLetter[]> {
    const rows = await this.options.db.system('bus: list dead letters', (tx) => store.listDeadLetters(tx, group));
    return rows.map(deadLetterOf);
  }

  async replay(deadLetterId: string): Promise<void> {
    const isId = /^[0-9a-f-]{36}$/i.test(deadLetterId);
    const found = isId && (await this.options.db.system('bus: ask for a replay', (tx) => store.requestReplay(tx, deadLetterId)));
    if (!found) throw busErrors.error('bus.dead_letter_not_found', { id: deadLetterId });
  }

  async deleteOlderThan(cutoff: Date): Promise<number> {
    const { db } = this.options;
    let deleted = 0;
    for (const place of await db.system('bus: retention', store.listPartitions)) {
      for (let last = sweepRecords; last === sweepRecords; deleted += last) {
        last = await db.system('bus: retention', (tx) => store.deletePassedRecords(tx, place, cutoff, sweepRecords));
      }
    }
    return deleted;
  }

  async forgetGroup(group: string): Promise<void> {
    await this.options.db.system('bus: forget a group', (tx) => store.deleteGroup(tx, group));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.stop()));
    this.#closing.abort();
    await this.#draining;
  }
}

function deadLetterOf(row: store.DeadLetterRow): DeadLetter {
  const letter = { id: row.id, group: row.group_name, topic: row.topic as Topic, reason: row.reason, failedAt: row.failed_at };
  try {
    return { ...letter, record: decodeRecord(row) };
  } catch {
    return letter;
  }
}
