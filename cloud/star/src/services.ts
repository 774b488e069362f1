import { type DynamicModule, Module } from '@nestjs/common';
import { countOnAreas, createDevices, type Devices, DevicesModule, devicesGrpcService, moveOnAreas } from '@star/devices';
import { type AreasVisibleTo, firstTime, firstTimes, type LimitsOf, SecretBox, writeEvent, writeEvents } from '@star/platform';
import type { Admit } from '@star/platform/nest';
import { connectMizar, createSearch, type EdgeDirectory, type Embedders, SearchModule } from '@star/search';
import {
  AuditModule,
  admitCaller,
  createAudit,
  createRetention,
  createTenantLife,
  createTenants,
  firstArea,
  holdArea,
  recordAudit,
  requireStorage,
  settingsOf,
  type TenantLife,
  TenantLifeModule,
  type Tenants,
  TenantsModule,
} from '@star/tenants';
import { objectKeys } from '@stardipper/proto';
import type { Base } from './base';
import { connectPacks } from './connect-packs';
import { connectDirectory } from './directory';
import { auditHeadsFolder } from './secrets';
import { serveInside } from './serve-inside';
import type { Role } from './settings';

/** What one application process runs. */
export interface Services {
  readonly module: DynamicModule;
  readonly areasVisibleTo: AreasVisibleTo;
  readonly admit: Admit;
  /** Before the HTTP application and its consumers: the platform's tenant, the hub, internal gRPC. Answers what others need to know. */
  start(): Promise<Record<string, unknown>>;
  /** While they run: opens the first tenant where there is none yet, and resolves when it is open. */
  openFirstTenant(): Promise<void>;
  /** After the HTTP application and its consumers have stopped. */
  stop(): Promise<void>;
}

@Module({})
class StarModule {}

/** Puts together the services of a role; `all` is every one of them in this process. */
export function composeServices(base: Base, role: Role): Services {
  const runs = (name: Role) => role === 'all' || role === name;
  const modules: DynamicModule[] = [];
  const starts: (() => Promise<Record<string, unknown>>)[] = [];
  const stops: (() => Promise<void>)[] = [];
  const tenants = createTenants({
    database: base.database,
    identity: base.identity.admin,
    endTokens: base.identity.endTokens,
    // In every shape: the services share the database, and a change of the tree is one transaction of it.
    hanging: [{ count: countOnAreas, moveAll: moveOnAreas }],
  });
  const ended = new AbortController();
  starts.push(async () => {
    await tenants.followAreas(ended.signal);
    return {};
  });
  stops.push(async () => ended.abort());
  const life = runs('tenants') ? composeTenantLife(base) : undefined;
  if (life) {
    const audit = composeAudit(base);
    modules.push(TenantsModule.forRoot(tenants), AuditModule.forRoot(audit), TenantLifeModule.forRoot(life));
    const auditing = new AbortController();
    const audited = audit.run(auditing.signal);
    stops.push(() => {
      auditing.abort();
      return audited;
    });
    starts.push(() => openPlatformTenant(base, life));
  }
  const devices = runs('devices') ? composeDevices(base, tenants) : undefined;
  if (devices) {
    modules.push(DevicesModule.forRoot(devices));
    starts.push(async () => ({ mqttPort: await devices.start() }));
    stops.push(() => devices.stop());
    const address = base.settings.STAR_DEVICES_ADDRESS;
    if (address)
      starts.push(async () => {
        const server = await serveInside(address, [devicesGrpcService(devices)]);
        stops.push(async () => server.forceShutdown());
        return {};
      });
  }
  if (runs('search')) {
    const directory = devices ? inProcess(devices) : connectDirectory(base.settings.STAR_DEVICES_ADDRESS ?? '');
    const embedders = connectPacks(connectMizar(base.settings.STAR_MIZAR), base.settings.STAR_PACKS_ADDRESS);
    stops.push(async () => {
      embedders.close();
      directory.close();
    });
    modules.push(SearchModule.forRoot(composeSearch(base, tenants, directory, embedders)));
  }
  return {
    areasVisibleTo: tenants.areasVisibleTo,
    module: { module: StarModule, imports: modules },
    admit: admitCaller(base),
    openFirstTenant: async () => life && openFirstTenant(base, life),
    start: async () => Object.assign({}, ...(await Promise.all(starts.map((begin) => begin())))) as Record<string, unknown>,
    stop: async () => {
      await Promise.all(stops.map((end) => end()));
    },
  };
}

