/** What devices may put into their JSON, as ThingsBoard reads it. */

import { isDeeperThan } from '@star/platform';
import { z } from 'zod';

/** The device sent something that is not what the topic takes. v3: the connection closes; v5: PUBACK 0x99. */
export class BadPayload extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BadPayload';
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };

/** ES2025, in Node 24 but not in TypeScript's es2023 library. */
const json = JSON as unknown as {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
};

/** Integers a double cannot hold keep their digits up to int64, and become strings beyond it. */
function keepLongIntegers(_key: string, value: unknown, { source }: { source?: string }): unknown {
  if (typeof value !== 'number' || source === undefined || Number.isSafeInteger(value) || !/^-?\d+$/.test(source)) return value;
  const exact = BigInt(source);
  return exact >= int64.min && exact <= int64.max ? json.rawJSON(source) : source;
}

/** Far deeper than any value of a box; at some 4,000 levels JSON.stringify runs out of stack, and 64 KB hold 32,000. */
const maxDepth = 100;

/** UTF-8 JSON of bounded depth, or BadPayload. */
export function parseJson(payload: Buffer | string): unknown {
  try {
    const text = typeof payload === 'string' ? payload : utf8.decode(payload);
    if (isDeeperThan(text, maxDepth)) throw new BadPayload('too deep');
    // The reviver costs several times a plain parse, and only digits past 2^53 need it.
    return /\d{16}/.test(text) ? json.parse(text, keepLongIntegers) : JSON.parse(text);
  } catch (error) {
    throw error instanceof BadPayload ? error : new BadPayload('not JSON');
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

export interface TelemetryEntry {
  readonly tsMs: number;
  /** False when the device gave no time and `tsMs` is when Star read it: a repetition then gets another time. */
  readonly timed: boolean;
  readonly values: ReadonlyMap<string, unknown>;
}

const maxKeyLength = 255;
/** The end of the year 9999; outside 1970 to then some consumer could not store the time. */
const maxTsMs = 253_402_300_799_999;

function checkedKey(key: string): string {
  if (key.length === 0 || key.length > maxKeyLength || key.includes('\0')) throw new BadPayload('bad key');
  return key;
}

const numericText = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?$/;

/** ThingsBoard's type cast, on by default: a string that is a number becomes one, when nothing is lost by it. */
function castNumeric(value: unknown): unknown {
  if (typeof value !== 'string' || value.length > 24 || !numericText.test(value)) return value;
  const number = Number(value);
  if (!Number.isFinite(number) || (/^-?\d+$/.test(value) && !Number.isSafeInteger(number))) return value;
  return number;
}

/** Names that may look like numbers: version 1.10 is not 1.1. */
const neverNumbers = new Set(['current_sw_title', 'current_sw_version', 'current_fw_title', 'current_fw_version']);

function readValues(object: Record<string, unknown>): Map<string, unknown> {
  const values = new Map<string, unknown>();
  for (const [key, value] of Object.entries(object)) {
    if (value !== null) values.set(checkedKey(key), neverNumbers.has(key) ? value : castNumeric(value));
  }
  return values;
}

function readEntry(entry: unknown, nowMs: number): TelemetryEntry {
  if (!isObject(entry)) throw new BadPayload('telemetry must be an object or an array of objects');
  if (!('ts' in entry) || !('values' in entry)) return { tsMs: nowMs, timed: false, values: readValues(entry) };
  const { ts, values } = entry;
  if (typeof ts !== 'number' || !Number.isInteger(ts) || ts < 0 || ts > maxTsMs) throw new BadPayload('ts must be Unix milliseconds');
  if (!isObject(values)) throw new BadPayload('values must be an object');
  return { tsMs: ts, timed: true, values: readValues(values) };
}

/** `{k:v}`, `{ts,values}` or an array of either; null values are skipped; an empty object is fine and holds nothing. */
export function readTelemetry(payload: Buffer | string, nowMs: number): TelemetryEntry[] {
  const root = parseJson(payload);
  return (Array.isArray(root) ? root : [root]).map((entry) => readEntry(entry, nowMs)).filter((entry) => entry.values.size > 0);
}

/** Client attributes: an object of key to value. */
export function readAttributes(payload: Buffer | string): Map<string, unknown> {
  const root = parseJson(payload);
  if (!isObject(root)) throw new BadPayload('attributes must be an object');
  return readValues(root);
}

const keyList = z
  .string()
  .transform((text) => text.split(',').filter((key) => key.length > 0))
  .optional();
const attributesRequest = z.object({ clientKeys: keyList, sharedKeys: keyList });

export interface AttributesRequest {
  /** Absent: none were asked for, unless both are absent, which asks for all. */
  readonly clientKeys: readonly string[] | 'all' | undefined;
  readonly sharedKeys: readonly string[] | 'all' | undefined;
}

export function readAttributesRequest(payload: Buffer | string): AttributesRequest {
  const parsed = attributesRequest.safeParse(payload.length === 0 ? {} : parseJson(payload));
  if (!parsed.success) throw new BadPayload('attributes request must be {"clientKeys","sharedKeys"}');
  const { clientKeys, sharedKeys } = parsed.data;
  if (clientKeys === undefined && sharedKeys === undefined) return { clientKeys: 'all', sharedKeys: 'all' };
  return { clientKeys, sharedKeys };
}

const rpcCall = z.object({ method: z.string().min(1).max(128), params: z.unknown() });

export function readRpcCall(payload: Buffer | string): { method: string; params: unknown } {
  const parsed = rpcCall.safeParse(parseJson(payload));
  if (!parsed.success) throw new BadPayload('RPC must be {"method","params"}');
  return parsed.data;
}
