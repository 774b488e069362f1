import { setTimeout as sleep } from 'node:timers/promises';
import { identityMigrations } from '@star/identity';
import { type Cache, createLogger, oidcClients } from '@star/platform';
import { OidcClient, type TestDatabase, testDatabase } from '@star/platform/test-kit';
import { createTenants, type Tenants, tenantsMigrations } from '@star/tenants';
import { type RunningKeycloak, startKeycloak, whyNoKeycloak } from '../../../tools/stack/keycloak';
import { aTenantWith } from '../../tenants/test/support/a-tenant';
import { openCache } from '../src/base';
import { type Identity, issuerOf, openIdentity } from '../src/identity';
import { type AppSettings } from '../src/settings';
import { aUser, endingChanges, soon, verdict } from './support/token-ends';

const consoleUrl = 'http://127.0.0.1:1';
const missing = whyNoKeycloak();
if (missing) console.warn(missing);

/** Star's own use cases, with a real Keycloak in the place of the embedded provider. */
(missing ? describe.skip : describe)('Star with a Keycloak', () => {
  let keycloak: RunningKeycloak;
  let database: TestDatabase;
  let settings: AppSettings;
  /** Two replicas, who hear of each other through the database. */
  let caches: Cache[];
  let identity: Identity;
  let other: Identity;
  let tenants: Tenants;
  let client: OidcClient;

  beforeAll(async () => {
    keycloak = await startKeycloak(consoleUrl);
    database = await testDatabase([
      { service: 'identity', folder: identityMigrations },
      { service: 'tenants', folder: tenantsMigrations },
    ]);
    settings = {
      STAR_PUBLIC_URL: consoleUrl,
      STAR_KEYCLOAK_URL: keycloak.url,
      STAR_KEYCLOAK_REALM: 'star',
      STAR_KEYCLOAK_SECRET: keycloak.adminSecret,
    } as AppSettings;
    const log = createLogger({ service: 'test', level: 'silent' });
    caches = await Promise.all([1, 2].map(() => openCache(settings, database.db, log)));
    const [first, second] = caches as [Cache, Cache];
    identity = await openIdentity(settings, database.db, first, log);
    other = await openIdentity(settings, database.db, second, log);
    tenants = createTenants({ database: database.db, identity: identity.admin, endTokens: identity.endTokens });
    client = new OidcClient(issuerOf(settings), `${consoleUrl}/`);
  }, 300_000);
  afterAll(async () => {
    await Promise.all((caches ?? []).map((each) => each.close()));
    await database?.close();
    await keycloak?.stop();
  });

  const aTenant = (name: string, username: string) => aTenantWith({ database: database.db, identity: identity.admin }, { name, username });

  it('has a tenant whose administrator logs in there and makes users', async () => {
    const opened = await aTenant('Two Courts', 'guo');

    const { body } = await client.password('guo', 'first secret');
    const guo = await identity.verifier.verify(body.access_token ?? '');
    expect(guo).toMatchObject({ tenantId: opened.tenantId, userId: opened.adminId });
    expect(await tenants.whoAmI(guo)).toMatchObject({ tenantName: 'Two Courts', displayName: 'Admin' });
    const lin = await tenants.createUser(guo, { username: 'lin', displayName: 'Lin', roles: ['viewer'], secondFactorRequired: false });
    expect((await tenants.readUsers(guo, { limit: 10 })).items.map(({ username }) => username)).toEqual(['guo', 'lin']);
    const stranger = { ...guo, tenantId: '99999999-9999-4999-8999-999999999999' };
    await expect(tenants.readUser(stranger, lin.id)).rejects.toMatchObject({ code: 'user.not_found' });
  });

  it('ends tokens in every replica at once with every change that takes something from a user, and nobody else’s', async () => {
    const { tenantId, adminId } = await aTenant('Three Courts', 'wei');
    const admin = { tenantId, userId: adminId, username: 'wei', roles: ['tenant-admin'] };
    const logIn = async ({ username, password }: { username: string; password: string }) => {
      const { body } = await client.password(username, password);
      return { access: body.access_token ?? '', refresh: body.refresh_token ?? '' };
    };
    const both = (token: string) => Promise.all([verdict(identity, token), verdict(other, token)]);
    const theirs = await logIn(await aUser(identity, tenantId));
    for (const [what, change] of endingChanges(tenants)) {
      const her = await aUser(identity, tenantId);
      const { access, refresh } = await logIn(her);
      expect([what, await both(access)]).toEqual([what, ['good', 'good']]);
      await change(admin, her.userId);
      expect([what, await verdict(identity, access)]).toEqual([what, 'auth.token_expired']);
      await soon(async () => (await verdict(other, access)) === 'auth.token_expired');
      // Keycloak's tokens tell whole seconds: what was issued in that of the change is not told from what came before it.
      await sleep(1_100);
      const next = await client.refresh(refresh, oidcClients.cli);
      if (what !== 'loses a role') expect([what, next.body.error]).toEqual([what, 'invalid_grant']);
      else {
        expect(await both(next.body.access_token ?? '')).toEqual(['good', 'good']);
        expect((await other.verifier.verify(next.body.access_token ?? '')).roles).not.toContain('operator');
      }
      if (what.includes('everywhere')) expect([what, await both((await logIn(her)).access)]).toEqual([what, ['good', 'good']]);
    }
    expect(await both(theirs.access)).toEqual(['good', 'good']);
  });

  it('shows a tenant’s people no permission of the platform’s, whatever roles Keycloak was told to give them', async () => {
    const { adminId } = await aTenant('Four Courts', 'qin');
    await identity.admin.setRoles(adminId, ['platform-operator', 'viewer']);
    const qin = await identity.verifier.verify((await client.password('qin', 'first secret')).body.access_token ?? '');
    expect(qin.roles).not.toContain('platform-operator');
    expect((await tenants.whoAmI(qin)).permissions).not.toContain('tenants.write');
  });
});
