/**
 * devices and search as one Star has them, on real PostgreSQL, ClickHouse, bus and objects, with the supervisor's pool of
 * real Mizars and the real `dipper` command. Simulated is only what boxes would answer to an estimate.
 */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { createDevices, type Devices, DevicesModule, devicesMigrations } from '@star/devices';
import {
  type Caller,
  createLogger,
  createTenantKeys,
  createTokenIssuer,
  createTokenVerifier,
  type DiskObjects,
  firstTime,
  firstTimes,
  loadSigningKey,
  openPostgresBus,
  startRelay,
  writeEvent,
  writeEvents,
} from '@star/platform';
import { connectBus, createHttpApp } from '@star/platform/nest';
import { type TestDatabase, testAnalytics, testDatabase } from '@star/platform/test-kit';
import { connectMizar, createSearch, SearchModule, type SearchService, searchAnalytics, searchMigrations } from '@star/search';
import { calibration, packInUse, type SoftwarePackage } from '@stardipper/proto';
import { copyOfDemoPack, drawnPhoto, type PackCopy } from '../../../search/test/support/packs';
import { connectPacks } from '../../src/connect-packs';
import { type KeptChild, keepChild } from '../../src/kept-child';
import { openObjects } from '../../src/objects';
import { createPackPool, type PackPool, type PackPoolOptions } from '../../src/pack-pool';
import { packsGrpcService } from '../../src/packs-service';
import { serveInside } from '../../src/serve-inside';

const { resolve } = createRequire(__filename);
export const mizarProgram = resolve('@dipper/mizar/dist/main.js');
export const modelsProgram = resolve('@dipper/dipper/dist/main.js');
export const log = createLogger({ service: 'test', level: 'silent' });
const realm = { issuer: 'http://star.test', audience: 'star' };

/** A .tar.gz of a copy of the project's own pack, changed by `spoil`. */
export async function archiveOf(folder: string, copy: PackCopy, spoil?: (pack: string) => Promise<void>): Promise<Buffer> {
  const pack = await copyOfDemoPack(join(folder, randomUUID()), copy);
  await spoil?.(pack);
  const path = `${pack}.tar.gz`;
  execFileSync('tar', ['-czf', path, '-C', pack, '.']);
  return readFile(path);
}

export const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

export const aPool = (options: Pick<PackPoolOptions, 'folder' | 'objects'> & Partial<PackPoolOptions>): PackPool =>
  createPackPool({
    mizarProgram,
    modelsProgram,
    env: { ...process.env, LOG_LEVEL: 'silent' },
    maxMizars: 4,
    maxInstalled: 8,
    log,
    ...options,
  });

/** One tenant's administrator and operator, in one person. */
export class Tenant {
  readonly caller: Caller = { tenantId: randomUUID(), userId: randomUUID(), username: 'both', roles: ['tenant-admin', 'operator'] };
  readonly cameraId = randomUUID();
  token = '';

  constructor(private readonly star: StarWithPacks) {}

