import type { Database, WriteEvents } from '@star/platform';
import { announceEnds } from './announce-ends';
import { deleteOldQuestions, expireRpcs } from './rpc.store';

const atOnce = 200;

/** Ends every call whose time is over; any number of replicas may do it at the same time. */
export const endExpiredRpcs =
  ({ db, writeEvents }: { db: Database; writeEvents: WriteEvents }) =>
  async (): Promise<void> => {
    for (let ended = atOnce; ended === atOnce; ) {
      ended = await db.system('expired RPCs', async (tx) => {
        const rpcs = await expireRpcs(tx, atOnce);
        await announceEnds(tx, writeEvents, rpcs);
        if (rpcs.length === 0) await deleteOldQuestions(tx);
        return rpcs.length;
      });
    }
  };
