import { type Cache, type Database, quotaErrors, type RequireStorage } from '@star/platform';
import { settingsOf } from '../settings/read-settings';
import { findStorageUsage } from './storage.store';

const believedMs = 60_000;

/** By what was counted last, which is done every hour: what came since is not in it. */
export function requireStorage({ database, cache }: { readonly database: Database; readonly cache: Cache }): RequireStorage {
  const settingsFor = settingsOf({ database, cache });
  return async (tenantId, bytes) => {
    const { quotaGb } = (await settingsFor(tenantId)).settings.storage;
    const used = await cache.get(
      tenantId,
      'storage',
      believedMs,
      async () => (await database.tenant(tenantId, (tx) => findStorageUsage(tx, tenantId)))?.bytes ?? 0,
    );
    if (used + bytes > quotaGb * 1e9) throw quotaErrors.error('quota.exceeded', { what: 'storage', limit: quotaGb });
  };
}
