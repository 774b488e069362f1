import { randomUUID } from 'node:crypto';
import { type Database, keptFrom, type Retention } from '@star/platform';
import { deleteFinishedRpcs } from './rpc.store';

const atOnce = 1000;

interface ForgetDeps {
  readonly db: Database;
  readonly keepDays: number;
  readonly retention?: Pick<Retention, 'record'> | undefined;
}

/**
 * Deletes the calls that ended on days more than `keepDays` ago; answers how many. What came of them was announced when
 * they ended, and an open call is never touched, however old. Short transactions, any number of replicas at the same time.
 */
export const forgetFinishedRpcs =
  ({ db, keepDays, retention }: ForgetDeps) =>
  async (): Promise<number> => {
    const at = new Date();
    const before = keptFrom(at, keepDays);
    const runId = randomUUID();
    let deleted = 0;
    for (let last = atOnce; last === atOnce; deleted += last) {
      last = await db.system('finished RPCs: retention', async (tx) => {
        const gone = await deleteFinishedRpcs(tx, before, atOnce);
        for (const { tenant_id: tenantId, calls: items } of gone)
          await retention?.record(tx, { tenantId, runId, kind: 'calls', at, before, settingsVersion: null, items, bytes: 0 });
        return gone.reduce((sum, { calls }) => sum + calls, 0);
      });
    }
    return deleted;
  };
