import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { rewrapTenantKeys } from '@star/platform';
import { lastingSecret, tenantsKeyPath } from '../secrets';
import { type Command, UsageError } from './command';
import { isStarConnected } from './connected.read';
import { withDatabase } from './with-database';

/**
 * `star keys rewrap`: another installation key for the keys of tenants. Star must not run. Afterwards copies of the
 * database from before, with keys that have been erased since, open with nothing. Cut off, it is run again.
 */
export const keysCommand: Command = {
  usage: ['keys rewrap'],
  async run([verb, ...rest], { settings, say }) {
    if (verb !== 'rewrap' || rest.length > 0) throw new UsageError(`star keys ${verb ?? ''}: there is only rewrap`);
    const data = settings.STAR_DATA;
    const path = tenantsKeyPath(data);
    // Loading would make a new one, which opens nothing.
    if (!existsSync(path)) throw new Error(`${data} is no data folder of a Star that has run: it has no key of the tenants' keys`);
    return withDatabase(settings, async (database) => {
      if (await isStarConnected(database)) throw new Error('Star runs: end it first, a process with the key from before could use it');
      const changed = await rewrapTenantKeys(database, await lastingSecret(data, 'tenants'), await lastingSecret(data, 'tenants.next'));
      await rename(`${path}.next`, path);
      say(`${changed} keys of tenants sealed anew`);
      return 0;
    });
  },
};
