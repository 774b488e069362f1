import type { Database } from '../postgres/database';
import { type Cache, invalidationChannel, readInvalidation } from './cache';
import { announceInvalidation } from './invalidation.store';
import { MemoryLevel } from './memory-cache';

export interface LocalCacheOptions {
  /** Where replicas hear of each other; without it there is one process. */
  readonly db?: Database;
  /** Kept in memory at most; 10,000 unless told. */
  readonly maxEntries?: number;
  readonly now?: () => number;
}

/** Memory alone. Several processes tell each other through PostgreSQL what is no longer true. */
export async function openLocalCache({ db, maxEntries = 10_000, now = () => performance.now() }: LocalCacheOptions = {}): Promise<Cache> {
  const memory = new MemoryLevel(maxEntries, now);
  const closing = new AbortController();
  const heard = (payload: string) => {
    // The listening was broken: what was said meanwhile nobody knows.
    if (payload === '') return memory.forgetAll();
    const told = readInvalidation(payload);
    if (told) memory.forget(told.tenantId, told.key);
  };
  await db?.listen(invalidationChannel, heard, closing.signal);
  return {
    get: (tenantId, key, ttlMs, load) =>
      memory.get(tenantId, key, async () => {
        const until = now() + ttlMs;
        return { value: await load(), until };
      }),
    invalidate: async (tenantId, key) => {
      memory.forget(tenantId, key);
      await db?.system('cache', (tx) => announceInvalidation(tx, { tenantId, ...(key === undefined ? {} : { key }) }));
    },
    close: async () => {
      closing.abort();
      memory.forgetAll();
    },
  };
}
