/** The names on the wire. docs/reference/names.md is written from this file. */

import * as events from '../gen/events/v1/events';

/** Topic to the message its records carry. A topic that is not here cannot be published. */
export const topics = {
  'tenant.created.v1': events.TenantCreated,
  'tenant.updated.v1': events.TenantUpdated,
  'tenant.part.requested.v1': events.TenantPartRequested,
  'tenant.part.finished.v1': events.TenantPartFinished,
  'config.updated.v1': events.ConfigUpdated,
  'device.registered.v1': events.DeviceRegistered,
  'device.status.changed.v1': events.DeviceStatusChanged,
  'device.telemetry.v1': events.DeviceTelemetry,
  'device.rpc.finished.v1': events.DeviceRpcFinished,
  'device.recorder.reported.v1': events.DeviceRecorderReported,
  'device.software.changed.v1': events.DeviceSoftwareChanged,
  'software.assigned.v1': events.SoftwareAssigned,
  'search.task.requested.v1': events.SearchTaskRequested,
  'search.task.accepted.v1': events.SearchTaskAccepted,
  'search.progressed.v1': events.SearchProgressed,
  'search.matched.v1': events.SearchMatched,
} as const;

export type Topic = keyof typeof topics;
export type TopicMessage<T extends Topic> = ReturnType<(typeof topics)[T]['decode']>;

/** RPC methods Star may call on a box, and the agent that owns each. */
export const commandOwners = {
  createTask: 'merak',
  cancelTask: 'merak',
  estimateTask: 'merak',
  forgetPerson: 'merak',
} as const;

export type CommandMethod = keyof typeof commandOwners;

/** RPC methods a box may call on Star. */
export const deviceMethods = ['getCurrentTime', 'getSessionLimits', 'signCropUpload'] as const;

/** Prefix of the shared attribute that holds one recorder: `recorder.<recorderId>`. */
export const recorderAttributePrefix = 'recorder.';

/** Telemetry keys that carry a box's durable reports. */
export const reportKeys = { task: 'taskReport', recorder: 'recorderReport', health: 'healthReport' } as const;

/** ThingsBoard's limit on one MQTT payload, and so ours. */
export const maxPayloadBytes = 65_536;

/** What is left of it for the body of one report, beside topic, time and key. */
export const maxReportBytes = maxPayloadBytes - 256;

/** Object keys. Built by Star only; a box names a crop, never a path. */
export const objectKeys = {
  crop: (tenantId: string, edgeId: string, sightingId: string) => `${tenantId}/crops/${edgeId}/${sightingId}.jpg`,
  photo: (tenantId: string, personId: string, photoId: string) => `${tenantId}/people/${personId}/${photoId}`,
  software: (tenantId: string, packageId: string) => `${tenantId}/software/${packageId}.tar.gz`,
  /** The signed end of the tenant's audit chain, as of a day (`2026-11-21`). */
  auditHead: (tenantId: string, day: string) => `${tenantId}/audit/heads/${day}.jws`,
  /** Embeddings of a deleted person, until every box has forgotten them. */
  deletion: (tenantId: string, personId: string) => `${tenantId}/deletions/${personId}.json`,
  /** Made when the tenant is opened: whose the prefix is. */
  tenant: (tenantId: string) => `${tenantId}/tenant.json`,
  exported: (tenantId: string, jobId: string, name: string) => `${tenantId}/exports/${jobId}/${name}`,
  /** Of a whole tenant, with its photos and pictures, made of the parts beside it. */
  exportArchive: (tenantId: string, jobId: string) => `${tenantId}/exports/${jobId}/tenant.tar.gz`,
  query: (tenantId: string, searchId: string) => `${tenantId}/queries/${searchId}.json`,
};
