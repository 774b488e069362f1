import type { Database } from '@star/platform';
import { deleteFinishedRpcs } from './rpc.store';

const dayMs = 86_400_000;
const atOnce = 1000;

/**
 * Deletes the calls that ended more than `keepDays` ago; answers how many. What came of them was announced when they
 * ended, and an open call is never touched, however old. Short transactions, any number of replicas at the same time.
 */
export const forgetFinishedRpcs =
  ({ db, keepDays }: { db: Database; keepDays: number }) =>
  async (): Promise<number> => {
    const before = new Date(Date.now() - keepDays * dayMs);
    let deleted = 0;
    for (let last = atOnce; last === atOnce; deleted += last) {
      last = await db.system('finished RPCs: retention', (tx) => deleteFinishedRpcs(tx, before, atOnce));
    }
    return deleted;
  };
