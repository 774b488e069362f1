/** A second person's approval of a search, as Star's REST API shows it. */

import { z } from 'zod';

const id = z.uuid().toLowerCase();
const time = z.iso.datetime({ offset: true });

export const approvalStates = ['pending', 'approved', 'refused', 'expired', 'withdrawn'] as const;

const person = z.object({ id, username: z.string() });

export const approval = z.object({
  state: z.enum(approvalStates),
  requestedBy: person,
  requestedAt: time,
  /** When a request that nobody decided lapses. */
  expiresAt: time,
  decidedBy: person.nullable(),
  decidedAt: time.nullable(),
  reason: z.string().nullable(),
});
export type Approval = z.infer<typeof approval>;

/** What an approver has to know of the search. */
export const approvalRequest = approval.extend({
  searchId: id,
  name: z.string(),
  purpose: z.string(),
  people: z.array(z.object({ id, name: z.string().nullable() })),
  cameras: z.int(),
  from: time,
  to: time,
});
export type ApprovalRequest = z.infer<typeof approvalRequest>;

export const decideApproval = z.strictObject({ decision: z.enum(['approve', 'refuse']), reason: z.string().trim().min(1).max(500) });
export type DecideApproval = z.infer<typeof decideApproval>;

/** Whether searches of the tenant need a second person. */
export const approvalRule = z.strictObject({ required: z.boolean() });
export type ApprovalRule = z.infer<typeof approvalRule>;
