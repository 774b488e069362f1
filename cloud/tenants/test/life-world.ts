/** What the tests of tenants' life share: a real database, bus and objects; devices and search do their part through the real port. */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createUserAdmin, identityMigrations } from '@star/identity';
import {
  type BusRecord,
  type Cache,
  createSagas,
  createTenantKeys,
  type Database,
  type DiskObjects,
  doTenantPart,
  firstTime,
  openDatabase,
  openDiskObjects,
  openLocalCache,
  openPostgresBus,
  type SagaDefinition,
  SecretBox,
  startRelay,
  writeEvent,
} from '@star/platform';
import { type TestDatabase, testDatabase } from '@star/platform/test-kit';
import { firstArea, recordAudit, type TenantLifeDeps, tenantsMigrations } from '../src';
import { openingSaga } from '../src/life/open-tenant';
import { finishPart } from '../src/life/parts';
import { partServices, type WithSagas } from '../src/life/ports';
import type { OpeningOrders } from './opening.child';

export const objectsSecret = 's'.repeat(32);

export const lifeDeps = (database: Database, objects: DiskObjects, cache: Cache): TenantLifeDeps => ({
  database,
  writeEvent,
  firstTime,
  audit: recordAudit,
  objects,
  cache,
  identity: createUserAdmin({ database }),
  areas: firstArea,
  eraseTenantKey: createTenantKeys({ database, installationKey: Buffer.alloc(32), audit: recordAudit }).eraseTenantKey,
  now: () => new Date(),
});

/** Sagas of opening whose steps tell where they are before and after they do or undo what they do. */
export function watchedOpening(deps: TenantLifeDeps, key: Buffer, at: (place: string) => Promise<void>): WithSagas {
  const definition = openingSaga(deps);
  const steps = definition.steps.map((step): (typeof definition.steps)[number] => ({
    ...step,
    do: async (opening, context) => {
      await at(`before do ${step.name}`);
      const result = await step.do(opening, context);
      await at(`after do ${step.name}`);
      return result;
    },
    undo: async (opening, context) => {
      await at(`before undo ${step.name}`);
      await step.undo(opening, context);
      await at(`after undo ${step.name}`);
    },
  }));
  const sagas = createSagas({
    db: deps.database,
    definitions: [{ ...definition, steps } as unknown as SagaDefinition],
    secrets: new SecretBox(key),
    leaseMs: 1_500,
    firstPauseMs: 5,
    longestPauseMs: 20,
  });
  return { ...deps, sagas };
}

export interface LifeWorld {
  readonly database: TestDatabase;
  readonly objects: DiskObjects;
  readonly folder: string;
  readonly cache: Cache;
  readonly deps: TenantLifeDeps;
  readonly key: Buffer;
  /** What devices and search have prepared, as `<tenant> <service>`. */
  readonly prepared: Set<string>;
  /** What is left of a tenant anywhere, beside sagas and the audit log. */
  left(tenantId: string): Promise<string[]>;
  close(): Promise<void>;
}

export async function lifeWorld(): Promise<LifeWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'star-tenant-life-'));
  const database = await testDatabase([
    { service: 'identity', folder: identityMigrations },
    { service: 'tenants', folder: tenantsMigrations },
  ]);
  const objects = await openDiskObjects({ folder, secret: objectsSecret, publicUrl: 'http://star.test' });
  const cache = await openLocalCache({ db: database.db });
  const bus = await openPostgresBus({ db: database.db, pollMs: 50 });
  const relay = await startRelay({ db: database.db, bus, pollMs: 50 });
  const deps = lifeDeps(database.db, objects, cache);
  const key = randomBytes(32);
  const prepared = new Set<string>();
  for (const service of partServices) {
    const handle = doTenantPart({
      database: database.db,
      objects,
      writeEvent,
      firstTime,
      service,
      prepare: async (_, tenantId) => void prepared.add(`${tenantId} ${service}`),
      discard: async (_, tenantId) => void prepared.delete(`${tenantId} ${service}`),
      removeOutside: async (tenantId) => (prepared.delete(`${tenantId} ${service}`) ? { [`${service}_rows`]: 3 } : {}),
    });
    await bus.subscribe({
      group: service,
      topics: ['tenant.part.requested.v1'],
      handle: (record) => handle(record as BusRecord<'tenant.part.requested.v1'>),
    });
  }
  const finish = finishPart(watchedOpening(deps, key, async () => undefined));
  await bus.subscribe({
    group: 'tenants',
    topics: ['tenant.part.finished.v1'],
    handle: (record) => finish(record as BusRecord<'tenant.part.finished.v1'>),
  });
  return {
    database,
    objects,
    folder,
    cache,
    deps,
    key,
    prepared,
    left: async (tenantId) => {
      const tables = await database.db.system('test', (tx) =>
        tx.query<{ name: string }>(
          `SELECT table_schema || '.' || table_name AS name FROM information_schema.columns
           WHERE column_name = 'tenant_id' AND table_schema IN ('identity', 'tenants') AND table_name NOT LIKE 'audit%' ORDER BY 1`,
        ),
      );
      const found: string[] = [];
      for (const { name } of tables) {
        const rows = await database.db.system('test', (tx) => tx.query(`SELECT 1 FROM ${name} WHERE tenant_id = $1`, [tenantId]));
        if (rows.length > 0) found.push(`${rows.length} in ${name}`);
      }
      const stored = await objects.head(tenantId, `${tenantId}/tenant.json`);
      return [...found, ...[...prepared].filter((each) => each.startsWith(tenantId)), ...(stored ? ['objects'] : [])];
    },
    close: async () => {
      await relay.stop();
      await bus.close();
      await cache.close();
      await database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A replica in a process of its own, which tells where its steps are. */
export function openingChild(world: LifeWorld, orders: Omit<OpeningOrders, 'databaseUrl' | 'folder' | 'key'>): ChildProcess {
  const child = fork(join(__dirname, 'opening.child.ts'), [], {
    execArgv: ['-r', join(__dirname, '../../platform/test/run-sources.cjs')],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  child.send({ databaseUrl: world.database.appUrl, folder: world.folder, key: world.key.toString('hex'), ...orders });
  return child;
}

/** Resolves when it has been killed at that place. */
export async function killAt(child: ChildProcess, place: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.on('message', ({ at }: { at?: string }) => at === place && resolve());
    child.once('exit', () => reject(new Error(`ended before ${place}`)));
  });
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** For a process of its own. */
export async function openLifeDeps(databaseUrl: string, folder: string): Promise<TenantLifeDeps> {
  const database = openDatabase({ url: databaseUrl, poolSize: 4 });
  const objects = await openDiskObjects({ folder, secret: objectsSecret, publicUrl: 'http://star.test' });
  return lifeDeps(database, objects, await openLocalCache());
}

export const aCustomer = (name = `East ${randomUUID().slice(0, 8)}`) => ({
  id: randomUUID(),
  name,
  admin: { username: `admin-${randomUUID().slice(0, 8)}`, displayName: 'Guo Lin', password: 'a first password' },
});

export const aPlatformOperator = {
  tenantId: '00000000-0000-4000-8000-000000000000',
  userId: '00000000-0000-4000-8000-00000000000a',
  username: 'provider',
  roles: ['platform-operator'],
};
