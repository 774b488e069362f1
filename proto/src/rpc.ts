/** Parameters and replies of the RPC methods, as JSON on the wire. Both ends validate with these. */

import { z } from 'zod';
import { span } from './spans';

const id = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[\w.:-]+$/);

/** 1 is the most urgent, 6 the least; 3 is what an operator's search gets. */
export const priority = z.int().min(1).max(6);

/** A name in object storage, too, so it has neither colons nor dots. */
export const sightingId = z.string().regex(/^[A-Za-z0-9][\w-]{0,63}$/);

export const taskCamera = z.object({ id, recorderId: id, channel: z.int().min(1).max(4096) });
export type TaskCamera = z.infer<typeof taskCamera>;

export const createTaskParams = z.strictObject({
  taskId: id,
  searchId: id,
  priority,
  /** Unix ms: an unfinished task ends as `expired` then, its rest reported as failed with `task_expired`. */
  expiresAt: z.int().positive(),
  range: span,
  cameras: z.array(taskCamera).min(1).max(256),
  packId: id,
  /** The embeddings are too large for an RPC: fetched after accepting, checked against the hash. */
  query: z.strictObject({ url: z.url().max(2048), sha256: z.string().regex(/^[0-9a-f]{64}$/), bytes: z.int().min(1).max(33_554_432) }),
});
export type CreateTaskParams = z.infer<typeof createTaskParams>;

export const taskError = z.object({ code: z.string(), params: z.record(z.string(), z.unknown()).optional() });
export type TaskError = z.infer<typeof taskError>;

export const createTaskReply = z.union([z.object({ accepted: z.literal(true), taskId: id }), z.object({ error: taskError })]);
export type CreateTaskReply = z.infer<typeof createTaskReply>;

export const cancelTaskParams = z.strictObject({ taskId: id });
export type CancelTaskParams = z.infer<typeof cancelTaskParams>;
/** Accepted also for a task that is unknown or has ended: cancelling may overtake creating. */
export const cancelTaskReply = createTaskReply;

export const estimateTaskParams = z.strictObject({
  range: span,
  cameras: z.array(taskCamera).min(1).max(256),
  packId: id,
});
export type EstimateTaskParams = z.infer<typeof estimateTaskParams>;

export const estimateTaskReply = z.union([
  z.object({
    /** Camera-milliseconds already in the face index: no video needed. */
    indexedMs: z.int(),
    /** Camera-milliseconds left to look at. */
    toSearchMs: z.int(),
    /** Expected wall-clock seconds on this box, behind what is queued already. */
    seconds: z.number(),
    recorders: z.array(
      z.object({ recorderId: id, reachable: z.boolean(), sessions: z.int(), maxSessions: z.int(), downloadBytes: z.int() }),
    ),
    /** False while the box has not yet measured itself on real footage of these recorders. */
    measured: z.boolean(),
  }),
  z.object({ error: taskError }),
]);
export type EstimateTaskReply = z.infer<typeof estimateTaskReply>;

/** What a createTask's query address holds. */
export const queryDocument = z.object({
  packId: id,
  threshold: z.number().min(0).max(1),
  persons: z
    .array(z.object({ id, embeddings: z.array(z.base64()).min(1).max(32) }))
    .min(1)
    .max(1000),
});
export type QueryDocument = z.infer<typeof queryDocument>;

/** What a box did to forget a person. Counts of calls that were repeated add up. */
export const forgetReceipt = z.object({
  personId: id,
  /** By the box's clock, Unix ms. */
  at: z.int(),
  /** Tasks that asked for the person and were ended or had their question removed. */
  tasks: z.int().min(0),
  /** Of those tasks, matches that went; also out of reports not sent yet. */
  matches: z.int().min(0),
  /** Faces in the box's index that were the person's by their embeddings; with their pictures. */
  sightings: z.int().min(0),
});
export type ForgetReceipt = z.infer<typeof forgetReceipt>;

export const forgetPersonParams = z.strictObject({
  personId: id,
  document: z.strictObject({ url: z.url().max(2048), sha256: z.string().regex(/^[0-9a-f]{64}$/), bytes: z.int().min(1).max(33_554_432) }),
});
export type ForgetPersonParams = z.infer<typeof forgetPersonParams>;

/** `accepted`: at work; asked again later it gives the receipt. */
export const forgetPersonReply = z.union([
  z.object({ receipt: forgetReceipt }),
  z.object({ accepted: z.literal(true) }),
  z.object({ error: taskError }),
]);
export type ForgetPersonReply = z.infer<typeof forgetPersonReply>;

/** By what a box finds the faces it has to forget. A pack that it never had is none of its business. */
export const forgetDocument = z.object({
  personId: id,
  packs: z.array(z.object({ packId: id, threshold: z.number().min(0).max(1), embeddings: z.array(z.base64()).min(1).max(64) })).max(64),
});
export type ForgetDocument = z.infer<typeof forgetDocument>;

/** How far an edge is with its software; the first two are Star's, the others the box reports. */
export const softwareStates = ['QUEUED', 'INITIATED', 'DOWNLOADING', 'DOWNLOADED', 'VERIFIED', 'UPDATING', 'UPDATED', 'FAILED'] as const;
export type SoftwareState = (typeof softwareStates)[number];

/** No package is larger: 600 MiB, a pack with several large models. */
export const maxSoftwareBytes = 629_145_600;
const softwareName = z.string().regex(/^[\w.:-]{1,64}$/);
/** The shared attributes `sw_*` of an edge that is to have a package; their absence means that it is to have none. */
export const softwareAttributes = z.object({
  /** Of a model pack: its id. */
  sw_title: softwareName,
  sw_version: softwareName,
  /** Bytes. */
  sw_size: z.int().min(1).max(maxSoftwareBytes),
  /** Lower-case hex. */
  sw_checksum: z.string().regex(/^[0-9a-f]{64}$/),
  sw_checksum_algorithm: z.literal('SHA256'),
  sw_tag: z.string().max(160).optional(),
});
export type SoftwareAttributes = z.infer<typeof softwareAttributes>;

/** Every key Star may set of them; `sw_url` never, since it keeps the packages itself. */
export const softwareAttributeKeys = Object.keys(softwareAttributes.shape) as readonly (keyof SoftwareAttributes)[];

/** Telemetry of a box about its software. `sw_error` is a stable code. */
export const softwareTelemetry = z.object({
  sw_state: z.enum(softwareStates).optional(),
  sw_error: z.string().optional(),
  current_sw_title: z.string().optional(),
  current_sw_version: z.string().optional(),
});
export type SoftwareTelemetry = z.infer<typeof softwareTelemetry>;

/** Device to Star: where to PUT the crops of these sightings. */
export const signCropUploadParams = z.strictObject({ sightingIds: z.array(sightingId).min(1).max(50) });
export const signCropUploadReply = z.object({ uploads: z.array(z.object({ sightingId, url: z.string() })) });
export type SignCropUploadReply = z.infer<typeof signCropUploadReply>;

/** The value of the shared attribute `recorder.<id>`. */
export const recorderConfig = z.object({
  id,
  kind: z.enum(['isapi']),
  baseUrl: z.url(),
  username: z.string().max(64),
  password: z.string().max(128),
  /** Download sessions this recorder can bear at once. */
  maxSessions: z.int().min(1).max(32).default(1),
  /** auto: compare clocks; local: `Z` means the recorder's wall clock; utc: it means UTC. */
  timeMode: z.enum(['auto', 'utc', 'local']).default('auto'),
  timeZone: z.string().default('Asia/Shanghai'),
});
export type RecorderConfig = z.infer<typeof recorderConfig>;
