/** The tree of a tenant's areas, roles granted on its nodes, and boxes that were turned away. */

import { z } from 'zod';
import { areaKinds, grantableRoles } from '../area-rules';
import { id, time } from './scalars';

const name = z.string().trim().min(1).max(120);
export const createArea = z.strictObject({ parentId: id.nullable().default(null), kind: z.enum(areaKinds), name });
export const renameArea = z.strictObject({ name });
export const moveArea = z.strictObject({ parentId: id.nullable() });
export const mergeArea = z.strictObject({ intoId: id });
export const area = z.object({
  id,
  parentId: id.nullable(),
  kind: z.enum(areaKinds),
  name: z.string(),
  /** False: shown only because something below it is the caller's to see. */
  open: z.boolean(),
  /** Whether the caller may change it, and what is below it. */
  writable: z.boolean(),
  /** What hangs on this area itself, not on those below it. */
  edges: z.int(),
  cameras: z.int(),
  createdAt: time,
});
export type Area = z.infer<typeof area>;

export const createGrant = z.strictObject({ userId: id, areaId: id, role: z.enum(grantableRoles) });
export const grant = z.object({
  id,
  userId: id,
  username: z.string(),
  areaId: id,
  role: z.enum(grantableRoles),
  createdAt: time,
});
export type Grant = z.infer<typeof grant>;

/** A box that asked to become an edge and was refused, until it gets in or the refusal is a month old. */
export const refusedEdge = z.object({
  name: z.string(),
  areaId: id,
  code: z.string(),
  params: z.record(z.string(), z.unknown()),
  times: z.int(),
  firstAt: time,
  lastAt: time,
});
export type RefusedEdge = z.infer<typeof refusedEdge>;

/** What a tenant can have a limit of; `what` of `quota.exceeded`. */
export const quotas = ['edges', 'cameras', 'people', 'searchesInFlight'] as const;
export type Quota = (typeof quotas)[number];
