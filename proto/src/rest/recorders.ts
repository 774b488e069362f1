import { z } from 'zod';
import { id, name, time } from './scalars';

/** Without a log-in in it: addresses are shown to everybody who sees the box, passwords to nobody. */
const baseUrl = z
  .url({ protocol: /^https?$/ })
  .max(512)
  .refine((text) => !URL.canParse(text) || (new URL(text).username === '' && new URL(text).password === ''));

export const createRecorder = z.strictObject({
  name,
  kind: z.enum(['isapi']).default('isapi'),
  baseUrl,
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
