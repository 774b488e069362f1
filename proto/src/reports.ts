/** What a box reports back, as JSON in telemetry. */

import { z } from 'zod';
import { sightingId, taskError } from './rpc';
import { coverageSpan } from './spans';

const id = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[\w.:-]+$/);

export const taskStates = ['accepted', 'running', 'finished', 'failed', 'cancelled', 'expired'] as const;
export type TaskState = (typeof taskStates)[number];
export const isFinal = (state: TaskState): boolean => state !== 'accepted' && state !== 'running';

export const matchReport = z.object({
  /** Of the sighting: the same face in the same frame always has the same id. With personId it names the match. */
  sightingId,
  personId: id,
  cameraId: id,
  /** Unix ms UTC. */
  at: z.int(),
  score: z.number(),
  quality: z.number(),
  /** x, y, width, height in pixels of the frame. */
  box: z.tuple([z.number(), z.number(), z.number(), z.number()]),
  frame: z.tuple([z.int(), z.int()]),
});
export type MatchReport = z.infer<typeof matchReport>;

/**
 * One step of a task. Reports of a task are numbered from 1 without a gap, so Star knows when it has them all.
 * Coverage and matches are what is new in this step; counters are totals.
 */
export const taskReport = z.object({
  /** `<taskId>:<seq>` */
  id: z.string().max(128),
  taskId: id,
  searchId: id,
  seq: z.int().min(1),
  state: z.enum(taskStates),
  packId: id,
  coverage: z.array(coverageSpan).max(500),
  matches: z.array(matchReport).max(100),
  totals: z.object({
    rangeMs: z.int(),
    doneMs: z.int(),
    segmentsDone: z.int(),
    segmentsFailed: z.int(),
    downloadedBytes: z.int(),
    keyframesDecoded: z.int(),
    matches: z.int(),
  }),
  error: taskError.optional(),
});
export type TaskReport = z.infer<typeof taskReport>;

export const recorderReport = z.object({
  id: z.string().max(128),
  recorderId: id,
  reachable: z.boolean(),
  error: taskError.optional(),
  checkedAt: z.int(),
  clockOffsetMs: z.int(),
  model: z.string().max(128),
  serialNumber: z.string().max(128),
  firmware: z.string().max(128),
  channels: z.array(z.object({ channel: z.int(), name: z.string().max(128), online: z.boolean() })).max(1024),
});
export type RecorderReport = z.infer<typeof recorderReport>;
