import type { Tx } from '../postgres/database';
import { type Invalidation, invalidationChannel } from './cache';

/** Heard by every replica when the transaction commits. */
export const announceInvalidation = (tx: Tx, invalidation: Invalidation): Promise<unknown> =>
  tx.query('SELECT pg_notify($1, $2)', [invalidationChannel, JSON.stringify(invalidation)]);
