/** Star's REST resources under /api/v1: the server validates with these, the console is typed by them. */

import { z } from 'zod';
import { taskStates } from './reports';
import { approval } from './rest/approvals';
import { id, time } from './rest/scalars';
import { priority, softwareAttributes, softwareStates } from './rpc';
import { coverageKinds } from './spans';

export { uuid } from './rest/scalars';

/** RFC 9457, plus a stable `code` to translate by. `errors` points at fields by JSON pointer. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  params: z.record(z.string(), z.unknown()),
  traceId: z.string(),
  errors: z.array(z.object({ pointer: z.string(), code: z.string(), params: z.record(z.string(), z.unknown()) })).optional(),
});
export type Problem = z.infer<typeof problem>;

/** Shown once when made: what a box needs to register itself into one area. */
export const provisioningKey = z.object({ id, areaId: id, key: z.string(), secret: z.string().optional(), createdAt: time });
export type ProvisioningKey = z.infer<typeof provisioningKey>;

export const edge = z.object({
  id,
  name: z.string(),
  areaId: id,
  online: z.boolean(),
  lastSeenAt: time.nullable(),
  createdAt: time,
});
export type Edge = z.infer<typeof edge>;

export const createRecorder = z.strictObject({
  name: z.string().trim().min(1).max(120),
  kind: z.enum(['isapi']).default('isapi'),
  baseUrl: z.url().max(512),
  username: z.string().min(1).max(64),
  password: z.string().min(1).max(128),
  maxSessions: z.int().min(1).max(32).default(1),
  timeMode: z.enum(['auto', 'utc', 'local']).default('auto'),
  timeZone: z.string().max(64).default('Asia/Shanghai'),
});
export const recorder = z.object({
  id,
  edgeId: id,
  name: z.string(),
  kind: z.string(),
  baseUrl: z.string(),
  username: z.string(),
  maxSessions: z.int(),
  reachable: z.boolean().nullable(),
  errorCode: z.string().nullable(),
  clockOffsetMs: z.int().nullable(),
  model: z.string().nullable(),
  checkedAt: time.nullable(),
  /** Channels that became no cameras because the tenant has as many as it may have. */
  camerasRefused: z.int(),
});
export type Recorder = z.infer<typeof recorder>;

export const camera = z.object({
  id,
  edgeId: id,
  recorderId: id,
  /** Its own, or else its edge's. */
  areaId: id,
  /** It is set to a building of its own and does not follow its edge. */
  ownArea: z.boolean(),
  channel: z.int(),
  name: z.string(),
  online: z.boolean(),
});
export type Camera = z.infer<typeof camera>;

export const createPerson = z.strictObject({ name: z.string().trim().min(1).max(120), note: z.string().max(2000).default('') });
export const photoStates = ['embedded', 'waiting', 'refused'] as const;
export const photo = z.object({
  id,
  url: z.string(),
  width: z.int(),
  height: z.int(),
  quality: z.number(),
  facePx: z.int(),
  /** What the model pack in use makes of it; a person is searched for by the photos that are embedded. */
  state: z.enum(photoStates),
  /** Why it is refused, or why it still waits after it was tried. */
  refusal: z.object({ code: z.string(), params: z.record(z.string(), z.unknown()) }).nullable(),
  createdAt: time,
});
/** `photosExpiredAt`: when photos of the person were last removed because they were past their time. */
export const person = z.object({
  id,
  name: z.string(),
  note: z.string(),
  photos: z.array(photo),
  photosExpiredAt: time.nullable(),
  createdAt: time,
});
export type Person = z.infer<typeof person>;

/**
 * The model pack that Star embeds photos with, and how far the caller's photos have come with it. After a change they
 * are embedded again in the background; whoever still waits is refused to searches with `person.not_embedded`.
 */
export const packInUse = z.object({
  /** What the tenant's people are embedded and searched with; null until Star's Mizar has been heard for the first time. */
  pack: z
    .object({
      packId: z.string(),
      since: time,
      /** `assigned` to the tenant, or the `installation`'s own. */
      by: z.enum(['assigned', 'installation']),
    })
    .nullable(),
  /** The package assigned to the tenant and what has become of it here; null when none is. */
  assignment: z
    .object({
      packageId: id,
      title: z.string(),
      version: z.string(),
      /** Only when it is `in_use` is `pack` the one that was assigned; until then the last good one is. */
      state: z.enum(['preparing', 'in_use', 'failed']),
      /** Why it failed, or why preparing it takes so long. */
      error: z.object({ code: z.string(), params: z.record(z.string(), z.unknown()) }).nullable(),
    })
    .nullable(),
  photos: z.object({ embedded: z.int(), waiting: z.int(), refused: z.int() }),
  /** People with photos: ready to be searched for, waiting, or with every photo refused. */
  people: z.object({ ready: z.int(), waiting: z.int(), refused: z.int() }),
  /** Why photos are refused, most frequent first. */
  refusals: z.array(z.object({ code: z.string(), photos: z.int() })),
});
export type PackInUse = z.infer<typeof packInUse>;

