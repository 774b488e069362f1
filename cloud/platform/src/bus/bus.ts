import type { Topic, TopicMessage } from '@stardipper/proto';
import type { Tx } from '../postgres/database';

/** One fact on the bus. `id` is what consumers recognise a repetition by. */
export interface BusRecord<T extends Topic = Topic> {
  readonly topic: T;
  /** Records with the same key are delivered in order. */
  readonly key: string;
  readonly id: string;
  readonly tenantId: string;
  readonly occurredAt: Date;
  readonly message: TopicMessage<T>;
  /** W3C traceparent, when there is one. */
  readonly trace?: string;
}

/** A record as it travels: the protobuf message and the headers id, tenant, occurredAt, type, trace. */
export interface EncodedRecord {
  readonly topic: string;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: Buffer;
}

export interface Subscription {
  /** Resolves when the handlers in flight have ended and their positions are stored. */
  stop(): Promise<void>;
}

/**
 * What happens to a record whose handler rejects. A temporary error (an AppError whose kind says that a retry may
 * help) does not spend an attempt: a database that is away for a day must not send every record to the dead letters.
 * An AppError that no retry can help sends it there at once. Everything else, a bug among it, has `maxAttempts`.
 */
export interface RetryOptions {
  /** Default 8. */
  readonly maxAttempts?: number;
  /** First pause; doubles up to 30 s. Default 200. */
  readonly retryDelayMs?: number;
  /** How long temporary errors are endured before the record goes to the dead letters after all. Default a day. */
  readonly patienceMs?: number;
  /** A handler that takes longer has failed once (it may still end, later: it must be idempotent anyway). Default 5 minutes. */
  readonly handleTimeoutMs?: number;
}

export interface SubscribeOptions extends RetryOptions {
  readonly group: string;
  readonly topics: readonly Topic[];
  /**
   * At least once, in order of a key, one at a time per partition. A rejected promise is retried with
   * backoff as `RetryOptions` says, then the record goes to the dead letters with the reason and the partition goes on.
   */
  readonly handle: (record: BusRecord) => Promise<void>;
}

export interface SubscribeBatchOptions extends RetryOptions {
  readonly group: string;
  readonly topics: readonly Topic[];
  /**
   * Records of one partition, and so of one topic, in order; for what is slow per call and fast per row, such as a
   * commit. When a batch goes on failing it is handed over record by record, so that only the poisonous one becomes a
   * dead letter.
   */
  readonly handleBatch: (records: readonly BusRecord[]) => Promise<void>;
  /** Default 1000. By topic where a group has topics that it takes one record at a time. */
  readonly maxBatch?: number | ((topic: Topic) => number);
}

export interface DeadLetter {
  readonly id: string;
  readonly group: string;
  readonly topic: string;
  /** Absent when the bytes on the wire could not be decoded; then `reason` starts with `bus.undecodable`. */
  readonly record?: BusRecord;
  readonly reason: string;
  readonly failedAt: Date;
}

/** The bus port: a log in PostgreSQL, or Kafka. */
export interface Bus {
  /**
   * Durable when it resolves; records that cannot be encoded refuse the whole call. When it rejects for another reason,
   * repeat it: PostgreSQL has nothing of it, Kafka may have a part. Used by the outbox relay and by the hub, which batches.
   * A record that is appended twice is delivered twice: consumers keep an inbox. (A unique index over every id of the
   * retention would cost a random write per record, and Kafka knows no such thing across producers.)
   */
  append(records: readonly BusRecord[]): Promise<void>;
  /** The same for records that are already in their form on the wire. */
  appendEncoded(records: readonly EncodedRecord[]): Promise<void>;
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  subscribeBatches(options: SubscribeBatchOptions): Promise<Subscription>;
  /** The oldest 1000 at most. */
  deadLetters(group: string): Promise<DeadLetter[]>;
  /**
   * Hands one dead letter to its group again; it leaves the list when it is handled. Resolves when the request is
   * durable. Throws `bus.dead_letter_not_found`.
   */
  replay(deadLetterId: string): Promise<void>;
  close(): Promise<void>;
}

/** Writes an event in the caller's transaction; the relay appends it to the bus after the commit. */
export type WriteEvent = <T extends Topic>(
  tx: Tx,
  record: Omit<BusRecord<T>, 'id' | 'occurredAt'> & { id?: string; occurredAt?: Date },
) => Promise<void>;

type NewRecord<T extends Topic> = { [K in T]: Omit<BusRecord<K>, 'id' | 'occurredAt'> & { id?: string; occurredAt?: Date } }[T];

/** Several at once, in their order, of any topics: one statement however many there are. */
export type WriteEvents = <T extends Topic>(tx: Tx, records: readonly NewRecord<T>[]) => Promise<void>;

/** True the first time `group` sees `recordId` in a committed transaction; call it first in the handler's own transaction. */
export type FirstTime = (tx: Tx, group: string, recordId: string) => Promise<boolean>;

/** The same for a batch: the ids that `group` has not seen before, each once. */
export type FirstTimes = (tx: Tx, group: string, recordIds: readonly string[]) => Promise<Set<string>>;
