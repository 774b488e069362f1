import type { Database, WriteEvent } from '@star/platform';
import { announceEnd } from './announce-end';
import { deleteOldQuestions, expireRpcs } from './rpc.store';

const atOnce = 200;

/** Ends every call whose time is over; any number of replicas may do it at the same time. */
export const endExpiredRpcs =
  ({ db, writeEvent }: { db: Database; writeEvent: WriteEvent }) =>
  async (): Promise<void> => {
    for (let ended = atOnce; ended === atOnce; ) {
      ended = await db.system('expired RPCs', async (tx) => {
        const rpcs = await expireRpcs(tx, atOnce);
        for (const rpc of rpcs) await announceEnd(tx, writeEvent, rpc);
        if (rpcs.length === 0) await deleteOldQuestions(tx);
        return rpcs.length;
      });
    }
  };