/**
 * How well the pack in use tells the caller's own people apart. The lists count cosine similarities in steps of a
 * hundredth from -1 to 1: 200 numbers, the last with 1 itself.
 */
export const calibration = z.object({
  packId: z.string(),
  defaultThreshold: z.number(),
  /** Whose embeddings were compared. */
  people: z.int(),
  photos: z.int(),
  /** The library is too large to compare everybody: people chosen evenly stand for it. */
  sampled: z.boolean(),
  /** Pairs of photos of one person. */
  samePerson: z.array(z.int()),
  /** Pairs of photos of two people. */
  differentPeople: z.array(z.int()),
  /** The latest judged matches of searches with this pack. */
  confirmed: z.array(z.int()),
  rejected: z.array(z.int()),
});
export type Calibration = z.infer<typeof calibration>;

export const createSearch = z.strictObject({
  name: z.string().trim().max(120).default(''),
  /** Why: kept in the audit log, read by who approves. */
  purpose: z.string().trim().min(1).max(500),
  personIds: z.array(id).min(1).max(100),
  cameraIds: z.array(id).min(1).max(4096),
  from: time,
  to: time,
  /** Cosine similarity, 0 to 1; absent: what the pack recommends. */
  threshold: z.number().min(0).max(1).optional(),
  priority: priority.default(3),
});
export type CreateSearch = z.infer<typeof createSearch>;

export const edgeEstimate = z.object({
  edgeId: id,
  edgeName: z.string(),
  /** False: the box did not answer; its figures are then unknown and left out of the sums. */
  answered: z.boolean(),
  cameraSeconds: z.number(),
  indexedSeconds: z.number(),
  expectedSeconds: z.number(),
  measured: z.boolean(),
  recorders: z.array(
    z.object({ recorderId: z.string(), reachable: z.boolean(), sessions: z.int(), maxSessions: z.int(), downloadBytes: z.int() }),
  ),
});
export const estimate = z.object({
  cameraHours: z.number(),
  indexedHours: z.number(),
  /** Boxes work at the same time, so this is the slowest one's, and what starting and reporting take beside that. */
  expectedSeconds: z.number(),
  /** Decimal text. */
  price: z.object({ amount: z.string(), currency: z.string() }),
  edges: z.array(edgeEstimate),
});
export type Estimate = z.infer<typeof estimate>;

export const searchStates = ['draft', 'awaiting_approval', 'running', 'finished', 'cancelled', 'failed', 'refused'] as const;

export const coverageTotals = z.object({
  searchedSeconds: z.number(),
  indexedSeconds: z.number(),
  noFootageSeconds: z.number(),
  failedSeconds: z.number(),
  pendingSeconds: z.number(),
});
export type CoverageTotals = z.infer<typeof coverageTotals>;

export const searchTask = z.object({
  id,
  edgeId: id,
  edgeName: z.string(),
  state: z.enum(['requested', ...taskStates]),
  rangeSeconds: z.number(),
  doneSeconds: z.number(),
  matches: z.int(),
  keyframesDecoded: z.int(),
  downloadedBytes: z.int(),
  segmentsFailed: z.int(),
  acceptMs: z.number().nullable(),
  error: z.object({ code: z.string(), params: z.record(z.string(), z.unknown()) }).nullable(),
});
export type SearchTask = z.infer<typeof searchTask>;

export const search = z.object({
  id,
  name: z.string(),
  purpose: z.string(),
  state: z.enum(searchStates),
  /** null: none was asked for. */
  approval: approval.nullable(),
  personIds: z.array(id),
  cameraIds: z.array(id),
  from: time,
  to: time,
  threshold: z.number(),
  priority,
  packId: z.string(),
  estimate: estimate.nullable(),
  tasks: z.array(searchTask),
  coverage: coverageTotals,
  matches: z.int(),
  /** How many of what was found is gone because it was past its time. */
  matchesExpired: z.int(),
  createdAt: time,
  startedAt: time.nullable(),
  finishedAt: time.nullable(),
});
export type Search = z.infer<typeof search>;

export const verdicts = ['unreviewed', 'confirmed', 'rejected'] as const;

