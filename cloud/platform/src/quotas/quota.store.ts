import type { Quota } from '@stardipper/proto';
import { defineErrors } from '../errors/app-error';
import type { Tx } from '../postgres/database';

export const quotaErrors = defineErrors({ 'quota.exceeded': 'conflict' });

/**
 * How many more of something a tenant may have. Until the transaction ends nobody else creates one of the same kind for the
 * tenant: counting and creating are one step, so racing creations never end above the limit. `count` must be a statement
 * of its own, begun after the lock, to see what was committed meanwhile.
 */
export async function roomUnderQuota(tx: Tx, tenantId: string, what: Quota, limit: number, count: () => Promise<number>): Promise<number> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`quota:${what}:${tenantId}`]);
  return Math.max(0, limit - (await count()));
}

/** Throws `quota.exceeded` when there is no room for one more. To be called before the row is written. */
export async function requireRoom(tx: Tx, tenantId: string, what: Quota, limit: number, count: () => Promise<number>): Promise<void> {
  if ((await roomUnderQuota(tx, tenantId, what, limit, count)) < 1) throw quotaErrors.error('quota.exceeded', { what, limit });
}
