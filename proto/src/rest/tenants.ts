/** Tenants as the provider sees them. */

import { z } from 'zod';
import { isUsername } from './username';

const id = z.uuid().toLowerCase();
const time = z.iso.datetime({ offset: true });

/**
 * opening: its saga is at work. disabled: nothing of it works, nothing is lost. deleting: as disabled, and removed after
 * the grace period. removing: too late to restore. removed: only the report and the audit log are left. failed: it
 * could not be opened and nothing of it is left.
 */
export const tenantStates = ['opening', 'enabled', 'disabled', 'deleting', 'removing', 'removed', 'failed'] as const;
export type TenantState = (typeof tenantStates)[number];

export const createTenant = z.strictObject({
  /** Chosen by the caller to be able to ask again: a second time changes nothing. */
  id: id.optional(),
  name: z.string().trim().min(1).max(120),
  /** Of the first area. */
  firstArea: z.string().trim().min(1).max(120).optional(),
  admin: z.strictObject({
    username: z.string().min(1).max(64).refine(isUsername),
    displayName: z.string().trim().min(1).max(120),
    password: z.string().min(8).max(256),
  }),
});
export type CreateTenant = z.infer<typeof createTenant>;

export const tenant = z.object({
  id,
  name: z.string(),
  /** `platform`: of the provider itself; it can be neither disabled nor deleted. */
  kind: z.enum(['customer', 'platform']),
  state: z.enum(tenantStates),
  reason: z.string().nullable(),
  createdAt: time,
  stateSince: time,
  /** When it is removed for good. */
  deleteAfter: time.nullable(),
});
export type Tenant = z.infer<typeof tenant>;

const shownError = z.object({ code: z.string(), params: z.record(z.string(), z.unknown()) });
export const jobStates = ['doing', 'undoing', 'done', 'undone'] as const;
/** How far a saga has come. */
export const tenantJob = z.object({
  id,
  kind: z.string(),
  state: z.enum(jobStates),
  failure: shownError.extend({ step: z.string() }).nullable(),
  steps: z.array(
    z.object({
      name: z.string(),
      state: z.enum(['waiting', 'doing', 'done', 'failed', 'undoing', 'undone']),
      attempts: z.int(),
      error: shownError.nullable(),
    }),
  ),
});
export type TenantJob = z.infer<typeof tenantJob>;

/** What was removed: rows by table, objects, users; and what was kept and must be. */
export const removalReport = z.object({
  removedAt: time,
  rows: z.record(z.string(), z.int()),
  analytics: z.record(z.string(), z.int()),
  objects: z.int(),
  users: z.int(),
  kept: z.array(z.string()),
});
export type RemovalReport = z.infer<typeof removalReport>;

export const tenantDetail = tenant.extend({
  /** The newest of opening or removing it. */
  job: tenantJob.nullable(),
  report: removalReport.nullable(),
});
export type TenantDetail = z.infer<typeof tenantDetail>;

export const disableTenant = z.strictObject({ reason: z.string().trim().max(500).default('') });
export const deleteTenantQuery = z.strictObject({
  /** Days in which it can be restored. */
  graceDays: z.coerce.number().int().min(0).max(365).default(30),
});

export const tenantExport = z.object({
  job: tenantJob,
  /** Signed, for an hour; null until it is done. */
  url: z.string().nullable(),
  sizeBytes: z.int().nullable(),
  /** How many rows of which table. */
  rows: z.record(z.string(), z.int()),
});
export type TenantExport = z.infer<typeof tenantExport>;
