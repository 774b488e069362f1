import { setTimeout as sleep } from 'node:timers/promises';
import type { Topic } from '@stardipper/proto';
import { AppError } from '../errors/app-error';
import type { Log } from '../postgres/open-database';
import type { BusRecord, RetryOptions, SubscribeBatchOptions, SubscribeOptions } from './bus';
import { busErrors } from './bus.errors';
import { decodeRecord } from './codec';

export type Outcome = { readonly handled: true } | { readonly handled: false; readonly reason: string };

const maxDelayMs = 30_000;
const maxReasonChars = 2000;

/** What an operator reads in the dead letters. */
export function reasonOf(error: unknown): string {
  const text = error instanceof AppError ? error.message : error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: PostgreSQL refuses NUL in text
  return text.replaceAll(/\u0000/g, '').slice(0, maxReasonChars);
}

/**
 * Runs `work` until it succeeds or the retry options are spent; both drivers use it, so both fail alike.
 * Throws only when `signal` aborts while it waits between attempts: then nothing is decided, and the record will be delivered again.
 */
export async function deliver(
  work: () => Promise<void>,
  retry: RetryOptions,
  signal: AbortSignal,
  onFailure: (error: unknown) => void = () => {},
): Promise<Outcome> {
  const maxAttempts = retry.maxAttempts ?? 8;
  const patienceMs = retry.patienceMs ?? 24 * 3_600_000;
  const startedAt = performance.now();
  let attempts = 0;
  let delayMs = retry.retryDelayMs ?? 200;
  for (;;) {
    signal.throwIfAborted();
    try {
      await within(work, retry.handleTimeoutMs ?? 300_000);
      return { handled: true };
    } catch (error) {
      const temporary = error instanceof AppError && error.retry && error.code !== 'bus.handler_timeout';
      onFailure(error);
      if (!temporary) attempts += 1;
      // An error that its author calls final says the same each time; meanwhile everything behind it in the partition would wait.
      const final = error instanceof AppError && !error.retry && error.kind !== 'internal';
      const spent = final || (temporary ? performance.now() - startedAt >= patienceMs : attempts >= maxAttempts);
      if (spent) return { handled: false, reason: reasonOf(error) };
    }
    await sleep(delayMs, undefined, { signal });
    delayMs = Math.min(delayMs * 2, maxDelayMs);
  }
}

async function within(work: () => Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(busErrors.error('bus.handler_timeout', { timeoutMs })), timeoutMs);
  });
  try {
    await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A handler of one record and a handler of batches, as one thing. */
export interface Work {
  readonly maxBatch: (topic: string) => number;
  readonly run: (records: readonly BusRecord[]) => Promise<void>;
  /** Says that a try failed and another follows; without it a handler that never succeeds would be silent for minutes. */
  readonly failed: (records: readonly BusRecord[], error: unknown) => void;
}

export function workOf(options: SubscribeOptions | SubscribeBatchOptions, log: Log | undefined): Work {
  const failed: Work['failed'] = (records, err) =>
    log?.warn({ err, group: options.group, topic: records[0]?.topic, id: records[0]?.id, records: records.length }, 'a handler failed');
  if ('handle' in options) return { maxBatch: () => 1, failed, run: (records) => options.handle(records[0] as BusRecord) };
  const { maxBatch = 1000 } = options;
  return { maxBatch: (topic) => (typeof maxBatch === 'number' ? maxBatch : maxBatch(topic as Topic)), failed, run: options.handleBatch };
}

/** How often a whole batch is tried before its records are tried one by one, each with all its attempts. */
const maxBatchAttempts = 3;

/** Delivers all of them; answers the ones that failed for good, by index. Rejects as `deliver` does. */
export async function deliverBatch(
  records: readonly BusRecord[],
  work: Work,
  retry: RetryOptions,
  signal: AbortSignal,
): Promise<{ index: number; reason: string }[]> {
  if (records.length > 1) {
    const maxAttempts = Math.min(maxBatchAttempts, retry.maxAttempts ?? maxBatchAttempts);
    const outcome = await deliver(
      () => work.run(records),
      { ...retry, maxAttempts },
      signal,
      (error) => work.failed(records, error),
    );
    if (outcome.handled) return [];
  }
  const failed: { index: number; reason: string }[] = [];
  for (const [index, record] of records.entries()) {
    const outcome = await deliver(
      () => work.run([record]),
      retry,
      signal,
      (error) => work.failed([record], error),
    );
    if (!outcome.handled) failed.push({ index, reason: outcome.reason });
  }
  return failed;
}

/** Splits what was read into runs for the handler; what cannot be decoded stands alone, with the reason. */
export function* batchesOf<
  W extends { topic: string; key: string | null; headers: Readonly<Record<string, string | undefined>>; value: Buffer | null },
>(wire: readonly W[], maxBatch: number): Generator<{ wire: W[]; records: BusRecord[] } | { undecodable: W; reason: string }> {
  let batch: { wire: W[]; records: BusRecord[] } = { wire: [], records: [] };
  for (const each of wire) {
    const decoded = tryDecode(each);
    if (typeof decoded !== 'string') {
      batch.wire.push(each);
      batch.records.push(decoded);
    }
    if (batch.wire.length > 0 && (batch.wire.length >= maxBatch || typeof decoded === 'string')) {
      yield batch;
      batch = { wire: [], records: [] };
    }
    if (typeof decoded === 'string') yield { undecodable: each, reason: decoded };
  }
  if (batch.wire.length > 0) yield batch;
}

function tryDecode(wire: Parameters<typeof decodeRecord>[0]): BusRecord | string {
  try {
    return decodeRecord(wire);
  } catch (error) {
    return reasonOf(error);
  }
}