  async call(method: string, path: string, body?: unknown, type = 'application/json') {
    const raw = Buffer.isBuffer(body);
    const answer = await fetch(`${this.star.base}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, ...(body !== undefined && { 'content-type': type }) },
      ...(body !== undefined && { body: raw ? new Uint8Array(body) : JSON.stringify(body) }),
    });
    const text = await answer.text();
    // biome-ignore lint/suspicious/noExplicitAny: answers are looked at with toMatchObject
    return { status: answer.status, body: (text === '' ? undefined : JSON.parse(text)) as any };
  }

  async enrol(person: number, facePx = 160): Promise<string> {
    const { body } = await this.call('POST', '/people', { name: `Resident ${person}` });
    const photo = await drawnPhoto(person, facePx);
    // A Mizar that is being started is asked again, as the answer says.
    const added = await until('Star has an answer', async () => {
      const answer = await this.call('POST', `/people/${body.id}/photos`, photo, 'image/jpeg');
      return answer.status !== 503 && answer;
    });
    if (added.status !== 201) throw new Error(JSON.stringify(added.body));
    return body.id;
  }

  async upload(bytes: Buffer, title: string): Promise<SoftwarePackage> {
    const { status, body } = await this.call('POST', `/software/packages?title=${title}&version=1`, bytes, 'application/gzip');
    if (status !== 201) throw new Error(JSON.stringify(body));
    return body;
  }

  async assign(packageId: string): Promise<void> {
    const { status, body } = await this.call('PUT', '/software/assignment', { packageId });
    if (status !== 200) throw new Error(JSON.stringify(body));
  }

  inUse = async () => packInUse.parse((await this.call('GET', '/packs/in-use')).body);
  calibration = async () => calibration.parse((await this.call('GET', '/packs/in-use/calibration')).body);

  draft(personIds: string[]) {
    const to = Math.floor(Date.now() / 60_000) * 60_000 - 7_200_000;
    const range = { from: new Date(to - 3_600_000).toISOString(), to: new Date(to).toISOString() };
    return this.call('POST', '/searches', { purpose: 'A lost child', personIds, cameraIds: [this.cameraId], ...range });
  }

  /** Resolves when this pack is in use and everything embedded with it. */
  whenDone = (packId: string) =>
    until(`everything is embedded with ${packId}`, async () => {
      const seen = await this.inUse();
      return seen.pack?.packId === packId && seen.photos.waiting === 0 && seen;
    });

  whenFailed = (packageId: string) =>
    until('the assignment has failed', async () => {
      const seen = await this.inUse();
      return seen.assignment?.packageId === packageId && seen.assignment.state === 'failed' && seen;
    });
}

export class StarWithPacks {
  base = '';
  /** Packs that boxes were asked about for an estimate, by tenant. */
  readonly asked: [tenantId: string, packId: string][] = [];
  private readonly closing: (() => unknown)[] = [];
  private readonly cameras = new Map<string, string>();
  private constructor(
    readonly folder: string,
    readonly database: TestDatabase,
    readonly objects: DiskObjects,
    readonly pool: PackPool,
    readonly search: SearchService,
    readonly devices: Devices,
    private readonly issue: (caller: Caller) => Promise<string>,
  ) {}

  static async start(own: PackCopy): Promise<StarWithPacks> {
    const folder = await mkdtemp(join(tmpdir(), 'star-pool-'));
    const closing: (() => unknown)[] = [() => rm(folder, { recursive: true, force: true })];
    const data = join(folder, 'star');
    await mkdir(join(data, 'packs'), { recursive: true });
    const database = await testDatabase([
      { service: 'devices', folder: devicesMigrations },
      { service: 'search', folder: searchMigrations },
    ]);
    closing.push(() => database.close());
    const analytics = await testAnalytics([{ service: 'search', folder: searchAnalytics }]);
    closing.push(() => analytics.close());
    const bus = await openPostgresBus({ db: database.db, pollMs: 100 });
    const relay = await startRelay({ db: database.db, bus, pollMs: 100 });
    closing.push(
      () => bus.close(),
      () => relay.stop(),
    );
    const audit = async () => undefined;
    const tenantKeys = createTenantKeys({ database: database.db, installationKey: randomBytes(32), audit });
    const objects = await openObjects(data, 'http://star.test', tenantKeys);
    const env = { ...process.env, DIPPER_DATA: join(data, 'mizar'), MIZAR_THREADS: '1', LOG_LEVEL: 'silent' };
    const mizar: KeptChild = await keepChild(
      { name: 'mizar', script: mizarProgram, env: { ...env, MIZAR_PACK: await copyOfDemoPack(folder, own) } },
      log,
    );
    closing.push(() => mizar.stop());
    // As the supervisor, without keys.
    const pool = aPool({ folder: join(data, 'packs'), objects: await openObjects(data, 'http://star.test'), env });
    const address = `unix:${join(folder, 'packs.sock')}`;
    const server = await serveInside(address, [packsGrpcService(pool)]);
    closing.push(
      () => pool.stop(),
      () => server.forceShutdown(),
    );
    const embedders = connectPacks(connectMizar(`unix:${String(mizar.ready().socket)}`), address);
    closing.push(() => embedders.close());
    const tokens = createTokenIssuer({ ...realm, key: await loadSigningKey(join(folder, 'key.json')) });
    const devices = createDevices({
      db: database.db,
      bus,
      writeEvent,
      writeEvents,
      firstTime,
      firstTimes,
      log,
      secretKey: randomBytes(32),
      signCrops: async () => [],
      holdArea: async () => undefined,
      areasVisibleTo: async () => 'all',
      objects,
      audit,
      expiryEveryMs: 100,
      hub: { port: 0 },
    });
    await devices.start();
    closing.push(() => devices.stop());
    let star: StarWithPacks;
    const search = createSearch({
      database: database.db,
      analytics: analytics.analytics,
      objects,
      tenantKeys,
      writeEvent,
      writeEvents,
      firstTime,
      firstTimes,
      embedders,
      audit,
      areasVisibleTo: async () => 'all',
      edges: {
        listEdges: async () => [],
        listCameras: async (tenantId, ids) => star.camerasOf(tenantId, ids),
        askEdge: async (tenantId, _edge, _method, params) => {
          star.asked.push([tenantId, JSON.parse(params).packId]);
          return JSON.stringify({ indexedMs: 0, toSearchMs: 3_600_000, seconds: 1, recorders: [], measured: true });
        },
      },
      // Nothing is old enough to expire here.
      retention: { tenants: async () => [], daysOf: () => Promise.reject(new Error('nobody’s')), record: async () => {} },
      settings: { embedEveryMs: 100, embedBackoffMs: 50, readyPacksEveryMs: 100 },
    });
    @Module({})
    class StarModule {}
    const imports = [DevicesModule.forRoot(devices), SearchModule.forRoot(search)];
    const app = await createHttpApp(
      { module: StarModule, imports },
      { verifier: createTokenVerifier({ ...realm, keys: tokens.jwks }), objects, closeWithinMs: 500 },
    );
    connectBus(app.nest, { bus, group: 'all', maxAttempts: 2, retryDelayMs: 5 });
    closing.push(() => app.close());
    star = new StarWithPacks(folder, database, objects, pool, search, devices, async (caller) => (await tokens.issue(caller)).token);
    star.closing.push(...closing);
    await app.nest.startAllMicroservices();
    star.base = await app.listen();
    return star;
  }

  async tenant(): Promise<Tenant> {
    const tenant = new Tenant(this);
    tenant.token = await this.issue(tenant.caller);
    this.cameras.set(tenant.cameraId, tenant.caller.tenantId);
    return tenant;
  }

  camerasOf(tenantId: string, ids: readonly string[]) {
    return ids
      .filter((id) => this.cameras.get(id) === tenantId)
      .map((cameraId) => ({
        cameraId,
        edgeId: tenantId,
        recorderId: tenantId,
        channel: 1,
        name: 'Gate',
        areaId: tenantId,
        online: true,
        edgeName: 'East',
        edgeOnline: true,
      }));
  }

  async close(): Promise<void> {
    for (const close of this.closing.reverse()) await close();
  }
}

export async function until<T>(what: string, look: () => Promise<T | undefined | false> | T | undefined | false, looks = 1200): Promise<T> {
  for (let i = 0; i < looks; i++) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`never happened: ${what}`);
}
