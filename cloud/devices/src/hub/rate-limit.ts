/** ThingsBoard's limits: `count:seconds,count:seconds`, every one of which must have room. */

interface Bucket {
  readonly capacity: number;
  readonly perMs: number;
  tokens: number;
}

/** Parses `20:1,600:60`. Throws RangeError on anything else; an empty text means no limit. */
export function parseRateLimit(text: string): { count: number; seconds: number }[] {
  if (text === '') return [];
  return text.split(',').map((part) => {
    const match = /^(\d+):(\d+)$/.exec(part.trim());
    const count = Number(match?.[1]);
    const seconds = Number(match?.[2]);
    if (!match || count < 1 || seconds < 1) throw new RangeError(`not a rate limit: "${part}"`);
    return { count, seconds };
  });
}

/** Token buckets, full at first. */
export class RateLimit {
  readonly #buckets: Bucket[];
  #atMs: number;

  constructor(text: string, nowMs: number) {
    this.#buckets = parseRateLimit(text).map(({ count, seconds }) => ({ capacity: count, perMs: count / (seconds * 1000), tokens: count }));
    this.#atMs = nowMs;
  }

  /** Takes `amount` when every bucket holds it; otherwise takes nothing and answers false. */
  take(nowMs: number, amount = 1): boolean {
    const elapsedMs = Math.max(0, nowMs - this.#atMs);
    this.#atMs = Math.max(this.#atMs, nowMs);
    for (const bucket of this.#buckets) bucket.tokens = Math.min(bucket.capacity, bucket.tokens + elapsedMs * bucket.perMs);
    if (this.#buckets.some((bucket) => bucket.tokens < amount)) return false;
    for (const bucket of this.#buckets) bucket.tokens -= amount;
    return true;
  }
}
