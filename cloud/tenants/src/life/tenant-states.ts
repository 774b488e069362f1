import { authErrors, type Cache, type Caller, type Database } from '@star/platform';
import type { TenantState } from '@stardipper/proto';
import { findTenant } from './tenant-life.store';

/** A tenant that was disabled is let in no longer than this, even where nobody hears of it. */
const believedMs = 30_000;

/** What every process asks about a caller's tenant: through the cache, so that it costs a request nothing. */
export function tenantStates({ database, cache }: { readonly database: Database; readonly cache: Cache }) {
  const stateOf = (tenantId: string): Promise<TenantState | null> =>
    cache.get(
      tenantId,
      'state',
      believedMs,
      async () => (await database.tenant(tenantId, (tx) => findTenant(tx, tenantId)))?.state ?? null,
    );
  return {
    stateOf,
    /** Throws `auth.tenant_disabled`. */
    admit: async ({ tenantId }: Caller): Promise<void> => {
      const state = await stateOf(tenantId);
      if (state !== 'enabled') throw authErrors.error('auth.tenant_disabled', { state: state ?? 'removed' });
    },
  };
}
