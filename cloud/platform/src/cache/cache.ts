/**
 * What a service looks up again and again. In order: this process's memory, Redis where there is one, the loader.
 *
 * Promises: a value is never handed out later than `ttlMs` after its loader was called; once `invalidate` has resolved
 * this replica reads anew, and the others as soon as they hear of it, which without an outage is at once; many asking
 * for the same key load it once. A loader that rejects is not remembered. Values are JSON, and nobody may change them.
 */
export interface Cache {
  /** `key` in letters, digits and `.:_-`, at most 200. `undefined` from the loader is answered and not kept. */
  get<T>(tenantId: string, key: string, ttlMs: number, load: () => Promise<T>): Promise<T>;
  /** After the commit of what changed. Without a key: all of the tenant's. */
  invalidate(tenantId: string, key?: string): Promise<void>;
  close(): Promise<void>;
}

/** On which replicas tell each other what is no longer true; the payload is `{"tenantId","key"}`. */
export const invalidationChannel = 'tenant:cache:invalidate';

export interface Invalidation {
  readonly tenantId: string;
  /** Absent: all of the tenant's. */
  readonly key?: string;
}

export const cacheKey = (tenantId: string, key: string): string => {
  if (!/^[\w.:-]{1,200}$/.test(key)) throw new RangeError('not a key of the cache');
  return `tenant:${tenantId}:${key}`;
};

/** Undefined for what is none of ours: anybody may write to a channel. */
export function readInvalidation(payload: string): Invalidation | undefined {
  try {
    const { tenantId, key } = JSON.parse(payload) as Record<string, unknown>;
    if (typeof tenantId !== 'string' || (key !== undefined && typeof key !== 'string')) return undefined;
    return key === undefined ? { tenantId } : { tenantId, key };
  } catch {
    return undefined;
  }
}
