/**
 * One Star that only has search: real PostgreSQL, ClickHouse, bus, objects on disk, HTTP and gRPC. Simulated are what
 * stands behind ports: the boxes (EdgeDirectory) and, over real gRPC, the face model, which goes by the colour of a picture.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import {
  type AuditEntry,
  type Bus,
  type BusRecord,
  type Caller,
  createTenantKeys,
  createTokenIssuer,
  createTokenVerifier,
  type DiskObjects,
  firstTime,
  firstTimes,
  loadSigningKey,
  openDiskObjects,
  openPostgresBus,
  type Relay,
  type Removal,
  type RetentionDays,
  type Subscription,
  startRelay,
  type TenantKeys,
  type TokenIssuer,
  writeEvent,
  writeEvents,
} from '@star/platform';
import { connectBus, createHttpApp, type HttpApp } from '@star/platform/nest';
import { type TestAnalytics, type TestDatabase, testAnalytics, testDatabase } from '@star/platform/test-kit';
import { type devices, mizar, type Permission, permissionsOf, type Topic } from '@stardipper/proto';
import sharp from 'sharp';
import {
  connectMizar,
  createSearch,
  type EdgeDirectory,
  type Embedders,
  SearchModule,
  type SearchOptions,
  type SearchService,
  searchAnalytics,
  searchMigrations,
} from '../../src';

export const packId = 'test-pack';
/** Of a replica in another process as well. */
export const installationKey = Buffer.alloc(32, 'star');
const realm = { issuer: 'http://star.test', audience: 'star' };

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at with toMatchObject
  readonly body: any;
}

