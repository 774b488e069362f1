/** The audit log as Star's REST API shows it. */

import { z } from 'zod';

const time = z.iso.datetime({ offset: true });

const changes = z.record(z.string(), z.unknown());

export const auditLine = z.object({
  id: z.int(),
  at: time,
  /** null: the system by itself. */
  userId: z.uuid().nullable(),
  username: z.string(),
  action: z.string(),
  subject: z.string(),
  ip: z.string().nullable(),
  userAgent: z.string().nullable(),
  /** Of the request; the same as in the logs of the processes. */
  traceId: z.string().nullable(),
  before: changes.nullable(),
  after: changes.nullable(),
  reason: z.string().nullable(),
  details: changes,
});
export type AuditLine = z.infer<typeof auditLine>;

/** `action`: a whole one, or with `.` at the end all that begin so. `to` is exclusive. */
export const auditFilter = z.strictObject({
  actor: z.string().min(1).max(256).optional(),
  action: z.string().min(1).max(64).optional(),
  subject: z.string().min(1).max(256).optional(),
  from: time.optional(),
  to: time.optional(),
});
export type AuditFilter = z.infer<typeof auditFilter>;

export const auditExport = auditFilter.extend({ format: z.enum(['csv', 'jsonl']).default('jsonl') });

/** What is known of the chain that shows whether somebody tampered with the log. */
export const auditChain = z.object({
  /** Lines linked so far. */
  seq: z.int(),
  /** Committed moments ago, not linked yet. */
  waiting: z.int(),
  /** The daily check of every line; null before the first. */
  checkedAt: time.nullable(),
  checkedSeq: z.int().nullable(),
  problems: z.int().nullable(),
  /** When the signed head was last put outside of the database. */
  exportedAt: time.nullable(),
  exportedSeq: z.int().nullable(),
});
export type AuditChain = z.infer<typeof auditChain>;
