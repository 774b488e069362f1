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

export interface Subscription {
  /** Resolves when the handlers in flight have ended and their positions are stored. */
  stop(): Promise<void>;
}

export interface SubscribeOptions {
  readonly group: string;
  readonly topics: readonly Topic[];
  /**
   * At least once, in order of a key, one at a time per partition. A rejected promise is retried with
   * backoff up to `maxAttempts`, then the record goes to the dead letters with the reason and the partition goes on.
   */
  readonly handle: (record: BusRecord) => Promise<void>;
  readonly maxAttempts?: number;
  readonly retryDelayMs?: number;
}

export interface DeadLetter {
  readonly id: string;
  readonly group: string;
  readonly record: BusRecord;
  readonly reason: string;
  readonly failedAt: Date;
}

/** The bus port: a log in PostgreSQL, or Kafka. */
export interface Bus {
  /** Durable when it resolves; all or nothing per call. Used by the outbox relay and by the hub, which batches. */
  append(records: readonly BusRecord[]): Promise<void>;
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  deadLetters(group: string): Promise<DeadLetter[]>;
  /** Hands one dead letter to its group again; it leaves the list when it is handled. */
  replay(deadLetterId: string): Promise<void>;
  close(): Promise<void>;
}

/** Writes an event in the caller's transaction; the relay appends it to the bus after the commit. */
export type WriteEvent = <T extends Topic>(tx: Tx, record: Omit<BusRecord<T>, 'id' | 'occurredAt'> & { id?: string; occurredAt?: Date }) => Promise<void>;

/** True the first time `group` sees `recordId` in a committed transaction; call it first in the handler's own transaction. */
export type FirstTime = (tx: Tx, group: string, recordId: string) => Promise<boolean>;
