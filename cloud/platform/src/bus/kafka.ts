import { setTimeout as sleep } from 'node:timers/promises';
import { topics } from '@stardipper/proto';
import { type Admin, Kafka, KafkaJSError, logLevel, Partitioners, type Producer, type SASLOptions } from 'kafkajs';
import type { Log } from '../postgres/open-database';
import type { Bus, BusRecord, DeadLetter, EncodedRecord, SubscribeBatchOptions, SubscribeOptions, Subscription } from './bus';
import { busErrors } from './bus.errors';
import { encodeRecord } from './codec';
import { KafkaConsumer } from './kafka-consumer';
import { deadLetterOf, deadLetterTopic, groupOfDeadLetter, readDeadLetters, replayMessage, replayTopic } from './kafka-dead-letters';

export interface KafkaBusOptions {
  readonly brokers: readonly string[];
  readonly clientId?: string;
  /** For topics that do not exist yet. Default 8. */
  readonly partitions?: number;
  /** The broker's default unless told. */
  readonly replicationFactor?: number;
  /** How long a member of a group that died keeps its partitions. Default 30 s. */
  readonly sessionTimeoutMs?: number;
  readonly ssl?: boolean;
  readonly sasl?: SASLOptions;
  readonly log?: Log;
}

/** Creates the topics of `proto` that are missing. Rejects with `bus.unavailable` when no broker answers. */
export async function openKafkaBus(options: KafkaBusOptions): Promise<Bus> {
  const kafka = new Kafka({
    brokers: [...options.brokers],
    clientId: options.clientId ?? 'star',
    logLevel: logLevel.NOTHING,
    ...(options.ssl === undefined ? {} : { ssl: options.ssl }),
    ...(options.sasl === undefined ? {} : { sasl: options.sasl }),
    retry: { initialRetryTime: 100, retries: 8 },
  });
  const admin = kafka.admin();
  // Not idempotent: after a sequence error kafkajs's idempotent producer refuses everything until it is replaced, and
  // the repetition it saves us from is one that consumers bear anyway. One request in flight keeps a retry in its order.
  const producer = kafka.producer({
    allowAutoTopicCreation: false,
    maxInFlightRequests: 1,
    createPartitioner: Partitioners.DefaultPartitioner,
  });
  return outward(async () => {
    await Promise.all([admin.connect(), producer.connect()]);
    const bus = new KafkaBus(options, kafka, admin, producer);
    await bus.createTopics(Object.keys(topics));
    return bus;
  });
}

class KafkaBus implements Bus {
  readonly #consumers = new Set<KafkaConsumer>();
  #closed = false;

  constructor(
    private readonly options: KafkaBusOptions,
    private readonly kafka: Kafka,
    private readonly admin: Admin,
    private readonly producer: Producer,
  ) {}

  async createTopics(names: readonly string[], more: { partitions?: number; config?: Record<string, string> } = {}): Promise<void> {
    const existing = new Set(await this.admin.listTopics());
    const missing = names.filter((name) => !existing.has(name));
    if (missing.length === 0) return;
    // Resolves to false when another process was faster, which is as good.
    await this.admin.createTopics({
      waitForLeaders: false,
      topics: missing.map((topic) => ({
        topic,
        numPartitions: more.partitions ?? this.options.partitions ?? 8,
        replicationFactor: this.options.replicationFactor ?? -1,
        configEntries: Object.entries(more.config ?? {}).map(([name, value]) => ({ name, value })),
      })),
    });
    await this.#waitForLeaders(missing);
  }

  /** kafkajs's own waiting gives up when a KRaft broker has not heard of the topic yet, which is what it should wait for. */
  async #waitForLeaders(names: readonly string[]): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        const { topics: known } = await this.admin.fetchTopicMetadata({ topics: [...names] });
        if (known.every((topic) => topic.partitions.length > 0 && topic.partitions.every((partition) => partition.leader >= 0))) return;
      } catch (error) {
        if (!(error instanceof KafkaJSError) || tries > 100) throw error;
      }
      if (tries > 100) throw busErrors.error('bus.unavailable', { topics: names });
      await sleep(100);
    }
  }

  async append(records: readonly BusRecord[]): Promise<void> {
    await this.appendEncoded(records.map(encodeRecord));
  }

  async appendEncoded(records: readonly EncodedRecord[]): Promise<void> {
    if (this.#closed) throw busErrors.error('bus.closed');
    const byTopic = new Map<string, { key: string; value: Buffer; headers: Record<string, string> }[]>();
    for (const { topic, key, value, headers } of records) {
      if (!Object.hasOwn(topics, topic)) throw busErrors.error('bus.unknown_topic', { topic });
      const messages = byTopic.get(topic) ?? [];
      messages.push({ key, value, headers: { ...headers } });
      byTopic.set(topic, messages);
    }
    if (byTopic.size === 0) return;
    const topicMessages = [...byTopic].map(([topic, messages]) => ({ topic, messages }));
    await outward(() => this.producer.sendBatch({ acks: -1, topicMessages }));
  }

  subscribe(options: SubscribeOptions): Promise<Subscription> {
    return this.#subscribe(options);
  }

  subscribeBatches(options: SubscribeBatchOptions): Promise<Subscription> {
    return this.#subscribe(options);
  }

  async #subscribe(options: SubscribeOptions | SubscribeBatchOptions): Promise<Subscription> {
    if (this.#closed) throw busErrors.error('bus.closed');
    return outward(async () => {
      await this.#createGroupTopics(options.group);
      const { sessionTimeoutMs = 30_000, log } = this.options;
      const env = { kafka: this.kafka, producer: this.producer, sessionTimeoutMs, log };
      const consumer = new KafkaConsumer(env, options, () => this.#consumers.delete(consumer));
      this.#consumers.add(consumer);
      await consumer.start();
      return consumer;
    });
  }

  async #createGroupTopics(group: string): Promise<void> {
    // Compacted: the newest word about a dead letter stays, and an empty one says that it is handled. It has room for the
    // biggest record and the reason.
    await this.createTopics([deadLetterTopic(group)], {
      partitions: 1,
      config: { 'cleanup.policy': 'compact', 'max.message.bytes': '2097152' },
    });
    await this.createTopics([replayTopic(group)], { partitions: 1, config: { 'max.message.bytes': '2097152' } });
  }

  async deadLetters(group: string): Promise<DeadLetter[]> {
    const letters = await outward(() => readDeadLetters(this.kafka, this.admin, group));
    return [...letters.values()].slice(0, 1000).map((letter) => deadLetterOf(group, letter));
  }

  async replay(deadLetterId: string): Promise<void> {
    const group = groupOfDeadLetter(deadLetterId);
    const letter =
      group === undefined
        ? undefined
        : (await outward(() => readDeadLetters(this.kafka, this.admin, group, deadLetterId))).get(deadLetterId);
    if (group === undefined || !letter) throw busErrors.error('bus.dead_letter_not_found', { id: deadLetterId });
    await outward(() => this.producer.send({ acks: -1, topic: replayTopic(group), messages: [replayMessage(letter)] }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#consumers].map((consumer) => consumer.stop()));
    await Promise.all([this.producer.disconnect(), this.admin.disconnect()]);
  }
}

async function outward<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof KafkaJSError ? busErrors.error('bus.unavailable', {}, error) : error;
  }
}
