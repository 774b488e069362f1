import { randomUUID } from 'node:crypto';
import type { Admin, IHeaders, Kafka, KafkaMessage, Message } from 'kafkajs';
import type { DeadLetter } from './bus';
import { busErrors } from './bus.errors';
import { decodeRecord } from './codec';

export const deadLetterTopic = (group: string) => `${group}.dead-letter`;
/** Dead letters on their way to their group again; only this group reads it. */
export const replayTopic = (group: string) => `${group}.replay`;

/** A record as Kafka gave it, with where it came from. */
export interface KafkaRecord {
  readonly topic: string;
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: Buffer | null;
}

export interface KafkaDeadLetter extends KafkaRecord {
  readonly id: string;
  readonly reason: string;
  readonly failedAt: Date;
}

const prefix = 'dead-letter-';
const waitMs = 30_000;
const maxKept = 5000;

/** Says itself which group it belongs to: `replay` is told nothing else. */
export const deadLetterId = (group: string, topic: string, partition: number, offset: string) =>
  Buffer.from(JSON.stringify([group, topic, partition, offset])).toString('base64url');

export function groupOfDeadLetter(id: string): string | undefined {
  try {
    const [group] = JSON.parse(Buffer.from(id, 'base64url').toString()) as unknown[];
    return typeof group === 'string' && /^[\w.-]{1,200}$/.test(group) ? group : undefined;
  } catch {
    return undefined;
  }
}

export function textHeaders(headers: IHeaders | undefined): Record<string, string> {
  const texts = Object.entries(headers ?? {}).map(
    ([name, value]) => [name, (Array.isArray(value) ? value[0] : value)?.toString() ?? ''] as const,
  );
  return Object.fromEntries(texts);
}

/** The record with the reason in its headers; under its id, so that a repetition or a failed replay takes its place. */
export function deadLetterMessage(id: string, record: KafkaRecord, reason: string): Message {
  const headers: Record<string, string> = {
    ...record.headers,
    [`${prefix}topic`]: record.topic,
    [`${prefix}reason`]: reason,
    [`${prefix}at`]: new Date().toISOString(),
  };
  if (record.key !== null) headers[`${prefix}key`] = record.key;
  // An empty value would read as "handled".
  if (record.value === null) headers[`${prefix}empty`] = '1';
  return { key: id, headers, value: record.value ?? Buffer.alloc(0) };
}

export const handledMessage = (id: string): Message => ({ key: id, value: null });

export function replayMessage(letter: KafkaDeadLetter): Message {
  return deadLetterMessage(letter.id, letter, letter.reason);
}

export function parseDeadLetter(message: Pick<KafkaMessage, 'key' | 'headers' | 'value'>): KafkaDeadLetter | undefined {
  const all = textHeaders(message.headers);
  const topic = all[`${prefix}topic`];
  if (message.key === null || topic === undefined) return undefined;
  return {
    id: message.key.toString(),
    topic,
    key: all[`${prefix}key`] ?? null,
    headers: Object.fromEntries(Object.entries(all).filter(([name]) => !name.startsWith(prefix))),
    value: all[`${prefix}empty`] === '1' ? null : message.value,
    reason: all[`${prefix}reason`] ?? '',
    failedAt: new Date(all[`${prefix}at`] ?? 0),
  };
}

export function deadLetterOf(group: string, { id, topic, reason, failedAt, ...wire }: KafkaDeadLetter): DeadLetter {
  const letter = { id, group, topic, reason, failedAt };
  try {
    return { ...letter, record: decodeRecord({ topic, ...wire }) };
  } catch {
    return letter;
  }
}

/**
 * Reads the group's dead-letter topic from its beginning to what is its end now, as a group of its own that is deleted
 * afterwards. Keeps what is not handled: one id, or the oldest few thousand.
 */
export async function readDeadLetters(kafka: Kafka, admin: Admin, group: string, onlyId?: string): Promise<Map<string, KafkaDeadLetter>> {
  const letters = new Map<string, KafkaDeadLetter>();
  const topic = deadLetterTopic(group);
  if (!(await admin.listTopics()).includes(topic)) return letters;
  const [offsets] = await admin.fetchTopicOffsets(topic);
  if (!offsets || offsets.high === offsets.low) return letters;
  const end = BigInt(offsets.high) - 1n;
  const groupId = `star-dead-letters-${randomUUID()}`;
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100, allowAutoTopicCreation: false });
  let timer: NodeJS.Timeout | undefined;
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(busErrors.error('bus.unavailable', { topic })), waitMs);
      consumer
        .run({
          autoCommit: false,
          eachBatch: async ({ batch }) => {
            for (const message of batch.messages) keep(letters, message, onlyId);
            if (BigInt(batch.lastOffset()) >= end) resolve();
          },
        })
        .catch(reject);
    });
  } finally {
    clearTimeout(timer);
    await consumer.disconnect();
    await admin.deleteGroups([groupId]).catch(() => {});
  }
  return letters;
}

function keep(letters: Map<string, KafkaDeadLetter>, message: KafkaMessage, onlyId: string | undefined): void {
  const id = message.key?.toString() ?? '';
  if (onlyId !== undefined && id !== onlyId) return;
  const letter = message.value === null ? undefined : parseDeadLetter(message);
  if (!letter) letters.delete(id);
  else if (letters.has(id) || letters.size < maxKept) letters.set(id, letter);
}
