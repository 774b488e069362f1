import type { Tx } from '@star/platform';
import { removeRecordsOf } from './oidc.store';
import { touchCredentials } from './users.store';

/** Every browser and program of a user has to log in again, log-ins under way included. 0 for nobody's id. */
export async function endSessionsOf(tx: Tx, userId: string): Promise<number> {
  const touched = await touchCredentials(tx, userId);
  await removeRecordsOf(tx, userId);
  return touched;
}
