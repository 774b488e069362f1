import { z } from 'zod';
import { id, name, time } from './scalars';

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

export const createProvisioningKey = z.strictObject({ areaId: id });

/** What is left out stays as it is. */
export const patchEdge = z.strictObject({ name: name.optional(), areaId: id.optional() });

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