export const match = z.object({
  /** `<sightingId>:<personId>` */
  id: z.string(),
  searchId: id,
  personId: id,
  cameraId: id,
  edgeId: id,
  at: time,
  score: z.number(),
  quality: z.number(),
  box: z.tuple([z.number(), z.number(), z.number(), z.number()]),
  frame: z.tuple([z.int(), z.int()]),
  /** Signed and short-lived; null until the box has uploaded it, and once it has expired. */
  cropUrl: z.string().nullable(),
  /** The picture is past its time: there is none any more. */
  cropExpired: z.boolean(),
  verdict: z.enum(verdicts),
});
export type Match = z.infer<typeof match>;

export const setVerdict = z.strictObject({ verdict: z.enum(verdicts) });

export const coverageRow = z.object({
  cameraId: id,
  from: time,
  to: time,
  kind: z.enum(coverageKinds),
  reason: z.string().nullable(),
  samplingMs: z.int().nullable(),
});
export type CoverageRow = z.infer<typeof coverageRow>;

/** Lists are `{items, nextCursor}`; pass `cursor` to go on. A cursor belongs to one list of one tenant. */
export const page = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), nextCursor: z.string().nullable() });
export type Page<T> = { items: T[]; nextCursor: string | null };

/** Server-sent events of one search: `event: search` with a Search, `event: match` with a Match. */
export const searchEvents = ['search', 'match'] as const;

export const createProvisioningKey = z.strictObject({ areaId: id });
const name = z.string().trim().min(1).max(120);
/** What is left out stays as it is. */
export const patchEdge = z.strictObject({ name: name.optional(), areaId: id.optional() });
/** `areaId` null: where its edge is. */
export const patchCamera = z.strictObject({ name: name.optional(), areaId: id.nullable().optional() });
/** What is left out stays as it is. */
export const patchRecorder = z.strictObject({
  name: createRecorder.shape.name.optional(),
  baseUrl: createRecorder.shape.baseUrl.optional(),
  username: createRecorder.shape.username.optional(),
  password: createRecorder.shape.password.optional(),
  maxSessions: z.int().min(1).max(32).optional(),
  timeMode: z.enum(['auto', 'utc', 'local']).optional(),
  timeZone: z.string().max(64).optional(),
});

/** The query of an upload; the body is the package itself, a .tar.gz. */
export const uploadSoftware = z.strictObject({
  title: softwareAttributes.shape.sw_title,
  version: softwareAttributes.shape.sw_version,
  /** Refused when the body has another. */
  sha256: softwareAttributes.shape.sw_checksum.optional(),
});
export const softwarePackage = z.object({
  id,
  title: z.string(),
  version: z.string(),
  sizeBytes: z.int(),
  sha256: z.string(),
  /** What pack.json in it says; null when there is none, or none that can be read. */
  pack: z.object({ packId: z.string(), licence: z.string(), nonCommercial: z.boolean() }).nullable(),
  assigned: z.boolean(),
  createdAt: time,
});
export type SoftwarePackage = z.infer<typeof softwarePackage>;

export const assignSoftware = z.strictObject({ packageId: id });
/** What the tenant's edges are to have, and how many of them are how far; `none`: has not been told of any. */
export const softwareAssignment = z.object({
  package: softwarePackage.nullable(),
  assignedAt: time.nullable(),
  edges: z.array(z.object({ state: z.enum([...softwareStates, 'none']), count: z.int() })),
});
export type SoftwareAssignment = z.infer<typeof softwareAssignment>;

export const edgeSoftware = z.object({
  edgeId: id,
  edgeName: z.string(),
  online: z.boolean(),
  assigned: z.object({ title: z.string(), version: z.string() }).nullable(),
  /** Of the assigned package; null when none is. */
  state: z.enum(softwareStates).nullable(),
  /** Code of a failure. */
  error: z.string().nullable(),
  /** As the box last said; null until it has. */
  current: z.object({ title: z.string(), version: z.string() }).nullable(),
  changedAt: time.nullable(),
});
export type EdgeSoftware = z.infer<typeof edgeSoftware>;

/** One call to a box, in ThingsBoard's states. */
export const edgeRpc = z.object({
  id,
  requestId: z.int(),
  method: z.string(),
  correlationId: z.string(),
  state: z.enum(['QUEUED', 'SENT', 'DELIVERED', 'SUCCESSFUL', 'TIMEOUT', 'EXPIRED', 'FAILED']),
  timeouts: z.int(),
  createdAt: time,
  expiresAt: time,
  sentAt: time.nullable(),
  repliedAt: time.nullable(),
  finishedAt: time.nullable(),
  /** From the call being written to the socket until its reply was read, milliseconds. */
  roundTripMs: z.number().nullable(),
  reply: z.unknown(),
});
export type EdgeRpc = z.infer<typeof edgeRpc>;
