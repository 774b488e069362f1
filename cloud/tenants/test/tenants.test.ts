/** Real: PostgreSQL, the embedded identity provider's users. */
import { createUserAdmin, endTokens, identityMigrations } from '@star/identity';
import { openLocalCache, writeEvent } from '@star/platform';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';
import { createTenants, type Tenants, tenantsMigrations } from '../src';

let database: TestDatabase;
let tenants: Tenants;

beforeAll(async () => {
  database = await testDatabase([
    { service: 'identity', folder: identityMigrations },
    { service: 'tenants', folder: tenantsMigrations },
  ]);
  tenants = createTenants({
    database: database.db,
    writeEvent,
    identity: createUserAdmin({ database: database.db }),
    endTokens: endTokens({ cache: await openLocalCache() }),
  });
});
afterAll(() => database?.close());

describe('opening a tenant', () => {
  const input = { name: 'Garden City', admin: { username: 'Guo', displayName: 'Guo Lin', password: 'first secret' } };

  it('makes tenant, administrator and event once, however many start at once', async () => {
    const opened = await Promise.all([1, 2, 3].map(() => tenants.createTenant(input, { ifAbsent: true })));
    expect(new Set(opened.map((each) => each.tenantId)).size).toBe(1);
    expect(opened.filter((each) => each.created)).toHaveLength(1);
    const events = await database.db.system('test', (tx) => tx.query<{ topic: string }>('SELECT topic FROM platform.outbox'));
    expect(events).toMatchObject([{ topic: 'tenant.created.v1' }]);
  });

  it('refuses a name that is taken, in any case of its letters', async () => {
    const again = { ...input, admin: { ...input.admin, username: 'GUO' } };
    await expect(tenants.createTenant(again)).rejects.toMatchObject({ code: 'user.username_taken' });
  });
});
