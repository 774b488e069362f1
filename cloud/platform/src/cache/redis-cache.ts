import { Redis, type RedisOptions } from 'ioredis';
import type { Log } from '../postgres/open-database';
import { type Cache, cacheKey, type Invalidation, invalidationChannel, readInvalidation } from './cache';
import { type Found, MemoryLevel } from './memory-cache';

export interface RedisCacheOptions {
  /** `redis://…` or `rediss://…`. */
  readonly url: string;
  readonly log?: Log;
  /** Kept in memory at most; 10,000 unless told. */
  readonly maxEntries?: number;
  /** Redis must answer within this or is worked without; 250 ms unless told. */
  readonly patienceMs?: number;
  readonly now?: () => number;
}

/** How long it is remembered that something was invalidated: no value may live longer, or an old one would look new again. */
const generationMs = 3_600_000;
/** Invalidations that wait for Redis to come back; TTLs take care of the rest. */
const maxOwed = 10_000;

/** The value with what is left of its time, and the generations it must be written under. */
const read = `return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1]), redis.call('GET', KEYS[2]) or '0', redis.call('GET', KEYS[3]) or '0'}`;
/** Only while nobody has invalidated it since it was asked for: a slow loader must not bring back what was taken away. */
const write = `if (redis.call('GET', KEYS[2]) or '0') == ARGV[3] and (redis.call('GET', KEYS[3]) or '0') == ARGV[4] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end`;
const forget = `redis.call('DEL', KEYS[1]) redis.call('INCR', KEYS[2]) redis.call('PEXPIRE', KEYS[2], ARGV[2]) redis.call('PUBLISH', ARGV[3], ARGV[1])`;

/**
 * Memory, then Redis (`tenant:{tenantId}:{key}`), then the loader; replicas hear of invalidations by pub/sub. Without
 * Redis everything works on, slower: that is said once when it goes and once when it is back. What was invalidated
 * meanwhile here is made good when it is back, and what others invalidated meanwhile this replica forgets then; until
 * then each replica may believe a value until its TTL has passed.
 */
export async function openRedisCache(options: RedisCacheOptions): Promise<Cache> {
  const now = options.now ?? (() => performance.now());
  const memory = new MemoryLevel(options.maxEntries ?? 10_000, now);
  const settings: RedisOptions = {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: options.patienceMs ?? 250,
    connectTimeout: 2_000,
    disconnectTimeout: 500,
    retryStrategy: (times) => Math.min(2_000, 50 * 2 ** Math.min(6, times)),
  };
  const redis = new Redis(options.url, settings);
  const listener = new Redis(options.url, { ...settings, autoResubscribe: false });
  let away = false;
  let closed = false;
  const said = (isAway: boolean, error?: unknown) => {
    if (isAway === away || closed) return;
    away = isAway;
    if (isAway) options.log?.warn({ err: error }, 'the cache works without Redis');
    else options.log?.info({}, 'the cache works with Redis again');
  };
  /** Undefined when Redis does not answer. */
  const ask = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    // Not even a try costs a caller its patience while it is known to be away.
    if (redis.status !== 'ready') return undefined;
    try {
      return await work();
    } catch (error) {
      said(true, error);
      return undefined;
    }
  };

  const owed = new Map<string, Invalidation>();
  const tell = async (told: Invalidation): Promise<boolean> => {
    const { tenantId, key } = told;
    const [value, generation] =
      key === undefined ? [`tenant:${tenantId}`, ofTenant(tenantId)] : [cacheKey(tenantId, key), ofKey(tenantId, key)];
    const answer = await ask(() => redis.eval(forget, 2, value, generation, JSON.stringify(told), generationMs, invalidationChannel));
    return answer !== undefined;
  };
  const ready = async () => {
    said(false);
    for (const [name, told] of [...owed]) if (await tell(told)) owed.delete(name);
  };
  const listening = async () => {
    // Said in between to nobody: forget everything once it is heard again.
    await listener.subscribe(invalidationChannel);
    memory.forgetAll();
  };
  redis.on('error', (error) => said(true, error));
  redis.on('ready', () => void ready());
  listener.on('error', () => undefined);
  listener.on('ready', () => void listening().catch(() => closed || listener.disconnect(true)));
  listener.on('message', (_channel: string, payload: string) => {
    const told = readInvalidation(payload);
    if (told) memory.forget(told.tenantId, told.key);
  });
  await Promise.all([redis, listener].map(firstWord));

  const find = async <T>(tenantId: string, key: string, ttlMs: number, load: () => Promise<T>): Promise<Found<T>> => {
    const began = now();
    const keys = [cacheKey(tenantId, key), ofKey(tenantId, key), ofTenant(tenantId)] as const;
    const known = (await ask(() => redis.eval(read, 3, ...keys))) as [string | null, number, string, string] | undefined;
    const kept = known && keptValue<T>(known);
    // Redis' clock counts the rest, this process' clock from before it was asked.
    if (known && kept !== undefined) return { value: kept, until: began + Math.min(ttlMs, known[1]) };
    const until = now() + ttlMs;
    const value = await load();
    const leftMs = Math.floor(until - now());
    if (known && value !== undefined && leftMs > 0) {
      const text = JSON.stringify({ generation: known[3], value });
      await ask(() => redis.eval(write, 3, ...keys, text, leftMs, known[2], known[3]));
    }
    return { value, until };
  };

  return {
    get: (tenantId, key, ttlMs, load) => memory.get(tenantId, key, () => find(tenantId, key, Math.min(ttlMs, generationMs), load)),
    invalidate: async (tenantId, key) => {
      memory.forget(tenantId, key);
      const told = key === undefined ? { tenantId } : { tenantId, key };
      if (!(await tell(told)) && owed.size < maxOwed) owed.set(JSON.stringify(told), told);
      // What was loading when this began may have ended since.
      memory.forget(tenantId, key);
    },
    close: async () => {
      closed = true;
      redis.disconnect();
      listener.disconnect();
      memory.forgetAll();
    },
  };
}

/** Ready, or away for the time being. */
const firstWord = (redis: Redis): Promise<void> =>
  new Promise((resolve) => {
    redis.once('ready', () => resolve());
    redis.once('error', () => resolve());
  });

const ofKey = (tenantId: string, key: string) => `${cacheKey(tenantId, key)}:generation`;
/** Values carry the tenant's generation, so that all of them can be dropped without knowing their names. */
const ofTenant = (tenantId: string) => `tenant:${tenantId}:generation`;

function keptValue<T>(known: readonly [string | null, number, string, string]): T | undefined {
  if (known[0] === null || known[1] <= 0) return undefined;
  try {
    const { generation, value } = JSON.parse(known[0]) as { generation: string; value: T };
    return generation === known[3] ? value : undefined;
  } catch {
    // Written by something else under our name: as if it were not there.
    return undefined;
  }
}
