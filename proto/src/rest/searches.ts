import { z } from 'zod';
import { taskStates } from '../reports';
import { priority } from '../rpc';
import { coverageKinds } from '../spans';
import { approval } from './approvals';
import { id, time } from './scalars';

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

/** Server-sent events of one search: `event: search` with a Search, `event: match` with a Match. */
export const searchEvents = ['search', 'match'] as const;
