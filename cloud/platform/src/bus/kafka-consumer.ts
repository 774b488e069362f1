import { setTimeout as sleep } from 'node:timers/promises';
import type { Consumer, EachBatchPayload, Kafka, KafkaMessage, Producer } from 'kafkajs';
import type { Log } from '../postgres/open-database';
import type { SubscribeBatchOptions, SubscribeOptions, Subscription } from './bus';
import { batchesOf, deliverBatch, workOf } from './delivery';
import {
  deadLetterId,
  deadLetterMessage,
  deadLetterTopic,
  handledMessage,
  type KafkaRecord,
  parseDeadLetter,
  replayTopic,
  textHeaders,
} from './kafka-dead-letters';

export interface KafkaConsumerEnv {
  readonly kafka: Kafka;
  readonly producer: Producer;
  readonly sessionTimeoutMs: number;
  readonly log: Log | undefined;
}

interface Received extends KafkaRecord {
  readonly offset: string;
}

const partitionsAtOnce = 8;
/** A commit after every record would cost more than most handlers do; after a crash at most this much is repeated. */
const commitEveryMs = 200;
const maxPauseMs = 30_000;

/**
 * One member of a consumer group on Kafka. Positions are committed by hand, after handling; while a handler works or a
 * retry waits, heartbeats go on beside it, so that a slow record is not taken for a dead member.
 */
export class KafkaConsumer implements Subscription {
  readonly #work;
  readonly #stopping = new AbortController();
  #consumer: Consumer | undefined;
  #restarting: Promise<void> = Promise.resolve();

  constructor(
    private readonly env: KafkaConsumerEnv,
    private readonly options: SubscribeOptions | SubscribeBatchOptions,
    private readonly onStopped: () => void,
  ) {
    this.#work = workOf(options, env.log);
  }

  async start(): Promise<void> {
    const { group, topics } = this.options;
    const { kafka, sessionTimeoutMs } = this.env;
    const consumer = kafka.consumer({
      groupId: group,
      sessionTimeout: sessionTimeoutMs,
      heartbeatInterval: Math.floor(sessionTimeoutMs / 5),
      maxWaitTimeInMs: 500,
      allowAutoTopicCreation: false,
    });
    this.#consumer = consumer;
    // kafkajs restarts after what it knows to be passing and gives up after the rest; a service must not.
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      this.env.log?.warn({ err: payload.error, group }, 'a Kafka consumer broke');
      if (!payload.restart && !this.#stopping.signal.aborted) this.#restarting = this.#restart(consumer);
    });
    await consumer.connect();
    await consumer.subscribe({ topics: [...topics, replayTopic(group)], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: partitionsAtOnce,
      eachBatch: (payload) => this.#onBatch(payload),
    });
  }

  async #restart(broken: Consumer): Promise<void> {
    await broken.disconnect().catch(() => {});
    for (let pauseMs = 500; !this.#stopping.signal.aborted; pauseMs = Math.min(pauseMs * 2, maxPauseMs)) {
      await sleep(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
      if (this.#stopping.signal.aborted) return;
      try {
        await this.start();
        return;
      } catch (error) {
        await this.#consumer?.disconnect().catch(() => {});
        this.env.log?.warn({ err: error, group: this.options.group }, 'a Kafka consumer could not be started again');
      }
    }
  }

  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    await this.#restarting;
    // Waits for the batches in flight and leaves the group, so that the others need not wait for the session to end.
    await this.#consumer?.disconnect();
    this.onStopped();
  }

  /**
   * Whatever stays unresolved here is fetched again. Only a heartbeat's error may leave: it tells kafkajs to join the
   * group anew, and any other would end the consumer.
   */
  async #onBatch(payload: EachBatchPayload): Promise<void> {
    const { batch, heartbeat, resolveOffset, commitOffsetsIfNecessary, uncommittedOffsets } = payload;
    const lost = new AbortController();
    const beat = () => void heartbeat().catch((error: unknown) => lost.abort(error));
    const timer = setInterval(beat, Math.floor(this.env.sessionTimeoutMs / 5));
    const signal = AbortSignal.any([lost.signal, this.#stopping.signal]);
    const commit = () => commitOffsetsIfNecessary(uncommittedOffsets());
    try {
      let committedAtMs = performance.now();
      for (const turn of this.#turnsOf(batch.topic, batch.messages)) {
        if (signal.aborted || !payload.isRunning() || payload.isStale()) break;
        resolveOffset(await turn(batch.partition, signal));
        if (performance.now() - committedAtMs < commitEveryMs) continue;
        await commit();
        committedAtMs = performance.now();
      }
    } catch (error) {
      if (!signal.aborted) {
        this.env.log?.warn({ err: error, topic: batch.topic, partition: batch.partition }, 'a partition stopped and is tried again');
        await sleep(1000, undefined, { signal }).catch(() => {});
      }
    } finally {
      clearInterval(timer);
      await commit().catch((error: unknown) => this.env.log?.debug({ err: error }, 'positions could not be committed'));
    }
    if (lost.signal.aborted) throw lost.signal.reason;
  }

  /** What was fetched as turns of work; each answers the last offset that is done with it. */
  *#turnsOf(topic: string, messages: readonly KafkaMessage[]): Generator<(partition: number, signal: AbortSignal) => Promise<string>> {
    if (topic === replayTopic(this.options.group)) {
      for (const message of messages) yield async (_partition, signal) => this.#replay(message, signal);
      return;
    }
    const received = messages.map(
      (message): Received => ({
        topic,
        key: message.key?.toString() ?? null,
        headers: textHeaders(message.headers),
        value: message.value,
        offset: message.offset,
      }),
    );
    for (const part of batchesOf(received, this.#work.maxBatch(topic))) {
      yield async (partition, signal) => {
        if ('undecodable' in part) {
          await this.#bury(deadLetterId(this.options.group, topic, partition, part.undecodable.offset), part.undecodable, part.reason);
          return part.undecodable.offset;
        }
        for (const { index, reason } of await deliverBatch(part.records, this.#work, this.options, signal)) {
          const failed = part.wire[index] as Received;
          await this.#bury(deadLetterId(this.options.group, topic, partition, failed.offset), failed, reason);
        }
        return (part.wire.at(-1) as Received).offset;
      };
    }
  }

  async #replay(message: KafkaMessage, signal: AbortSignal): Promise<string> {
    const letter = parseDeadLetter(message);
    if (!letter) return message.offset;
    for (const part of batchesOf([letter], 1)) {
      const reason = 'undecodable' in part ? part.reason : (await deliverBatch(part.records, this.#work, this.options, signal))[0]?.reason;
      if (reason !== undefined) await this.#bury(letter.id, letter, reason);
      else await this.env.producer.send({ acks: -1, topic: deadLetterTopic(this.options.group), messages: [handledMessage(letter.id)] });
    }
    return message.offset;
  }

  async #bury(id: string, record: KafkaRecord, reason: string): Promise<void> {
    const { group } = this.options;
    await this.env.producer.send({ acks: -1, topic: deadLetterTopic(group), messages: [deadLetterMessage(id, record, reason)] });
    this.env.log?.error({ group, topic: record.topic, id: record.headers.id, reason }, 'a record went to the dead letters');
  }
}
