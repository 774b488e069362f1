import { identityMigrations } from '@star/identity';
import { createLogger, openLocalCache, writeEvent } from '@star/platform';
import { OidcClient, type TestDatabase, testDatabase } from '@star/platform/test-kit';
import { createTenants, tenantsMigrations } from '@star/tenants';
import { type RunningKeycloak, startKeycloak, whyNoKeycloak } from '../../../tools/stack/keycloak';
import { issuerOf, openIdentity } from '../src/identity';
import { type AppSettings } from '../src/settings';

const consoleUrl = 'http://127.0.0.1:1';
const missing = whyNoKeycloak();
if (missing) console.warn(missing);

/** Star's own use cases, with a real Keycloak in the place of the embedded provider. */
(missing ? describe.skip : describe)('Star with a Keycloak', () => {
  let keycloak: RunningKeycloak;
  let database: TestDatabase;

  beforeAll(async () => {
    keycloak = await startKeycloak(consoleUrl);
    database = await testDatabase([
      { service: 'identity', folder: identityMigrations },
      { service: 'tenants', folder: tenantsMigrations },
    ]);
  }, 300_000);
  afterAll(async () => {
    await database?.close();
    await keycloak?.stop();
  });

  it('opens a tenant once, whose administrator logs in there and makes users', async () => {
    const settings = {
      STAR_PUBLIC_URL: consoleUrl,
      STAR_KEYCLOAK_URL: keycloak.url,
      STAR_KEYCLOAK_REALM: 'star',
      STAR_KEYCLOAK_SECRET: keycloak.adminSecret,
    } as AppSettings;
    const identity = await openIdentity(settings, database.db, await openLocalCache(), createLogger({ service: 'test', level: 'silent' }));
    const tenants = createTenants({ database: database.db, writeEvent, identity: identity.admin, endTokens: identity.endTokens });
    const input = { name: 'Two Courts', admin: { username: 'guo', displayName: 'Guo Lin', password: 'first secret' } };
    const opened = await tenants.createTenant(input, { ifAbsent: true });
    expect(await tenants.createTenant(input, { ifAbsent: true })).toEqual({ ...opened, created: false });

    const client = new OidcClient(issuerOf(settings), `${consoleUrl}/`);
    const { body } = await client.password('guo', 'first secret');
    const guo = await identity.verifier.verify(body.access_token ?? '');
    expect(guo).toMatchObject({ tenantId: opened.tenantId, userId: opened.adminId });
    expect(await tenants.whoAmI(guo)).toMatchObject({ tenantName: 'Two Courts', displayName: 'Guo Lin' });
    const lin = await tenants.createUser(guo, { username: 'lin', displayName: 'Lin', roles: ['viewer'], secondFactorRequired: false });
    expect((await tenants.readUsers(guo, { limit: 10 })).items.map(({ username }) => username)).toEqual(['guo', 'lin']);
    const stranger = { ...guo, tenantId: '99999999-9999-4999-8999-999999999999' };
    await expect(tenants.readUser(stranger, lin.id)).rejects.toMatchObject({ code: 'user.not_found' });
  });
});
