import { authErrors, type Cache, type Caller, type Database } from '@star/platform';
import { type Feature, featureOf, type TenantState } from '@stardipper/proto';
import { settingsOf } from '../settings/read-settings';
import { findTenant } from './tenant-life.store';

/** A tenant that was disabled is let in no longer than this, even where nobody hears of it. */
const believedMs = 30_000;

/**
 * What every process asks about a caller's tenant: through the cache, so that it costs a request nothing. Throws
 * `auth.tenant_disabled`, and `auth.feature_off` for what the tenant's settings do not allow.
 */
export function admitCaller({ database, cache }: { readonly database: Database; readonly cache: Cache }) {
  const settingsFor = settingsOf({ database, cache });
  const stateOf = (tenantId: string): Promise<TenantState | null> =>
    cache.get(
      tenantId,
      'state',
      believedMs,
      async () => (await database.tenant(tenantId, (tx) => findTenant(tx, tenantId)))?.state ?? null,
    );
  return async (caller: Caller, { method, path }: { readonly method: string; readonly path: string }): Promise<void> => {
    const state = await stateOf(caller.tenantId);
    if (state !== 'enabled') throw authErrors.error('auth.tenant_disabled', { state: state ?? 'removed' });
    // Whoever has permissions of its own is a key.
    const needs = [caller.permissions && ('apiKeys' as const), featureOf(method, path)].filter(
      (each): each is Feature => each !== undefined,
    );
    if (needs.length === 0) return;
    const { features } = (await settingsFor(caller.tenantId)).settings;
    for (const feature of needs) if (!features[feature]) throw authErrors.error('auth.feature_off', { feature });
  };
}