async function openPlatformTenant({ settings }: Base, life: TenantLife): Promise<Record<string, unknown>> {
  const { STAR_PLATFORM_ADMIN: username, STAR_PLATFORM_PASSWORD: password } = settings;
  if (username && password) await life.openPlatformTenant({ username, password });
  return {};
}

async function openFirstTenant({ settings }: Base, life: TenantLife): Promise<void> {
  const { STAR_FIRST_TENANT: name, STAR_FIRST_ADMIN: username, STAR_FIRST_PASSWORD: password } = settings;
  if (name && username && password) await life.openFirstTenant({ name, admin: { username, displayName: username, password } });
}

const composeAudit = (base: Base) =>
  createAudit({
    database: base.database,
    objects: base.objects,
    key: base.auditKey,
    headsFolder: auditHeadsFolder(base.settings.STAR_DATA),
    log: base.log,
  });

const composeTenantLife = (base: Base): TenantLife =>
  createTenantLife({
    database: base.database,
    objects: base.objects,
    cache: base.cache,
    log: base.log,
    secrets: new SecretBox(base.credentialsKey),
    writeEvent,
    firstTime,
    audit: recordAudit,
    identity: base.identity.admin,
    areas: firstArea,
    eraseTenantKey: base.tenantKeys.eraseTenantKey,
    now: () => new Date(),
  });

const limitsFrom =
  (base: Base): LimitsOf =>
  async (tenantId) =>
    (await settingsOf(base)(tenantId)).settings.limits;

function composeDevices(base: Base, tenants: Tenants): Devices {
  return createDevices({
    db: base.database,
    bus: base.bus,
    writeEvent,
    firstTime,
    firstTimes,
    log: base.log,
    secretKey: base.credentialsKey,
    holdArea,
    areasVisibleTo: tenants.areasVisibleTo,
    writeEvents,
    objects: base.objects,
    audit: recordAudit,
    signCrops: (tenantId, edgeId, sightingIds) =>
      Promise.all(
        sightingIds.map(async (sightingId) => ({
          sightingId,
          url: await base.objects.signedUrl(tenantId, objectKeys.crop(tenantId, edgeId, sightingId), 'PUT', {
            expiresInS: 900,
            maxBytes: 1_000_000,
            contentType: 'image/jpeg',
          }),
        })),
      ),
    limitsOf: limitsFrom(base),
    requireStorage: requireStorage(base),
    retention: createRetention(base),
    rpcKeepDays: base.settings.STAR_RPC_KEEP_DAYS,
    hub: { host: base.settings.STAR_HOST, port: base.settings.STAR_MQTT_PORT },
  });
}

function composeSearch(base: Base, tenants: Tenants, edges: EdgeDirectory, embedders: Embedders) {
  return createSearch({
    database: base.database,
    analytics: base.analytics,
    objects: base.objects,
    tenantKeys: base.tenantKeys,
    writeEvent,
    writeEvents,
    firstTime,
    firstTimes,
    edges,
    embedders,
    audit: recordAudit,
    areasVisibleTo: tenants.areasVisibleTo,
    limitsOf: limitsFrom(base),
    requireStorage: requireStorage(base),
    retention: createRetention(base),
    // A box that has not measured itself yet samples its cameras before it answers.
    settings: { estimateTimeoutMs: 15_000 },
    onEmbedError: (error) => base.log.warn({ err: error }, 'packs cannot be made ready or photos embedded at the moment; tried again'),
    onSweepError: (error) => base.log.warn({ err: error }, 'a sweep failed and is tried again'),
  });
}

const inProcess = (devices: Devices): EdgeDirectory & { close(): void } => ({
  listCameras: (tenantId, cameraIds) => devices.listCameraRefs(tenantId, cameraIds),
  listEdges: (tenantId) => devices.listEdgeRefs(tenantId),
  askEdge: async (...question) => (await devices.askEdge(...question)).replyJson,
  close: () => undefined,
});
