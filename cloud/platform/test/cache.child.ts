/** A replica in a process of its own: invalidates a key, then says when it has heard that another did. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabase, openLocalCache, openRedisCache } from '../src';

export type CacheEngine = { readonly databaseUrl: string } | { readonly redisUrl: string };

process.once(
  'message',
  ({ engine, tenantId, key }: { engine: CacheEngine; tenantId: string; key: string }) => void run(engine, tenantId, key),
);
process.once('disconnect', () => process.exit(0));

async function run(engine: CacheEngine, tenantId: string, key: string): Promise<void> {
  const cache =
    'redisUrl' in engine
      ? await openRedisCache({ url: engine.redisUrl })
      : await openLocalCache({ db: openDatabase({ url: engine.databaseUrl, poolSize: 2 }) });
  await cache.invalidate(tenantId, key);
  let loads = 0;
  const look = () => cache.get(tenantId, key, 3_600_000, async () => `child ${++loads}`);
  const first = await look();
  process.send?.({ invalidated: true });
  let saw = first;
  while (saw === first) {
    await sleep(10);
    saw = await look();
  }
  process.send?.({ saw });
}
