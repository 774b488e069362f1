/** Real: PostgreSQL, Redis where there is a redis-server, processes. */
import { randomUUID } from 'node:crypto';
import { openLocalCache, openRedisCache } from '../src';
import { redisServer, type TestDatabase, type TestRedis, testDatabase, testRedis } from '../src/test-kit';
import { cacheContract, until } from './cache.contract';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database?.close());

cacheContract('memory, told by PostgreSQL', {
  open: (options) => openLocalCache({ db: database.db, ...options }),
  engine: () => ({ databaseUrl: database.appUrl }),
});

const withRedis = redisServer ? describe : describe.skip;
withRedis(`with a real Redis${redisServer ? '' : ' (there is no redis-server)'}`, () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await testRedis();
  });
  afterAll(() => redis?.close());

  cacheContract('memory, then Redis', {
    open: (options) => openRedisCache({ url: redis.url, ...options }),
    engine: () => ({ redisUrl: redis.url }),
  });

  it('spares a second replica the loader, under the agreed name', async () => {
    const [here, there, id] = [await openRedisCache({ url: redis.url }), await openRedisCache({ url: redis.url }), randomUUID()];
    await here.get(id, 'limits', 60_000, async () => ({ edges: 5 }));
    const never = () => Promise.reject(new Error('asked again'));
    expect(await there.get(id, 'limits', 60_000, never)).toEqual({ edges: 5 });
    await Promise.all([here.close(), there.close()]);
  });

  it('counts a value’s time from when it was loaded, in every level', async () => {
    const [here, there, id] = [await openRedisCache({ url: redis.url }), await openRedisCache({ url: redis.url }), randomUUID()];
    let value = 'old';
    const load = async () => value;
    await here.get(id, 'k', 2_000, load);
    expect(await there.get(id, 'k', 3_600_000, load)).toBe('old');
    value = 'new';
    // The second replica asked for an hour; the value had two seconds.
    await until(async () => (await there.get(id, 'k', 3_600_000, load)) === 'new');
    await Promise.all([here.close(), there.close()]);
  });

  it('works on without Redis, says so once, and makes good what was invalidated meanwhile', async () => {
    const said: string[] = [];
    const write = (_: object, message: string) => void said.push(message);
    const log = { debug: write, info: write, warn: write, error: write };
    const [here, there, id] = [await openRedisCache({ url: redis.url, log }), await openRedisCache({ url: redis.url }), randomUUID()];
    let value = 1;
    const load = async () => value;
    await here.get(id, 'k', 3_600_000, load);
    await there.get(id, 'k', 3_600_000, load);
    await redis.kill();
    value = 2;
    await until(async () => said.length > 0);
    await here.invalidate(id, 'k');
    for (let i = 0; i < 100; i++) expect(await here.get(id, `k${i}`, 60_000, load)).toBe(2);
    expect(await here.get(id, 'k', 3_600_000, load)).toBe(2);
    expect(said).toEqual(['the cache works without Redis']);
    await redis.start();
    await until(async () => said.length === 2);
    expect(said[1]).toBe('the cache works with Redis again');
    await until(async () => (await there.get(id, 'k', 3_600_000, load)) === 2);
    await Promise.all([here.close(), there.close()]);
  });

  it('starts while Redis is away', async () => {
    await redis.kill();
    const cache = await openRedisCache({ url: redis.url });
    const id = randomUUID();
    expect(await cache.get(id, 'k', 60_000, async () => 1)).toBe(1);
    await redis.start();
    await cache.close();
  });
});
