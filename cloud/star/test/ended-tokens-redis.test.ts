/** Two replicas that hear of each other through Redis, and of nothing else. Real: PostgreSQL, Redis. Skipped without redis-server. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { identityMigrations } from '@star/identity';
import { type Cache, type Caller, createLogger, createTokenIssuer, loadSigningKey, tokenAudience } from '@star/platform';
import { redisServer, type TestDatabase, type TestRedis, testDatabase, testRedis } from '@star/platform/test-kit';
import { createTenants, type Tenants, tenantsMigrations } from '@star/tenants';
import { aTenantWith } from '../../tenants/test/support/a-tenant';
import { openCache } from '../src/base';
import { type Identity, issuerOf, openIdentity } from '../src/identity';
import { signingKeyPath } from '../src/secrets';
import type { AppSettings } from '../src/settings';
import { aUser, endingChanges, soon, verdict } from './support/token-ends';

(redisServer ? describe : describe.skip)(`with a real Redis${redisServer ? '' : ' (there is no redis-server)'}`, () => {
  let folder: string;
  let database: TestDatabase;
  let redis: TestRedis;
  let caches: Cache[];
  let here: Identity;
  let there: Identity;
  let tenants: Tenants;
  let admin: Caller;
  let tokenOf: (userId: string) => Promise<string>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'star-ended-'));
    database = await testDatabase([
      { service: 'identity', folder: identityMigrations },
      { service: 'tenants', folder: tenantsMigrations },
    ]);
    redis = await testRedis();
    const settings = { STAR_PUBLIC_URL: 'http://star.test', STAR_DATA: folder, STAR_REDIS_URL: redis.url } as AppSettings;
    const log = createLogger({ service: 'test', level: 'silent' });
    caches = await Promise.all([1, 2].map(() => openCache(settings, database.db, log)));
    const [first, second] = caches as [Cache, Cache];
    here = await openIdentity(settings, database.db, first, log);
    there = await openIdentity(settings, database.db, second, log);
    tenants = createTenants({ database: database.db, identity: here.admin, endTokens: here.endTokens });
    const opened = await aTenantWith({ database: database.db, identity: here.admin }, { name: 'East', username: 'guo' });
    admin = { tenantId: opened.tenantId, userId: opened.adminId, username: 'guo', roles: ['tenant-admin', 'operator'] };
    const tokens = createTokenIssuer({
      issuer: issuerOf(settings),
      audience: tokenAudience,
      key: await loadSigningKey(signingKeyPath(folder)),
      // As a provider elsewhere gives them, without a mark; some time ago.
      nowMs: () => Date.now() - 5_000,
    });
    tokenOf = async (userId) => (await tokens.issue({ ...admin, userId })).token;
  });
  afterAll(async () => {
    await Promise.all((caches ?? []).map((each) => each.close()));
    await redis?.close();
    await database?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const both = (credential: string) => Promise.all([verdict(here, credential), verdict(there, credential)]);

  it('tokens end in both at once with every change that takes something from a user, and nobody else’s do', async () => {
    const theirs = await tokenOf((await aUser(here, admin.tenantId)).userId);
    for (const [what, change] of endingChanges(tenants)) {
      const { userId } = await aUser(here, admin.tenantId);
      const token = await tokenOf(userId);
      expect([what, await both(token)]).toEqual([what, ['good', 'good']]);
      expect(await both(theirs)).toEqual(['good', 'good']);
      await change(admin, userId);
      expect([what, await verdict(here, token)]).toEqual([what, 'auth.token_expired']);
      await soon(async () => (await verdict(there, token)) === 'auth.token_expired');
      expect([what, await both(theirs)]).toEqual([what, ['good', 'good']]);
    }
  });

  it('an API key that both remember is forgotten by both', async () => {
    const { key, id } = await tenants.issueApiKey(admin, { name: `key ${randomUUID()}`, permissions: ['edges.read'], expiresAt: null });
    expect(await both(key)).toEqual(['good', 'good']);
    await tenants.withdrawApiKey(admin, id);
    await soon(async () => (await both(key)).every((each) => each === 'auth.token_invalid'));
  });

  it('while Redis is away they end where they were ended, and elsewhere when it is back', async () => {
    const { userId } = await aUser(here, admin.tenantId);
    const token = await tokenOf(userId);
    expect(await both(token)).toEqual(['good', 'good']);
    await redis.kill();
    await tenants.endSessions(admin, userId);
    expect(await verdict(here, token)).toBe('auth.token_expired');
    await redis.start();
    await soon(async () => (await verdict(there, token)) === 'auth.token_expired');
  });
});
