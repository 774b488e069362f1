import type { Cache, Database } from '@star/platform';
import {
  defaultTenantSettings,
  type Page,
  type SettingsVersion,
  type ShownSettings,
  type TenantSettings,
  tenantSettings,
} from '@stardipper/proto';
import { findTenant } from '../life/tenant-life.store';
import { findStorageUsage } from '../storage/storage.store';
import { tenantError } from '../tenants.errors';
import { findSettings, listSettings, type SettingsRow } from './settings.store';

/** Without word of a change they are believed no longer than this. */
const believedMs = 60_000;

/** What was stored by another version of Star may have parts that there are no more; requests may not. */
export const parsedSettings = (row: Pick<SettingsRow, 'settings'> | undefined): TenantSettings =>
  row ? tenantSettings.parse(knownParts(row.settings, defaultTenantSettings)) : defaultTenantSettings;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function knownParts(stored: unknown, known: unknown): unknown {
  if (!isObject(stored) || !isObject(known)) return stored;
  const parts = Object.entries(stored).filter(([name]) => Object.hasOwn(known, name));
  return Object.fromEntries(parts.map(([name, value]) => [name, knownParts(value, known[name])]));
}

/** What is in force for a tenant, through the cache: for every service that keeps to it. */
export const settingsOf =
  ({ database, cache }: { readonly database: Database; readonly cache: Cache }) =>
  async (tenantId: string): Promise<{ version: number; settings: TenantSettings }> =>
    cache.get(tenantId, 'settings', believedMs, async () => {
      const row = await database.tenant(tenantId, (tx) => findSettings(tx, tenantId));
      return { version: row?.version ?? 0, settings: parsedSettings(row) };
    });

/** Past the cache: a form must start from what is there now. Throws `tenant.not_found`. */
export const readSettings =
  (deps: { readonly database: Database }) =>
  (tenantId: string, mayChange: readonly string[]): Promise<ShownSettings> =>
    deps.database.tenant(tenantId, async (tx) => {
      if (!(await findTenant(tx, tenantId))) throw tenantError('tenant.not_found', { tenantId });
      const row = await findSettings(tx, tenantId);
      const stored = await findStorageUsage(tx, tenantId);
      return {
        version: row?.version ?? 0,
        settings: parsedSettings(row),
        changedAt: row?.changed_at.toISOString() ?? null,
        changedBy: row?.changed_by ?? null,
        mayChange: [...mayChange],
        storageUsed: stored ? { bytes: stored.bytes, objects: stored.objects, measuredAt: stored.measured_at.toISOString() } : null,
      };
    });

/** Newest first; the cursor is the last version that was shown. */
export const readSettingsHistory =
  (deps: { readonly database: Database }) =>
  async (tenantId: string, query: { cursor?: number; limit: number }): Promise<Page<SettingsVersion>> => {
    const rows = await deps.database.tenant(tenantId, async (tx) => {
      if (!(await findTenant(tx, tenantId))) throw tenantError('tenant.not_found', { tenantId });
      return listSettings(tx, tenantId, query.cursor, query.limit + 1);
    });
    const page = rows.slice(0, query.limit);
    return {
      items: page.map((row) => ({
        version: row.version,
        settings: parsedSettings(row),
        changedAt: row.changed_at.toISOString(),
        changedBy: row.changed_by,
      })),
      nextCursor: rows.length > page.length ? String(page.at(-1)?.version) : null,
    };
  };