export interface World {
  readonly search: SearchService;
  readonly options: SearchOptions;
  readonly database: TestDatabase;
  readonly analytics: TestAnalytics;
  readonly objects: DiskObjects;
  readonly tenantKeys: TenantKeys;
  /** Where photos lie. */
  readonly folder: string;
  readonly bus: Bus;
  readonly base: string;
  readonly audit: AuditEntry[];
  readonly published: BusRecord[];
  /** Days by tenant; who is not in it keeps everything for ten years. */
  readonly kept: Map<string, Partial<RetentionDays>>;
  readonly removals: Removal[];
  /** Permissions held on areas only, by user. */
  readonly grants: Map<string, ReadonlyMap<Permission, ReadonlySet<string>>>;
  readonly cameras: (devices.CameraRef & { tenantId: string })[];
  /** What the boxes answer to estimateTask; rejects for a box that is away. */
  askEdge: EdgeDirectory['askEdge'];
  /** Where the packs assigned to tenants run. */
  of: Embedders['of'];
  clock: { offsetMs: number };
  tokenFor(caller: Caller): Promise<string>;
  request(token: string | undefined, method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  close(): Promise<void>;
}

/** @param mizar address of a real Mizar, instead of the model's stand-in */
export async function startWorld(settings: SearchOptions['settings'] = {}, mizar?: string): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'star-search-'));
  const database = await testDatabase([{ service: 'search', folder: searchMigrations }]);
  const analytics = await testAnalytics([{ service: 'search', folder: searchAnalytics }]);
  const audited: AuditEntry[] = [];
  const audit = async (_: unknown, entry: AuditEntry) => void audited.push(entry);
  const tenantKeys = createTenantKeys({ database: database.db, installationKey, audit });
  const objects = await openDiskObjects({
    folder: join(folder, 'objects'),
    secret: 's'.repeat(32),
    publicUrl: 'http://star.test',
    sealing: tenantKeys,
  });
  const tokens: TokenIssuer = createTokenIssuer({ ...realm, key: await loadSigningKey(join(folder, 'key.json')) });
  const model = await startModel();
  const embedder = connectMizar(mizar ?? model.address);
  const bus = await openPostgresBus({ db: database.db, pollMs: 200 });
  const relay: Relay = await startRelay({ db: database.db, bus, pollMs: 200 });
  const world = {
    audit: audited,
    published: [] as BusRecord[],
    kept: new Map() as World['kept'],
    removals: [] as Removal[],
    grants: new Map() as World['grants'],
    cameras: [] as World['cameras'],
    clock: { offsetMs: 0 },
    askEdge: (async () => JSON.stringify(idleEstimate)) as EdgeDirectory['askEdge'],
    of: (() => {
      throw new Error('no pack is assigned in this world');
    }) as Embedders['of'],
  };
  const options: SearchOptions = {
    database: database.db,
    analytics: analytics.analytics,
    objects,
    tenantKeys,
    writeEvent,
    writeEvents,
    firstTime,
    firstTimes,
    embedders: { own: embedder, of: (archive) => world.of(archive) },
    audit,
    areasVisibleTo: async (caller, permission) =>
      permissionsOf(caller.roles).has(permission) ? 'all' : (world.grants.get(caller.userId)?.get(permission) ?? new Set()),
    retention: {
      tenants: async () => [...world.kept.keys()],
      daysOf: async (tenantId) => ({ ...tenYears, ...world.kept.get(tenantId) }),
      record: async (_, removal) => void (removal.items > 0 && world.removals.push(removal)),
    },
    edges: {
      listCameras: async (tenantId, ids) =>
        world.cameras.filter((camera) => camera.tenantId === tenantId && (ids.length === 0 || ids.includes(camera.cameraId))),
      listEdges: async (tenantId) => {
        const own = world.cameras.filter((camera) => camera.tenantId === tenantId);
        return [...new Map(own.map(({ edgeId, edgeName }) => [edgeId, { edgeId, edgeName }])).values()];
      },
      askEdge: (...ask) => world.askEdge(...ask),
    },
    now: () => new Date(Date.now() + world.clock.offsetMs),
    settings: { estimateTimeoutMs: 300, ...settings },
  };
  const search = createSearch(options);
  const app: HttpApp = await createHttpApp(SearchModule.forRoot(search), {
    verifier: createTokenVerifier({ ...realm, keys: tokens.jwks }),
    objects,
    areasVisibleTo: options.areasVisibleTo,
    closeWithinMs: 500,
  });
  connectBus(app.nest, { bus, group: 'search', maxAttempts: 2, retryDelayMs: 5 });
  const listener: Subscription = await bus.subscribe({
    group: 'test',
    topics: ['search.task.requested.v1', 'search.task.accepted.v1', 'search.matched.v1'],
    handle: async (record) => void world.published.push(record),
  });
  await app.nest.startAllMicroservices();
  const base = await app.listen();
  return Object.assign(world, {
    folder,
    search,
    options,
    database,
    analytics,
    objects,
    tenantKeys,
    bus,
    base,
    tokenFor: async (caller: Caller) => (await tokens.issue(caller)).token,
    request: (token: string | undefined, method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
      request(base, token, method, path, body, headers),
    close: async () => {
      await listener.stop();
      await app.close();
      await relay.stop();
      await bus.close();
      embedder.close();
      model.close();
      await analytics.close();
      await database.close();
      await rm(folder, { recursive: true, force: true });
    },
  }) as World;
}

const tenYears: RetentionDays = { version: 0, matches: 3650, crops: 3650, photos: 3650, telemetry: 3650, audit: 3650 };

export const idleEstimate = { indexedMs: 600_000, toSearchMs: 3_000_000, seconds: 42, recorders: [], measured: true };

async function request(
  base: string,
  token: string | undefined,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const raw = Buffer.isBuffer(body);
  const answer = await fetch(`${base}/api/v1${path}`, {
    method,
    headers: {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && !raw && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: raw ? new Uint8Array(body) : JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text === '' ? undefined : JSON.parse(text) };
}

export interface Operator {
  readonly caller: Caller;
  readonly token: string;
  readonly edgeId: string;
  readonly cameraIds: string[];
}

/** A tenant with one operator and one box that has `count` cameras. */
export async function anOperator(world: World, count = 2): Promise<Operator> {
  const caller: Caller = { tenantId: randomUUID(), userId: randomUUID(), username: 'op', roles: ['operator'] };
  const { edgeId, cameraIds } = addBox(world, caller.tenantId, count);
  return { caller, token: await world.tokenFor(caller), edgeId, cameraIds };
}

export function addBox(
  world: World,
  tenantId: string,
  count: number,
  online = true,
): { edgeId: string; areaId: string; cameraIds: string[] } {
  const edgeId = randomUUID();
  const recorderId = randomUUID();
  const areaId = randomUUID();
  const cameraIds = Array.from({ length: count }, () => randomUUID());
  for (const [i, cameraId] of cameraIds.entries()) {
    world.cameras.push({
      tenantId,
      cameraId,
      edgeId,
      recorderId,
      channel: i + 1,
      name: `Camera ${i + 1}`,
      areaId,
      online,
      edgeName: 'East Gate',
      edgeOnline: online,
    });
  }
  return { edgeId, areaId, cameraIds };
}

/** The model's stand-in finds one face in grey, none in blue, two in green, a tiny one in red. */
export const picture = (colour: string, width = 64, height = 64, format: 'jpeg' | 'png' | 'webp' | 'gif' = 'jpeg'): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background: colour } })
    .toFormat(format)
    .toBuffer();

