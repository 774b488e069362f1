import { z } from 'zod';
import { softwareAttributes, softwareStates } from '../rpc';
import { id, time } from './scalars';

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
