import type { BusRecord } from '@star/platform';
import type { SearchDeps } from '../ports';
import { writeAssignment } from './pack-assignment.store';

const inbox = 'search';

/**
 * Which package the tenant is to have, as devices says it. Only noted here; `keepPacksReady` does the work. Late,
 * repeated and overtaken records change nothing: the higher revision stands.
 */
export const takeAssignment =
  (deps: SearchDeps) =>
  async ({ tenantId, id, message }: BusRecord<'software.assigned.v1'>): Promise<void> => {
    const { revision, packageId, title, version, sha256 } = message;
    await deps.database.tenant(tenantId, async (tx) => {
      if (!(await deps.firstTime(tx, inbox, id))) return;
      await writeAssignment(tx, tenantId, { revision, assigned: packageId === '' ? null : { packageId, title, version, sha256 } });
    });
  };