export async function aPerson(world: World, operator: Operator, name = 'Wang Wei'): Promise<string> {
  const { body } = await world.request(operator.token, 'POST', '/people', { name });
  const added = await world.request(operator.token, 'POST', `/people/${body.id}/photos`, await picture('grey'), {
    'content-type': 'image/jpeg',
  });
  if (added.status !== 201) throw new Error(JSON.stringify(added.body));
  return body.id as string;
}

/** A search's purpose and an hour that ended two hours ago. */
export const anHour = () => {
  const to = Math.floor(Date.now() / 60_000) * 60_000 - 7_200_000;
  return { purpose: 'a lost child', from: new Date(to - 3_600_000).toISOString(), to: new Date(to).toISOString() };
};

export async function startModel(): Promise<{ address: string; close(): void }> {
  const server = new Server({ 'grpc.max_receive_message_length': 32 * 1024 * 1024 });
  const refuse = (code: string) => {
    const metadata = new Metadata();
    metadata.set('error-code', code);
    return { code: status.INVALID_ARGUMENT, details: 'inside text that must not leak', metadata };
  };
  const unimplemented = (_: unknown, done: (error: object) => void) => done({ code: status.UNIMPLEMENTED });
  server.addService(mizar.MizarServiceService, {
    getPack: (_: unknown, done: (error: null, answer: mizar.GetPackResponse) => void) =>
      done(null, { packId, dimension: 4, minFacePx: 40, defaultThreshold: 0.5, licence: 'test', contentSha256: '' }),
    embedPhoto: (call: { request: mizar.EmbedPhotoRequest }, done: (error: object | null, answer?: mizar.EmbedPhotoResponse) => void) => {
      void sharp(Buffer.from(call.request.image))
        .stats()
        .then(({ channels }) => {
          const [r = 0, g = 0, b = 0] = channels.map((channel) => channel.mean);
          if (b > r + 50 && b > g + 50) return done(refuse('photo.no_face'));
          if (g > r + 50 && g > b + 50) return done(refuse('photo.several_faces'));
          if (r > g + 50 && r > b + 50) return done(refuse('photo.face_too_small'));
          const embedding = Buffer.from(Float32Array.of(0.5, 0.5, 0.5, 0.5).buffer);
          done(null, {
            packId: call.request.packId,
            embedding,
            box: { x: 1, y: 2, width: 30, height: 40 },
            quality: 0.75,
            crop: Buffer.alloc(0),
          });
        });
    },
    indexSegment: unimplemented,
    getCoverage: unimplemented,
    matchSightings: unimplemented,
    readCrop: unimplemented,
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  return { address: `127.0.0.1:${port}`, close: () => server.forceShutdown() };
}

export async function until<T>(what: string, look: () => Promise<T | undefined | false> | T | undefined | false, looks = 300): Promise<T> {
  for (let i = 0; i < looks; i++) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    await sleep(50);
  }
  throw new Error(`never happened: ${what}`);
}

/** A record as a consumer gets it. */
export const aRecord = <T extends Topic>(
  topic: T,
  tenantId: string,
  message: BusRecord<T>['message'],
  id: string = randomUUID(),
): BusRecord<T> => ({
  topic,
  key: tenantId,
  id,
  tenantId,
  occurredAt: new Date(),
  message,
});
