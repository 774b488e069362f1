import { type Topic, topics } from '@stardipper/proto';
import type { BusRecord, EncodedRecord } from './bus';
import { busErrors } from './bus.errors';

/** Kafka's own default for one message; the biggest payload of a device is 64 KiB. */
export const maxValueBytes = 1_000_000;
const maxTextBytes = 256;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const traceparent = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
/** PostgreSQL cannot store NUL in text, and control characters in a key are always a mistake. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point
const controls = /[\u0000-\u001f\u007f]/;

interface Codec {
  encode(message: unknown): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

function codecOf(topic: string): Codec | undefined {
  return Object.hasOwn(topics, topic) ? (topics[topic as Topic] as unknown as Codec) : undefined;
}

const isName = (text: unknown): text is string =>
  typeof text === 'string' && text !== '' && Buffer.byteLength(text) <= maxTextBytes && !controls.test(text);

/** What is wrong with the parts around the message, or undefined. */
function fault(topic: string, key: unknown, id: unknown, tenantId: unknown, occurredAt: Date): string | undefined {
  if (!isName(key)) return `key of ${topic}`;
  if (!isName(id)) return `id of ${topic}`;
  if (typeof tenantId !== 'string' || !uuid.test(tenantId)) return `tenant of ${topic}`;
  if (Number.isNaN(occurredAt.getTime())) return `occurredAt of ${topic}`;
  return undefined;
}

/** Throws `bus.unknown_topic`, `bus.record_invalid` or `bus.record_too_large`. */
export function encodeRecord(record: BusRecord): EncodedRecord {
  const codec = codecOf(record.topic);
  if (!codec) throw busErrors.error('bus.unknown_topic', { topic: record.topic });
  const wrong = fault(record.topic, record.key, record.id, record.tenantId, record.occurredAt);
  if (wrong) throw busErrors.error('bus.record_invalid', { what: wrong });
  let value: Buffer;
  try {
    value = Buffer.from(codec.encode(record.message).finish());
  } catch (cause) {
    throw busErrors.error('bus.record_invalid', { what: `message of ${record.topic}` }, cause);
  }
  if (value.length > maxValueBytes)
    throw busErrors.error('bus.record_too_large', { topic: record.topic, bytes: value.length, max: maxValueBytes });
  const headers: Record<string, string> = {
    id: record.id,
    tenant: record.tenantId,
    occurredAt: record.occurredAt.toISOString(),
    type: record.topic,
  };
  if (record.trace !== undefined && traceparent.test(record.trace)) headers.trace = record.trace;
  return { topic: record.topic, key: record.key, headers, value };
}

/**
 * Throws `bus.undecodable` with the reason. The headers are checked too: protobuf skips fields it does not know,
 * so many random bytes "decode", and a record without id or tenant could not be handled once or by its owner.
 */
export function decodeRecord(wire: {
  topic: string;
  key: string | null;
  headers: Readonly<Record<string, string | undefined>>;
  value: Buffer | null;
}): BusRecord {
  const codec = codecOf(wire.topic);
  if (!codec) throw busErrors.error('bus.undecodable', { reason: 'unknown topic' });
  const { id, tenant, occurredAt, type, trace } = wire.headers;
  if (type !== wire.topic) throw busErrors.error('bus.undecodable', { reason: 'header type is not the topic' });
  const at = new Date(occurredAt ?? Number.NaN);
  const wrong = fault(wire.topic, wire.key, id, tenant, at);
  if (wrong) throw busErrors.error('bus.undecodable', { reason: wrong });
  if (wire.value === null || wire.value.length > maxValueBytes)
    throw busErrors.error('bus.undecodable', { reason: 'value is missing or too large' });
  let message: unknown;
  try {
    message = codec.decode(wire.value);
  } catch (cause) {
    throw busErrors.error('bus.undecodable', { reason: cause instanceof Error ? cause.message : String(cause) }, cause);
  }
  return {
    topic: wire.topic as Topic,
    key: wire.key as string,
    id: id as string,
    tenantId: tenant as string,
    occurredAt: at,
    message: message as BusRecord['message'],
    ...(trace !== undefined && traceparent.test(trace) ? { trace } : {}),
  };
}

/** FNV-1a over UTF-8: stable for ever, because it decides which partition a key lives in. */
export function partitionOf(key: string, partitions: number): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(key)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % partitions;
}
