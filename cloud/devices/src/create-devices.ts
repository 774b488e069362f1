import {
  type Audit,
  type Bus,
  type Database,
  doTenantPart,
  type FirstTime,
  type FirstTimes,
  type LimitsOf,
  type Log,
  limitsByDefault,
  type Objects,
  type RequireStorage,
  type Retention,
  SecretBox,
  type WriteEvent,
  type WriteEvents,
} from '@star/platform';
import type { AreasPort } from './areas';
import { setSharedAttributes } from './attributes/device-attributes';
import { changeCamera, readCameraRefs, readCameras } from './cameras/manage-cameras';
import { deleteCustomer, insertCustomer } from './customers/customer.store';
import { followTenant } from './customers/follow-tenant';
import { createDeviceHub } from './device-hub';
import { changeEdge, readEdge, readEdgeRefs, readEdgeRpcs, readEdges, removeEdge } from './edges/manage-edges';
import { issueProvisioningKey, readProvisioningKeys, readRefusedEdges, removeProvisioningKey } from './edges/manage-provisioning-keys';
import { defaultHubSettings, type HubSettings } from './hub/hub-settings';
import { assignSoftware, readAssignment, readEdgeSoftware, readEdgesSoftware, unassignSoftware } from './ota/assign-software';
import { readPackage, readPackages, removePackage } from './ota/manage-packages';
import { uploadPackage } from './ota/upload-package';
import { applyRecorderReport } from './recorders/apply-recorder-report';
import { addRecorder, changeRecorder, readRecorder, readRecorders, removeRecorder } from './recorders/manage-recorders';
import type { SignCrops } from './rpc/answer-call';
import { askEdge } from './rpc/ask-edge';
import { requestTasks } from './rpc/request-tasks';

export interface DevicesDeps extends AreasPort {
  readonly db: Database;
  readonly bus: Pick<Bus, 'append'>;
  readonly writeEvent: WriteEvent;
  readonly writeEvents: WriteEvents;
  readonly firstTime: FirstTime;
  readonly firstTimes: FirstTimes;
  readonly log: Log;
  /** 32 bytes; recorders' passwords are sealed with it. Without it none of them can be used again. */
  readonly secretKey: Buffer;
  readonly signCrops: SignCrops;
  /** The same for every tenant unless told. */
  readonly limitsOf?: LimitsOf;
  /** Without it there is room for everything. */
  readonly requireStorage?: RequireStorage;
  /** Packages of software are in it. */
  readonly objects: Pick<Objects, 'put' | 'delete' | 'getRange'>;
  readonly audit: Audit;
  readonly hub?: Partial<HubSettings>;
  /** 10 s unless told, as ThingsBoard. */
  readonly ackTimeoutMs?: number;
  /** 10 s unless told. */
  readonly leaseMs?: number;
  /** 1 s unless told. */
  readonly expiryEveryMs?: number;
  /** Without it nothing that boxes sent expires. */
  readonly retention?: Retention;
  /** How long calls that have ended can be looked at; 30 days unless told. */
  readonly rpcKeepDays?: number;
  /** An hour unless told. */
  readonly upkeepEveryMs?: number;
}

/**
 * Edges, recorders, cameras, and the hub the edges connect to. Nothing runs before `start`; the use cases that only
 * need the database work without it.
 */
export function createDevices(deps: DevicesDeps) {
  const secrets = new SecretBox(deps.secretKey);
  const { db, writeEvent, writeEvents, firstTime, log, holdArea, areasVisibleTo, audit } = deps;
  const limitsOf = deps.limitsOf ?? limitsByDefault;
  const hub = createDeviceHub({
    ...deps,
    limitsOf,
    secrets,
    settings: { ...defaultHubSettings, ...deps.hub },
    ackTimeoutMs: deps.ackTimeoutMs ?? 10_000,
    leaseMs: deps.leaseMs ?? 10_000,
    expiryEveryMs: deps.expiryEveryMs ?? 1000,
    rpcKeepDays: deps.rpcKeepDays ?? 30,
    upkeepEveryMs: deps.upkeepEveryMs ?? 3_600_000,
  });
  const recorders = { db, secrets, audit, areasVisibleTo };
  const edges = { db, writeEvents, audit, holdArea, areasVisibleTo };
  return {
    /** Listens for devices; answers the MQTT port. */
    start: hub.start,
    stop: hub.stop,
    abandon: hub.abandon,
    sessionCount: hub.sessionCount,
    requestTasks: requestTasks({ ...deps, dispatcher: hub.dispatcher, connectedHere: hub.connectedHere }),
    applyRecorderReport: applyRecorderReport({ db, firstTime, log, limitsOf }),
    followTenant: followTenant({ db, firstTime }),
    doTenantPart: doTenantPart({
      database: db,
      objects: deps.objects,
      writeEvent,
      firstTime,
      service: 'devices',
      prepare: async (tx, tenantId, name) => void (await insertCustomer(tx, tenantId, name)),
      discard: async (tx, tenantId) => void (await deleteCustomer(tx, tenantId)),
    }),
    askEdge: askEdge({ db, dispatcher: hub.dispatcher, answers: hub.answers }),
    listCameraRefs: readCameraRefs({ db }),
    setSharedAttributes: setSharedAttributes({ db }),
    issueProvisioningKey: issueProvisioningKey(deps),
    readProvisioningKeys: readProvisioningKeys(deps),
    readRefusedEdges: readRefusedEdges(deps),
    removeProvisioningKey: removeProvisioningKey(deps),
    readEdges: readEdges(edges),
    listEdgeRefs: readEdgeRefs({ db }),
    readEdge: readEdge(edges),
    changeEdge: changeEdge(edges),
    removeEdge: removeEdge(edges),
    readEdgeRpcs: readEdgeRpcs(edges),
    addRecorder: addRecorder(recorders),
    readRecorder: readRecorder(recorders),
    readRecorders: readRecorders(recorders),
    changeRecorder: changeRecorder(recorders),
    removeRecorder: removeRecorder(recorders),
    readCameras: readCameras(edges),
    changeCamera: changeCamera(edges),
    uploadPackage: uploadPackage(deps),
    readPackages: readPackages(deps),
    readPackage: readPackage(deps),
    removePackage: removePackage(deps),
    assignSoftware: assignSoftware(deps),
    unassignSoftware: unassignSoftware(deps),
    readAssignment: readAssignment(deps),
    readEdgesSoftware: readEdgesSoftware(deps),
    readEdgeSoftware: readEdgeSoftware(deps),
  };
}

export type Devices = ReturnType<typeof createDevices>;
