/** A bucket as full as a minute's calls, refilled evenly: who was quiet may hurry for a moment. */
export interface Bucket {
  /** Whose, such as `tenant:<id>:rate:user:<id>`. */
  readonly key: string;
  readonly perMinute: number;
}

export interface Taken {
  readonly allowed: boolean;
  /** Calls left at once. */
  readonly remaining: number;
  /** Until one call is possible again; 0 when one is. */
  readonly waitMs: number;
  /** Until the bucket is full. */
  readonly fullInMs: number;
}

/** Counts calls. Two replicas share what they count where the counters are outside of the process. */
export interface RateCounters {
  /** Takes one call out of the bucket, when one is in it. Does not throw. */
  take(bucket: Bucket): Promise<Taken>;
  close(): Promise<void>;
}

/**
 * One number per bucket: the moment at which it will be full again (the generic cell rate algorithm, which counts as a
 * token bucket does). Every call moves it by the time one call is worth; further than a minute ahead nothing is allowed.
 */
export function takeFrom(fullAtMs: number, perMinute: number, nowMs: number): { readonly taken: Taken; readonly fullAtMs: number } {
  const costMs = 60_000 / perMinute;
  const base = Math.max(fullAtMs, nowMs);
  const next = base + costMs;
  const waitMs = next - 60_000 - nowMs;
  // A thousandth of a millisecond: sums of fractions must not cost the last call.
  const allowed = waitMs <= 0.001;
  const at = allowed ? next : base;
  const remaining = Math.max(0, Math.floor((60_000 - (at - nowMs)) / costMs + 0.001));
  return { fullAtMs: at, taken: { allowed, remaining, waitMs: allowed ? 0 : waitMs, fullInMs: at - nowMs } };
}

/** Of this process alone. */
export function countInMemory(
  options: { readonly nowMs?: () => number; readonly maxBuckets?: number } = {},
): RateCounters & { size(): number } {
  const nowMs = options.nowMs ?? Date.now;
  const maxBuckets = options.maxBuckets ?? 100_000;
  const fullAt = new Map<string, number>();
  return {
    size: () => fullAt.size,
    take: async ({ key, perMinute }) => {
      const now = nowMs();
      const result = takeFrom(fullAt.get(key) ?? 0, perMinute, now);
      // Moved to the end, so that the front is what was quiet longest: full by now, or forgotten for want of room.
      fullAt.delete(key);
      fullAt.set(key, result.fullAtMs);
      for (const [old, at] of fullAt) {
        if (at > now && fullAt.size <= maxBuckets) break;
        if (old !== key) fullAt.delete(old);
      }
      return result.taken;
    },
    close: async () => fullAt.clear(),
  };
}
