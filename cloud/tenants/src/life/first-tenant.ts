import { setTimeout as sleep } from 'node:timers/promises';
import { firstTenantId, platformTenantId } from '@stardipper/proto';
import { openingKind, startOpening } from './open-tenant';
import type { WithSagas } from './ports';
import { findTenant, hasCustomerBeside } from './tenant-life.store';

const lookAgainMs = 50;

export interface FirstTenant {
  readonly name: string;
  readonly admin: { readonly username: string; readonly displayName: string; readonly password: string };
}

/**
 * At every start, in every replica, while consumers run: opens the installation's first tenant by the same saga as any
 * other, where there is no tenant yet, and resolves when it is open; one whose opening died with a process is finished
 * first. Where a customer is or ever was, nothing happens. Its id is fixed, so that several that start at once mean the
 * same one. Throws what `openTenant` throws, and when the opening was undone: the next start tries it anew.
 */
export const openFirstTenant =
  (deps: WithSagas) =>
  async (first: FirstTenant): Promise<void> => {
    const look = () =>
      deps.database.system('first tenant', async (tx) => ({
        other: await hasCustomerBeside(tx, firstTenantId),
        // First: once it has ended, the row is there for good or gone.
        opening: await deps.sagas.latest(tx, firstTenantId, openingKind),
        row: await findTenant(tx, firstTenantId),
      }));
    const found = await look();
    const begun = found.row !== undefined || (found.opening && !found.opening.endedAt);
    if (!begun && found.other) return;
    if (!begun) await startOpening(deps, { tenantId: platformTenantId, username: 'star' }, { ...first, id: firstTenantId });
    for (;;) {
      const { row, opening } = await look();
      if (!opening || opening.endedAt) {
        if (row) return;
        throw new Error(`the first tenant could not be opened: ${opening?.failure?.step} failed with ${opening?.failure?.code}`);
      }
      await sleep(lookAgainMs);
    }
  };
