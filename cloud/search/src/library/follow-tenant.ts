import type { BusRecord } from '@star/platform';
import { AppError } from '@star/platform';
import type { SearchDeps } from '../ports';
import { cancelAs } from '../searches/cancel-search';
import { deleteLibrary, runningSearches, writeLibrary } from './library.store';

/**
 * Handles `tenant.updated.v1`: the running searches of a tenant that is not enabled are cancelled. What they have found
 * stays, and what boxes still report of them is taken.
 */
export const followTenant =
  (deps: SearchDeps) =>
  async (record: BusRecord<'tenant.updated.v1'>): Promise<void> => {
    const { tenantId, state } = record.message;
    const running = await deps.database.tenant(tenantId, async (tx) => {
      // Not by the inbox: what follows may be broken off, and is then done again from here.
      if (state === 'removed') await deleteLibrary(tx, tenantId);
      else await writeLibrary(tx, tenantId, state);
      return state === 'enabled' ? [] : runningSearches(tx, tenantId);
    });
    for (const { id } of running) {
      await cancelAs(deps, { tenantId, username: 'star', details: { tenant: state } }, id).catch((error: unknown) => {
        // It ended by itself meanwhile.
        if (!(error instanceof AppError && error.code === 'search.already_final')) throw error;
      });
    }
  };
