import type { Database } from '@star/platform';
import { requireOpenCustomer } from '../customers/follow-tenant';
import type { Login } from '../hub/connack';
import { lookupHashes, samePassword } from './credentials';
import type { EdgeIdentity } from './edge';
import { type CredentialsRow, findCredentials } from './edge.store';

/**
 * Whose login this is, by ThingsBoard's order: client id (with the user name, when there is one), then the user name
 * alone, which is also where access tokens are. Undefined: nobody's. Rejects while the database is away or the tenant is not
 * enabled.
 */
export const logIn =
  ({ db }: { db: Database }) =>
  async (login: Login): Promise<EdgeIdentity | undefined> => {
    const username = login.username ?? '';
    const hashes: Buffer[] = [];
    if (login.clientId !== '') {
      hashes.push(username === '' ? lookupHashes.client(login.clientId) : lookupHashes.clientAndName(login.clientId, username));
    }
    if (username !== '') hashes.push(lookupHashes.name(username));
    if (hashes.length === 0) return undefined;
    for (const found of await db.system('device login', (tx) => findCredentials(tx, hashes)))
      if (await fits(found, login)) {
        await requireOpenCustomer(db, found.edge.tenantId);
        return found.edge;
      }
    return undefined;
  };

/** A token is enough by itself; of basic credentials, every field that is stored must be the same. */
async function fits(found: CredentialsRow, login: Login): Promise<boolean> {
  if (found.kind === 'ACCESS_TOKEN') return true;
  if (found.clientId !== undefined && found.clientId !== login.clientId) return false;
  if (found.userName !== undefined && found.userName !== login.username) return false;
  return found.passwordHash === undefined || samePassword(login.password ?? '', found.passwordHash);
}
