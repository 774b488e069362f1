import type { Log } from '@star/platform';
import { Redis } from 'ioredis';
import { countInMemory, type RateCounters, takeFrom } from './rate-limits';

/** `takeFrom` on Redis' own clock, so that replicas need not agree on the time. Answers the moment before and after, in ms. */
const script = `
local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000
local cost = tonumber(ARGV[1])
local before = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
if before + cost - 60000 - now <= 0.001 then
  redis.call('SET', KEYS[1], string.format('%.4f', before + cost), 'PX', math.ceil(before + cost - now))
end
return { string.format('%.4f', before), string.format('%.4f', now) }`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    starTake(key: string, costMs: string): import('ioredis').Result<[string, string], Context>;
  }
}

export interface RedisCountersOptions {
  readonly url: string;
  readonly log?: Log;
  /** Longer than this nobody waits for a counter; 100 ms unless told. */
  readonly timeoutMs?: number;
}

/**
 * Counters that replicas share. While Redis is away or slow each replica counts for itself: limits protect the
 * services, and refusing everybody would be the worse failure.
 */
export function countInRedis({ url, log, timeoutMs = 100 }: RedisCountersOptions): RateCounters {
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: timeoutMs,
    connectTimeout: 2000,
    enableAutoPipelining: true,
    retryStrategy: (times) => Math.min(5000, 100 * times),
  });
  redis.defineCommand('starTake', { numberOfKeys: 1, lua: script });
  let away = false;
  const say = (now: boolean, error?: unknown) => {
    if (away === now) return;
    away = now;
    if (now) log?.warn({ err: error }, 'Redis is away: each replica limits calls by itself');
    else log?.info({}, 'Redis is back: replicas limit calls together again');
  };
  redis.on('error', (error) => say(true, error));
  const alone = countInMemory();
  return {
    take: async (bucket) => {
      try {
        const [before, now] = await redis.starTake(bucket.key, String(60_000 / bucket.perMinute));
        say(false);
        return takeFrom(Number(before), bucket.perMinute, Number(now)).taken;
      } catch (error) {
        say(true, error);
        return alone.take(bucket);
      }
    },
    close: async () => {
      redis.disconnect();
      await alone.close();
    },
  };
}
